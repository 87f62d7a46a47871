//! What a script said last, and what it was last refused: its explanation, if it then ends itself.

use crate::error::Refusal;
use std::collections::VecDeque;

/// Lines of standard error that are kept: a panic's place, its message, and a hint after it.
const LINES: usize = 3;
/// Characters of a line that are kept.
const LENGTH: usize = 500;

/// What a script said last, of that which explains an end.
#[derive(Debug, Default)]
pub struct LastWords {
    /// Its last log line of level error.
    error: Option<String>,
    /// The last lines that its language runtime wrote to standard error.
    stderr: VecDeque<String>,
    /// What it was last refused because of something that was given to the run.
    refusal: Option<Refusal>,
}

impl LastWords {
    /// Keeps a log line, if it is one of those that explain an end.
    pub fn heard(&mut self, level: &str, message: &str) {
        let line = || message.chars().take(LENGTH).collect::<String>();
        match level {
            "error" => self.error = Some(line()),
            "stderr" if !message.trim().is_empty() => {
                self.stderr.push_back(line());
                if self.stderr.len() > LINES {
                    self.stderr.pop_front();
                }
            }
            _ => {}
        }
    }

    /// Keeps what it was refused because of something that was given to the run.
    pub fn refused(&mut self, refusal: Refusal) {
        self.refusal = Some(refusal);
    }

    /// Whether it ends with what it was last refused. A script ends with a sentence, for that is all that `run` returns,
    /// and so are refusals when a script hands them on: it is the very same only if the two sentences are one.
    pub fn is_refusal(&self, sentence: &str) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| refusal.to_string() == sentence)
    }

    /// All of it in one line, what the script itself logged before what its runtime wrote. None where it said nothing.
    pub fn text(self) -> Option<String> {
        let stderr = || self.stderr.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let text = self.error.clone().unwrap_or_else(stderr).replace('\n', " ");
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_told_by_its_own_error_or_else_by_its_runtime() {
        let text = |lines: &[(&str, &str)]| {
            let mut words = LastWords::default();
            lines.iter().for_each(|(level, line)| words.heard(level, line));
            words.text()
        };
        assert_eq!(text(&[("info", "all is well"), ("stderr", "")]), None);
        let traceback = [("stderr", "Traceback:"), ("stderr", "  File"), ("stderr", "    x")];
        let raised = [&traceback[..], &[("stderr", "NameError: x")]].concat();
        assert_eq!(text(&raised).as_deref(), Some("File x NameError: x"));
        let logged = [&raised[..], &[("error", "no\nway")]].concat();
        assert_eq!(text(&logged).as_deref(), Some("no way"));
        assert_eq!(text(&[("error", &"x".repeat(9_000))]).map(|text| text.len()), Some(LENGTH));
    }
}

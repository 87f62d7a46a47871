//! What a script said last: its explanation, if it then ends itself.

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

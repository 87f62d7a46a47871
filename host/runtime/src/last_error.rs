//! Stores the last error that a script reported, which explains why it aborted.

use std::collections::VecDeque;

/// The number of lines of standard error that are stored: a panic's location, its message, and a hint after it.
const LINES: usize = 3;
/// The most characters that are stored of a line.
const LENGTH: usize = 500;

/// The last error that a script reported.
#[derive(Debug, Default)]
pub(crate) struct LastError {
    /// The last log line of level error.
    error: Option<String>,
    /// The last lines on standard error, which a language's runtime writes on a panic.
    stderr: VecDeque<String>,
}

impl LastError {
    /// Stores a log line if it may explain why the script ends.
    pub(crate) fn note(&mut self, level: &str, message: &str) {
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

    /// Returns the explanation on one line, or `None` if there is none. The script's own log line is preferred to
    /// standard error.
    pub(crate) fn text(self) -> Option<String> {
        let stderr = || self.stderr.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let text = self.error.clone().unwrap_or_else(stderr).replace('\n', " ");
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_script_comes_before_that_of_its_runtime() {
        let text = |lines: &[(&str, &str)]| {
            let mut words = LastError::default();
            lines.iter().for_each(|(level, line)| words.note(level, line));
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

//! Messages of a run: warnings, and what its script says.

use crate::untrusted::line;
use llem_record::Event;

/// Who speaks, and how urgently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Warning,
    ScriptError,
    ScriptWarning,
    ScriptInfo,
    /// A line that the script printed, or that only its author needs.
    ScriptOutput,
    /// Why the run ended early.
    RunError,
    /// The program's own log, such as how the engine prepares its work.
    Program,
}

impl MessageKind {
    /// The word before the message.
    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Warning => "warning:",
            Self::ScriptError | Self::ScriptWarning | Self::ScriptInfo | Self::ScriptOutput => {
                "script:"
            }
            Self::RunError => "error:",
            Self::Program => "llem:",
        }
    }

    /// The same word for standard error, coloured if that is a terminal.
    pub(super) fn styled_head(self) -> console::StyledObject<&'static str> {
        let plain = console::style(self.head());
        let plain = match self {
            Self::Warning | Self::ScriptWarning => plain.yellow(),
            Self::ScriptError | Self::RunError => plain.red(),
            Self::ScriptInfo | Self::ScriptOutput | Self::Program => plain.dim(),
        };
        plain.bold().for_stderr()
    }

    /// Whether the message is shown even if nobody watches: a warning or an error.
    pub(super) fn is_urgent(self) -> bool {
        matches!(self, Self::Warning | Self::ScriptError | Self::ScriptWarning | Self::RunError)
    }
}

/// A message, made safe and short, because many messages may wait for a slow terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunMessage {
    pub kind: MessageKind,
    pub text: String,
}

impl RunMessage {
    pub(super) fn new(kind: MessageKind, text: &str) -> Self {
        Self { kind, text: line(text) }
    }

    /// Returns the message in an event, or `None` if the event has none, or one for debugging only.
    pub(super) fn from_event(event: &Event) -> Option<Self> {
        if let Some(warning) = event.warning() {
            return Some(Self::new(MessageKind::Warning, &warning));
        }
        let Event::Log { level, message } = event else { return None };
        let kind = match level.as_str() {
            "error" => MessageKind::ScriptError,
            "warn" => MessageKind::ScriptWarning,
            "info" => MessageKind::ScriptInfo,
            "stdout" | "stderr" => MessageKind::ScriptOutput,
            _ => return None,
        };
        Some(Self::new(kind, message))
    }
}

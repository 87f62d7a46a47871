//! Why a template cannot be rendered.

/// The error of [`render`](super::render): what went wrong and on which line of the template.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::chat) struct RenderError {
    pub(in crate::chat) kind: RenderErrorKind,
    /// The sentence, without the line number.
    pub(in crate::chat) message: String,
    /// The line of the template, counted from 1. 0 if the line is not known.
    pub(in crate::chat) line: u32,
}

/// Who is responsible for a [`RenderError`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum RenderErrorKind {
    /// The template called `raise_exception`; the message is the template's own.
    Raised,
    /// Jinja2, as transformers runs it, fails here too.
    Invalid,
    /// Jinja2 renders this, but this crate does not.
    Unsupported,
    /// Rendering took more than [`MAX_STEPS`](super::fuel::MAX_STEPS) steps.
    TooManySteps,
}

pub(super) type Result<T> = std::result::Result<T, RenderError>;

impl RenderError {
    /// An error that Jinja2 raises too.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: RenderErrorKind::Invalid, message: message.into(), line: 0 }
    }

    /// An error for something that Jinja2 renders and this crate does not.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: RenderErrorKind::Unsupported, message: message.into(), line: 0 }
    }

    /// The error of a template that calls `raise_exception`.
    pub(super) fn raised(message: String) -> Self {
        Self { kind: RenderErrorKind::Raised, message, line: 0 }
    }

    /// Sets the line number unless one is set. An error passes through several statements on its way out, and the
    /// innermost one names the line.
    pub(super) fn with_line(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

//! Why a template cannot be rendered.

use std::cell::Cell;

/// Steps of a template: a turn of a conversation takes some hundred. Texts and lists count by their length, so this
/// bounds memory, too.
pub(in crate::chat) const MOST_STEPS: u64 = 2_000_000;

/// Bytes of text that count as one step: with [`MOST_STEPS`], a template makes at most 128 MB of text.
const BYTES_A_STEP: usize = 64;

/// Deepest nesting of statements, expressions, calls of macros and values.
pub(super) const DEEPEST: usize = 400;

/// Why rendering ended.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::chat) struct Fault {
    /// What kind of end it is.
    pub(in crate::chat) kind: FaultKind,
    /// The sentence, without the line.
    pub(in crate::chat) message: String,
    /// The template's line, from 1; 0 where it is not known.
    pub(in crate::chat) line: u32,
}

/// Kinds of ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum FaultKind {
    /// The template refused in its own words, by `raise_exception`.
    Raised,
    /// Jinja2 in transformers fails here, too.
    Invalid,
    /// Jinja2 renders this and this crate does not.
    Unsupported,
    /// More than [`MOST_STEPS`].
    Steps,
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// What Jinja2 fails at, too.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Invalid, message: message.into(), line: 0 }
    }

    /// What Jinja2 renders and this crate does not.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Unsupported, message: message.into(), line: 0 }
    }

    /// The template's own refusal.
    pub(super) fn raised(message: String) -> Self {
        Self { kind: FaultKind::Raised, message, line: 0 }
    }

    /// The same fault with the line of the innermost statement that has one.
    pub(super) fn at(mut self, line: u32) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

/// Steps that are left.
pub(super) struct Fuel(Cell<u64>);

impl Fuel {
    /// As many as a template has.
    pub(super) fn new() -> Self {
        Self(Cell::new(MOST_STEPS))
    }

    /// Takes so many steps.
    pub(super) fn take(&self, steps: usize) -> Result<()> {
        let left = self.0.get().checked_sub(steps as u64).ok_or_else(|| Fault {
            kind: FaultKind::Steps,
            message: format!("it takes more than {MOST_STEPS} steps for this conversation"),
            line: 0,
        })?;
        self.0.set(left);
        Ok(())
    }

    /// Takes the steps of a text of so many bytes. Whoever makes a text much longer than what it is made of asks before.
    pub(super) fn take_text(&self, bytes: usize) -> Result<()> {
        self.take(1 + bytes / BYTES_A_STEP)
    }
}

//! Limits on what one rendering may cost. A template comes from a stranger's repository, so it must not be able to use
//! up the host's time or memory.

use super::render_error::{RenderError, RenderErrorKind, Result};
use std::cell::Cell;

/// Steps that one rendering may take. One turn of a conversation takes some hundred steps. Texts and lists count by
/// their length, so this limit bounds memory as well as time.
pub(in crate::chat) const MAX_STEPS: u64 = 2_000_000;

/// Bytes of text that count as one step. Together with [`MAX_STEPS`] this limits a template to 128 MB of text.
const BYTES_PER_STEP: usize = 64;

/// Deepest nesting of statements, expressions, macro calls and values.
pub(super) const MAX_DEPTH: usize = 400;

/// Counts down the steps that a rendering may still take.
pub(super) struct Fuel(Cell<u64>);

impl Fuel {
    /// Starts with [`MAX_STEPS`].
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_STEPS))
    }

    /// Takes this number of steps. Fails if fewer are left.
    pub(super) fn take(&self, steps: usize) -> Result<()> {
        let left = self.0.get().checked_sub(steps as u64).ok_or_else(|| RenderError {
            kind: RenderErrorKind::TooManySteps,
            message: format!("it takes more than {MAX_STEPS} steps for this conversation"),
            line: 0,
        })?;
        self.0.set(left);
        Ok(())
    }

    /// Takes the steps for a text of this many bytes. A caller that makes a text much longer than its parts calls this
    /// before it allocates the text.
    pub(super) fn take_text(&self, bytes: usize) -> Result<()> {
        self.take(1 + bytes / BYTES_PER_STEP)
    }
}

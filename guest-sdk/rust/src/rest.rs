//! Waiting.

use crate::{
    Result,
    bindings::meter::{self, Condition},
};
use std::time::Duration;

/// Added to a rest's length as its timeout: it only guards against a clock that stands still.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rests for this long.
pub fn rest(length: Duration) -> Result<()> {
    meter::wait_until(Condition::Elapsed(nanoseconds(length)), nanoseconds(length + PATIENCE))?;
    Ok(())
}

/// A length as host calls take it.
pub fn nanoseconds(length: Duration) -> u64 {
    length.as_nanos() as u64
}

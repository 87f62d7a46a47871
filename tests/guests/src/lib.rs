//! Small components, one behaviour a file in `examples/` and `hostile/`, that the whole-program tests run.

use llem_sdk::prelude::*;

pub mod wasi;

/// Fails with what does not hold.
pub fn check(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::from(format!("not so: {what}"))) }
}

/// Whether a call failed with this code.
pub fn is_refused<T, E: Into<Error>>(answer: Result<T, E>, code: ErrorCode) -> bool {
    answer.is_err_and(|error| error.into().code == code)
}

//! Helpers of the test components. Each file in `examples/` and `hostile/` is a component with one behaviour, which a
//! whole-program test runs.

use llem_sdk::prelude::*;

pub mod wasi;

/// Fails with a message that contains `what` if a condition is false.
pub fn check(holds: bool, what: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::from(format!("not so: {what}"))) }
}

/// Returns true if a call failed with this code.
pub fn is_refused<T, E: Into<Error>>(answer: Result<T, E>, code: ErrorCode) -> bool {
    answer.is_err_and(|error| error.into().code == code)
}

//! What names and labels a script may give.

use crate::error::Refusal;

/// Longest name or label, in bytes. All that are open are in each line of the journal.
const LIMIT: usize = 200;

/// Refuses a name that is empty or too long.
pub fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    match name.is_empty() || name.len() > LIMIT {
        true => Err(Refusal::InvalidArgument(format!("a {what}'s name has 1 to {LIMIT} bytes"))),
        false => Ok(()),
    }
}

/// Refuses a label that is too long; it may be empty.
pub fn check_label(what: &str, label: &str) -> Result<(), Refusal> {
    match label.len() > LIMIT {
        true => Err(Refusal::InvalidArgument(format!(
            "the label of a {what} has {} bytes: give at most {LIMIT}",
            label.len()
        ))),
        false => Ok(()),
    }
}

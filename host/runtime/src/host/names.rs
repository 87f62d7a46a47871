//! Checks the names and labels that a script gives.

use crate::error::Refusal;

/// The most bytes of a name or label. Each line of the journal contains all that are open.
const LIMIT: usize = 200;

/// Refuses a name that is empty or too long.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    match name.is_empty() || name.len() > LIMIT {
        true => Err(Refusal::InvalidArgument(format!("a {what}'s name has 1 to {LIMIT} bytes"))),
        false => Ok(()),
    }
}

/// Refuses a label that is too long. A label may be empty.
pub(super) fn check_label(what: &str, label: &str) -> Result<(), Refusal> {
    match label.len() > LIMIT {
        true => Err(Refusal::InvalidArgument(format!(
            "the label of a {what} has {} bytes: give at most {LIMIT}",
            label.len()
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_length_and_a_label_may_be_empty() {
        let (longest, too_long) = ("x".repeat(LIMIT), "x".repeat(LIMIT + 1));
        assert_eq!(check_name("phase", &longest), Ok(()));
        assert_eq!(check_label("window", ""), Ok(()));
        for name in ["", &too_long] {
            let refused = check_name("phase", name).expect_err("refused").to_string();
            assert_eq!(refused, "a phase's name has 1 to 200 bytes");
        }
        let refused = check_label("window", &too_long).expect_err("refused").to_string();
        assert_eq!(refused, "the label of a window has 201 bytes: give at most 200");
    }
}

//! Parsers of options that are numbers.

use std::ops::RangeInclusive;

/// An option is not a number within its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("give a number from {} to {} {unit}", .range.start(), .range.end())]
pub(super) struct RangeError {
    range: RangeInclusive<f64>,
    unit: &'static str,
}

/// An option is not a whole number of at least 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a whole number, at least 1")]
pub(super) struct CountError;

/// Makes a parser for numbers within a range.
pub(super) fn within(
    range: RangeInclusive<f64>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<f64, RangeError> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| RangeError { range: range.clone(), unit })
    }
}

/// Parses a whole number of at least 1.
pub(super) fn positive(text: &str) -> Result<usize, CountError> {
    text.parse().ok().filter(|count| *count > 0).ok_or(CountError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_range_is_refused() {
        let seconds = within(1e-3..=1e9, "s");
        assert_eq!(seconds("1.5"), Ok(1.5));
        for text in ["0", "-1", "1e10", "NaN", "x", ""] {
            let refused = seconds(text).expect_err("refused").to_string();
            assert_eq!(refused, "give a number from 0.001 to 1000000000 s", "{text}");
        }
    }

    #[test]
    fn a_count_is_a_whole_number_of_at_least_one() {
        assert_eq!(positive("3"), Ok(3));
        for text in ["0", "-1", "1.5", "x"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}

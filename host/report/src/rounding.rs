//! Rounds a value by its uncertainty: the uncertainty keeps two digits, and the value ends at the same place (GUM,
//! JCGM 100:2008, 7.2.6).

use llem_quantity::is_rounding_error;

/// A value and its uncertainty as text. The uncertainty is empty if it is 0, or a rounding error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rounded {
    pub value: String,
    pub uncertainty: String,
}

/// Rounds a value by its uncertainty, both in the same unit. A value without an uncertainty keeps four digits, and a whole
/// number below 10 million keeps all.
pub(crate) fn round(value: f64, uncertainty: f64) -> Rounded {
    let is_known = value.is_finite() && uncertainty.is_finite() && uncertainty > 0.0;
    if !is_known || is_rounding_error(value, uncertainty) {
        let is_count = value.fract() == 0.0 && value.abs() < 1e7;
        let value =
            if is_count { format!("{value:.0}") } else { llem_quantity::significant(value) };
        return Rounded { value, uncertainty: String::new() };
    }
    let largest = value.abs().max(uncertainty).log10().floor() as i32;
    if (-5..=6).contains(&largest) {
        let places = places(uncertainty);
        return Rounded { value: fixed(value, places), uncertainty: fixed(uncertainty, places) };
    }
    let scale = 10f64.powi(largest);
    let inner = round(value / scale, uncertainty / scale);
    let with_exponent = |text: String| format!("{text}e{largest}");
    Rounded { value: with_exponent(inner.value), uncertainty: with_exponent(inner.uncertainty) }
}

/// Returns the number of decimal places at which two digits of the uncertainty end. It is negative for places before the point.
fn places(uncertainty: f64) -> i32 {
    let place = 1 - uncertainty.log10().floor() as i32;
    // 0.0996 has two digits of 0.10, one place earlier.
    let rounded = (uncertainty * 10f64.powi(place)).round();
    if rounded >= 100.0 { place - 1 } else { place }
}

fn fixed(value: f64, places: i32) -> String {
    if places >= 0 {
        return format!("{value:.*}", places as usize);
    }
    let step = 10f64.powi(-places);
    format!("{:.0}", (value / step).round() * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_shown(value: f64, uncertainty: f64, expected: [&str; 2]) {
        let Rounded { value, uncertainty } = round(value, uncertainty);
        assert_eq!([&value[..], &uncertainty[..]], expected);
    }

    // Examples of GUM 7.2.6 and of its rule, worked by hand.
    #[test]
    fn the_uncertainty_keeps_two_digits_and_the_value_ends_with_it() {
        is_shown(10.057_62, 0.027, ["10.058", "0.027"]);
        is_shown(12_345.6, 234.0, ["12350", "230"]);
        is_shown(1.0, 0.0996, ["1.00", "0.10"]);
        is_shown(-2.718_1, 0.5, ["-2.72", "0.50"]);
        is_shown(1.234e12, 5.6e9, ["1.2340e12", "0.0056e12"]);
    }

    #[test]
    fn a_value_without_uncertainty_keeps_four_digits_and_a_count_all() {
        is_shown(0.012_345_6, 0.0, ["0.01235", ""]);
        is_shown(1_234_567.0, 0.0, ["1234567", ""]);
        is_shown(12.7, 1.8e-15, ["12.70", ""]);
        is_shown(f64::NAN, 0.0, ["NaN", ""]);
        is_shown(1.0, f64::INFINITY, ["1", ""]);
    }
}

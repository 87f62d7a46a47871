//! Prefixes of the SI: a table's column or a chart's axis shows all its numbers in one unit that suits them.

/// A unit as it is shown, and the factor from the record's unit to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShownUnit {
    /// The unit with its prefix, such as `ms`. Empty if the number has no unit.
    pub name: String,
    /// A number in the record's unit, times this factor, is in the shown unit.
    pub factor: f64,
}

const PREFIXES: [(&str, i32); 11] = [
    ("p", -12),
    ("n", -9),
    ("µ", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

/// Chooses the unit in which these values have one to three digits before the point, by their median. UCUM's `By` is shown
/// as B, and braces are left out.
pub(crate) fn shown_unit(unit: &str, values: impl IntoIterator<Item = f64>) -> ShownUnit {
    let name = if unit == "1" { String::new() } else { unit.replace(['{', '}'], "") };
    let name = name.replace("By", "B").replace("Cel", "°C");
    let base = name.split(['/', '.']).next().unwrap_or_default();
    if !["s", "J", "W", "B", "FLOP"].contains(&base) {
        return ShownUnit { name, factor: 1.0 };
    }
    let is_time = name == "s";
    let mut sizes: Vec<f64> =
        values.into_iter().map(f64::abs).filter(|size| size.is_finite() && *size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let Some(median) = sizes.get(sizes.len() / 2) else {
        return ShownUnit { name, factor: 1.0 };
    };
    let highest = if is_time { 0 } else { 18 };
    let power = (((median.log10() + 1e-9) / 3.0).floor() as i32 * 3).clamp(-12, highest);
    let prefix = PREFIXES.iter().find(|(_, of)| *of == power).map_or("", |(prefix, _)| prefix);
    ShownUnit { name: format!("{prefix}{name}"), factor: 10f64.powi(-power) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_shown(unit: &str, value: f64, name: &str, factor: f64) {
        assert_eq!(shown_unit(unit, [value]), ShownUnit { name: name.to_owned(), factor });
    }

    #[test]
    fn a_unit_gets_the_prefix_of_its_median() {
        is_shown("s", 0.012, "ms", 1e3);
        is_shown("s", 7200.0, "s", 1.0);
        is_shown("J/{token}", 2.5, "J/token", 1.0);
        is_shown("By/s", 2.5e10, "GB/s", 1e-9);
        is_shown("FLOP/s", 3.0e12, "TFLOP/s", 1e-12);
        is_shown("{token}/s", 5000.0, "token/s", 1.0);
        is_shown("1", 0.5, "", 1.0);
    }
}

//! Numbers as a C++ stream writes them by default.

/// Returns a number with six significant digits, without zeros at the end (`%g`).
pub(crate) fn general(value: f64) -> String {
    const DIGITS: i32 = 6;
    if !value.is_finite() {
        return value.to_string().to_lowercase();
    }
    let scientific = format!("{value:.*e}", DIGITS as usize - 1);
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        return without_zeros(&format!("{value:.*}", (DIGITS - 1 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::general;

    // By printf("%g").
    #[test]
    fn six_digits_are_written_as_in_c() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (1000.0, "1000"),
            (962.336_123, "962.336"),
            (2.848_57e-6, "2.84857e-06"),
            (0.000_123_456_78, "0.000123457"),
            (999_999.5, "1e+06"),
            (123_456.7, "123457"),
            (1.5e20, "1.5e+20"),
            (-0.25, "-0.25"),
        ];
        for (value, expected) in cases {
            assert_eq!(general(value), expected);
        }
        assert_eq!(general(f64::INFINITY), "inf");
    }
}

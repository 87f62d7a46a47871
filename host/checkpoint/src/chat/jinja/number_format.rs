//! Formats numbers by Python's format codes, for `%` and for `str.format`.

use super::repr::exponent_text;

/// Flags that change how the digits of a number are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberStyle {
    /// The flag `#`: an integer gets the prefix of its base, and a float keeps its dot.
    pub(super) alternative: bool,
}

/// Formats a float without its sign. `code` is one of `e`, `f`, `g` and their capitals.
pub(super) fn format_float(value: f64, precision: usize, code: char, style: NumberStyle) -> String {
    let magnitude = value.abs();
    let text = if magnitude.is_nan() {
        "nan".to_owned()
    } else if magnitude.is_infinite() {
        "inf".to_owned()
    } else {
        match code.to_ascii_lowercase() {
            'e' => scientific(magnitude, precision, style),
            'g' => general(magnitude, precision, style),
            _ => {
                let dot = if style.alternative && precision == 0 { "." } else { "" };
                format!("{magnitude:.precision$}{dot}")
            }
        }
    };
    if code.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

fn scientific(value: f64, precision: usize, style: NumberStyle) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let dot = if style.alternative && precision == 0 { "." } else { "" };
    format!("{mantissa}{dot}{}", exponent_text(exponent.parse().unwrap_or(0)))
}

/// C's `%g`: this number of significant digits, in the shorter of the two notations.
fn general(value: f64, precision: usize, style: NumberStyle) -> String {
    let digits = precision.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let short = |text: &str| match style.alternative {
        false if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        return short(mantissa) + &exponent_text(exponent);
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    short(&format!("{value:.decimals$}"))
}

/// Formats an integer without its sign. `code` is one of `d`, `x`, `X`, `o` and `b`.
pub(super) fn format_integer(value: i128, code: char, style: NumberStyle) -> String {
    let value = value.unsigned_abs();
    let (base, digits) = match code {
        'x' => ("0x", format!("{value:x}")),
        'X' => ("0X", format!("{value:X}")),
        'o' => ("0o", format!("{value:o}")),
        'b' => ("0b", format!("{value:b}")),
        _ => ("", value.to_string()),
    };
    if style.alternative { format!("{base}{digits}") } else { digits }
}

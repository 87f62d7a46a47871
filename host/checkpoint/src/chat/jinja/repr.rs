//! Converts values to text as Python's `str` and `repr` do.

use super::{
    fuel::Fuel,
    render_error::{RenderError, Result},
    value::{DictKey, DictView, PyRange, PyValue},
};
use std::fmt::Write;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Python's `str(value)`, which is also what `{{ value }}` prints.
pub(super) fn py_str(value: &PyValue, fuel: &Fuel) -> Result<std::rc::Rc<str>> {
    match value {
        PyValue::Str(text) | PyValue::Markup(text) => Ok(text.clone()),
        PyValue::Undefined(_) => Ok("".into()),
        other => Ok(py_repr(other, fuel)?.into()),
    }
}

/// Python's `repr(value)`. Fails for a value whose `repr` contains a memory address.
pub(super) fn py_repr(value: &PyValue, fuel: &Fuel) -> Result<String> {
    let mut out = String::new();
    write_repr(value, &mut out, fuel)?;
    fuel.take_text(out.len())?;
    Ok(out)
}

fn write_repr(value: &PyValue, out: &mut String, fuel: &Fuel) -> Result<()> {
    fuel.take(1)?;
    let between = |out: &mut String, begin: &str, values: &[PyValue], end: &str| {
        out.push_str(begin);
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            write_repr(value, out, fuel)?;
        }
        out.push_str(end);
        Ok(())
    };
    match value {
        PyValue::Undefined(_) => out.push_str("Undefined"),
        PyValue::None => out.push_str("None"),
        PyValue::Bool(true) => out.push_str("True"),
        PyValue::Bool(false) => out.push_str("False"),
        PyValue::Int(value) => out.push_str(&value.to_string()),
        PyValue::Float(value) => out.push_str(&float_repr(*value)),
        PyValue::Str(text) => write_quoted(text, out),
        PyValue::Markup(text) => {
            out.push_str("Markup(");
            write_quoted(text, out);
            out.push(')');
        }
        PyValue::List(items) => between(out, "[", &items.items, "]")?,
        PyValue::Tuple(items) | PyValue::Group(items) => {
            between(out, "(", &items.items, if items.items.len() == 1 { ",)" } else { ")" })?;
        }
        PyValue::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(DictKey::value(key), out, fuel)?;
                out.push_str(": ");
                write_repr(value, out, fuel)?;
            }
            out.push('}');
        }
        PyValue::View(view, _) => {
            let begin = match view {
                DictView::Keys => "dict_keys([",
                DictView::Values => "dict_values([",
                DictView::Items => "dict_items([",
            };
            between(out, begin, &value.iterate()?, "])")?;
        }
        PyValue::Range(PyRange { start, stop, step: 1 }) => {
            out.push_str(&format!("range({start}, {stop})"));
        }
        PyValue::Range(PyRange { start, stop, step }) => {
            out.push_str(&format!("range({start}, {stop}, {step})"));
        }
        other => {
            let name = other.type_name();
            return Err(RenderError::unsupported(format!(
                "printing a {name}, which shows an address"
            )));
        }
    }
    Ok(())
}

/// Writes a string with quotes and Python's escapes.
fn write_quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => {
                let code = c as u32;
                // Writing to a `String` cannot fail.
                let _ = match code {
                    ..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Whether Python's `str.isprintable` is true for a character.
pub(super) fn is_printable(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate,
        Unassigned,
    };
    let category = c.general_category();
    c == ' '
        || !matches!(
            category,
            Control
                | Format
                | Surrogate
                | PrivateUse
                | Unassigned
                | LineSeparator
                | ParagraphSeparator
                | SpaceSeparator
        )
}

/// Python's `repr` of a float: the fewest digits that are read back as the same number.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{mantissa}{}", exponent_text(exponent))
}

/// Formats an exponent with `e`, its sign and at least two digits, for example `e+05`.
pub(super) fn exponent_text(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

//! How Python writes values: `str`, `repr` and floats.

use super::{
    fault::{Fault, Fuel, Result},
    value::{Key, Range, Value, View},
};
use std::fmt::Write;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// What `str` says, which is what a template prints.
pub(super) fn text(value: &Value, fuel: &Fuel) -> Result<std::rc::Rc<str>> {
    match value {
        Value::Str(text) | Value::Markup(text) => Ok(text.clone()),
        Value::Undefined(_) => Ok("".into()),
        other => Ok(repr(other, fuel)?.into()),
    }
}

/// What `repr` says.
pub(super) fn repr(value: &Value, fuel: &Fuel) -> Result<String> {
    let mut out = String::new();
    write_repr(value, &mut out, fuel)?;
    fuel.take_text(out.len())?;
    Ok(out)
}

fn write_repr(value: &Value, out: &mut String, fuel: &Fuel) -> Result<()> {
    fuel.take(1)?;
    let between = |out: &mut String, begin: &str, values: &[Value], end: &str| {
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
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::Str(text) => write_quoted(text, out),
        Value::Markup(text) => {
            out.push_str("Markup(");
            write_quoted(text, out);
            out.push(')');
        }
        Value::List(items) => between(out, "[", &items.items, "]")?,
        Value::Tuple(items) | Value::Group(items) => {
            between(out, "(", &items.items, if items.items.len() == 1 { ",)" } else { ")" })?;
        }
        Value::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(Key::value(key), out, fuel)?;
                out.push_str(": ");
                write_repr(value, out, fuel)?;
            }
            out.push('}');
        }
        Value::View(view, _) => {
            let begin = match view {
                View::Keys => "dict_keys([",
                View::Values => "dict_values([",
                View::Items => "dict_items([",
            };
            between(out, begin, &value.iterate()?, "])")?;
        }
        Value::Range(Range { start, stop, step: 1 }) => {
            out.push_str(&format!("range({start}, {stop})"));
        }
        Value::Range(Range { start, stop, step }) => {
            out.push_str(&format!("range({start}, {stop}, {step})"));
        }
        other => {
            let name = other.type_name();
            return Err(Fault::unsupported(format!("printing a {name}, which shows an address")));
        }
    }
    Ok(())
}

/// A string between quotes with Python's escapes.
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
                // Writing to a string does not fail.
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

/// What `str.isprintable` says of a character.
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

/// The shortest digits that read back as the number, as Python writes them.
pub(super) fn float(value: f64) -> String {
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

/// An exponent with its sign and at least two digits.
pub(super) fn exponent_text(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

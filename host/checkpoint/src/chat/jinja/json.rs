//! The filter `tojson`. transformers replaces Jinja2's filter by Python's `json.dumps`.

use super::{
    arguments::Arguments,
    fuel::Fuel,
    render_error::{RenderError, Result},
    repr::float_repr,
    sorting::sort_by_key,
    value::{DictKey, PyValue},
};

struct JsonStyle {
    ascii: bool,
    indent: Option<String>,
    sorted: bool,
    between: String,
    after_key: String,
}

/// Converts a value to JSON, with the arguments of the filter.
pub(super) fn to_json(value: &PyValue, arguments: Arguments, fuel: &Fuel) -> Result<String> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sorted] = arguments.take("tojson", names)?;
    let is_true = |value: Option<PyValue>| value.is_some_and(|value| value.is_true());
    let indent = match indent {
        None | Some(PyValue::None) => None,
        Some(PyValue::Str(text)) => Some(text.to_string()),
        Some(other) => {
            let width = other.as_int().ok_or_else(|| {
                RenderError::invalid("tojson's indent is neither a number nor a text")
            })?;
            let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
            fuel.take_text(width)?;
            Some(" ".repeat(width))
        }
    };
    let (between, after_key) = match separators {
        None | Some(PyValue::None) => {
            (if indent.is_some() { "," } else { ", " }.into(), ": ".into())
        }
        Some(pair) => match pair.items() {
            Some([PyValue::Str(one), PyValue::Str(two)]) => (one.to_string(), two.to_string()),
            _ => return Err(RenderError::invalid("tojson's separators are not a pair of texts")),
        },
    };
    let style =
        JsonStyle { ascii: is_true(ascii), indent, sorted: is_true(sorted), between, after_key };
    let mut out = String::new();
    style.write(value, 0, &mut out, fuel)?;
    fuel.take_text(out.len())?;
    Ok(out)
}

impl JsonStyle {
    fn write(&self, value: &PyValue, level: usize, out: &mut String, fuel: &Fuel) -> Result<()> {
        fuel.take(1)?;
        match value {
            PyValue::None => out.push_str("null"),
            PyValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            PyValue::Int(value) => out.push_str(&value.to_string()),
            PyValue::Float(value) => out.push_str(&float(*value)),
            PyValue::Str(text) | PyValue::Markup(text) => self.write_text(text, out),
            PyValue::List(items) | PyValue::Tuple(items) | PyValue::Group(items) => {
                out.push('[');
                for (index, item) in items.items.iter().enumerate() {
                    self.begin(index, level, out, fuel)?;
                    self.write(item, level + 1, out, fuel)?;
                }
                self.end(items.items.is_empty(), level, out, fuel)?;
                out.push(']');
            }
            PyValue::Dict(dict) => {
                let mut entries: Vec<(&PyValue, &PyValue)> =
                    dict.entries.iter().map(|(key, value)| (DictKey::value(key), value)).collect();
                if self.sorted {
                    entries = sort_by_key(entries, |(key, _)| Ok((*key).clone()), false, fuel)?;
                }
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.begin(index, level, out, fuel)?;
                    self.write_text(&key_text(key)?, out);
                    out.push_str(&self.after_key);
                    self.write(value, level + 1, out, fuel)?;
                }
                self.end(entries.is_empty(), level, out, fuel)?;
                out.push('}');
            }
            other => {
                let name = other.type_name();
                return Err(RenderError::invalid(format!(
                    "Object of type {name} is not JSON serializable"
                )));
            }
        }
        Ok(())
    }

    /// Writes the separator and the line break before an item.
    fn begin(&self, index: usize, level: usize, out: &mut String, fuel: &Fuel) -> Result<()> {
        if index > 0 {
            out.push_str(&self.between);
        }
        self.line(level + 1, out, fuel)
    }

    fn end(&self, is_empty: bool, level: usize, out: &mut String, fuel: &Fuel) -> Result<()> {
        if is_empty { Ok(()) } else { self.line(level, out, fuel) }
    }

    fn line(&self, level: usize, out: &mut String, fuel: &Fuel) -> Result<()> {
        let Some(indent) = &self.indent else { return Ok(()) };
        fuel.take_text(indent.len() * level)?;
        out.push('\n');
        out.push_str(&indent.repeat(level));
        Ok(())
    }

    fn write_text(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{c}' => out.push_str("\\f"),
                '\u{8}' => out.push_str("\\b"),
                c if (c as u32) < 0x20 || self.ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        float_repr(value)
    }
}

/// Converts a key of a dict to the text that JSON needs.
fn key_text(key: &PyValue) -> Result<String> {
    Ok(match key {
        PyValue::Str(text) | PyValue::Markup(text) => text.to_string(),
        PyValue::None => "null".to_owned(),
        PyValue::Bool(value) => value.to_string(),
        PyValue::Int(value) => value.to_string(),
        PyValue::Float(value) => float(*value),
        other => {
            return Err(RenderError::invalid(format!(
                "keys must be str, int, float, bool or None, not {}",
                other.type_name()
            )));
        }
    })
}

/// Python's `ascii`: escapes the characters beyond ASCII in a `repr`.
pub(super) fn escape_non_ascii_repr(text: &str) -> String {
    let escaped = |c: char| match c as u32 {
        0..=0x7f => c.to_string(),
        code @ ..=0xff => format!("\\x{code:02x}"),
        code @ ..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    };
    text.chars().map(escaped).collect()
}

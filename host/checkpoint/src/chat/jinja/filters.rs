//! Jinja2's built-in filters for texts and numbers. Filters for sequences are in `sequence_filters`.

use super::{
    arguments::{Arguments, expect_int, expect_size, require},
    fuel::Fuel,
    json, letter_case,
    lexer::is_space,
    printf,
    render_error::{RenderError, Result},
    repr::py_str,
    strings,
    value::{DictKey, PyValue, float_to_integer},
};
use std::rc::Rc;

/// Applies a filter for texts or numbers. Returns `None` if there is no such filter in this module.
pub(super) fn apply(
    name: &str,
    value: &PyValue,
    given: Arguments,
    fuel: &Fuel,
) -> Result<Option<PyValue>> {
    let nothing = |given: Arguments| given.take(name, []).map(|[]| ());
    let plain = |value: &PyValue| match value {
        PyValue::Markup(_) => {
            Err(RenderError::unsupported(format!("the filter '{name}' of marked text")))
        }
        other => py_str(other, fuel),
    };
    Ok(Some(match name {
        "upper" | "lower" | "capitalize" | "title" | "wordcount" | "string" => {
            nothing(given)?;
            if let ("string", PyValue::Markup(_)) = (name, value) {
                return Ok(Some(value.clone()));
            }
            let string = plain(value)?;
            fuel.take_text(string.len())?;
            match name {
                "upper" => string.to_uppercase().into(),
                "lower" => string.to_lowercase().into(),
                "capitalize" => letter_case::capitalize(&string)?.into(),
                "title" => title(&string).into(),
                "wordcount" => word_count(&string).into(),
                _ => PyValue::Str(string),
            }
        }
        "trim" => {
            let [chars] = given.take(name, ["chars"])?;
            let string = plain(value)?;
            fuel.take_text(string.len())?;
            match chars {
                None | Some(PyValue::None) => strings::strip(&string, "strip", None).into(),
                Some(PyValue::Str(chars)) => strings::strip(&string, "strip", Some(&chars)).into(),
                Some(_) => return Err(RenderError::invalid("strip arg must be None or str")),
            }
        }
        "replace" => {
            let [old, new, count] = given.take(name, ["old", "new", "count"])?;
            let (old, new) = (require(old, name, "old")?, require(new, name, "new")?);
            let count = match count {
                None | Some(PyValue::None) => -1,
                Some(count) => expect_int(&count, name)?,
            };
            let string = py_str(value, fuel)?;
            let (old, new) = (py_str(&old, fuel)?, py_str(&new, fuel)?);
            strings::replace(&string, &old, &new, count, fuel)?.into()
        }
        "center" => {
            let [width] = given.take(name, ["width"])?;
            let width = width.map_or(Ok(80), |width| expect_size(&width, name))?;
            strings::justify(&plain(value)?, name, width, ' ', fuel)?.into()
        }
        "indent" => indent(value, given, fuel)?.into(),
        "truncate" => truncate(value, given, fuel)?.into(),
        "format" => {
            let string = plain(value)?;
            let values = match (given.positional.is_empty(), given.named.is_empty()) {
                (false, false) => {
                    return Err(RenderError::invalid(
                        "can't handle positional and keyword arguments at the same time",
                    ));
                }
                (_, true) => PyValue::tuple(given.positional)?,
                (true, false) => {
                    let entry = |(name, value): (Rc<str>, PyValue)| (DictKey::text(&name), value);
                    PyValue::dict(given.named.into_iter().map(entry).collect())?
                }
            };
            printf::printf(&string, &values, fuel)?.into()
        }
        "tojson" => json::to_json(value, given, fuel)?.into(),
        "safe" => {
            nothing(given)?;
            PyValue::Markup(py_str(value, fuel)?)
        }
        "e" | "escape" | "forceescape" => {
            nothing(given)?;
            match value {
                PyValue::Markup(_) if name != "forceescape" => value.clone(),
                other => PyValue::Markup(escape(&py_str(other, fuel)?, fuel)?.into()),
            }
        }
        "urlencode" => {
            nothing(given)?;
            match value {
                PyValue::Str(string) => url_quote(string, fuel)?.into(),
                _ => {
                    return Err(RenderError::unsupported(
                        "the filter 'urlencode' of other than text",
                    ));
                }
            }
        }
        "abs" => {
            nothing(given)?;
            match value {
                PyValue::Float(number) => PyValue::Float(number.abs()),
                other => PyValue::Int(expect_int(other, name)?.saturating_abs()),
            }
        }
        "int" => {
            let [default, base] = given.take(name, ["default", "base"])?;
            let base = base.map_or(Ok(10), |base| expect_int(&base, name))?;
            int(value, base)?.unwrap_or(default.unwrap_or(PyValue::Int(0)))
        }
        "float" => {
            let [default] = given.take(name, ["default"])?;
            float(value)?.map(PyValue::Float).unwrap_or(default.unwrap_or(PyValue::Float(0.0)))
        }
        "round" => round(value, given)?,
        "filesizeformat" => {
            let [binary] = given.take(name, ["binary"])?;
            let bytes =
                float(value)?.ok_or_else(|| RenderError::invalid("could not convert to float"))?;
            file_size(bytes, binary.is_some_and(|binary| binary.is_true())).into()
        }
        _ => return Ok(None),
    }))
}

/// Jinja2's filter `title`, which differs from Python's method: words begin after white space, hyphens and opening
/// brackets.
fn title(string: &str) -> String {
    let begins = |c: char| is_space(c) || "-({[<".contains(c);
    let (mut out, mut rest) = (String::new(), string);
    while let Some(first) = rest.chars().next() {
        let end = if begins(first) { rest.find(|c| !begins(c)) } else { rest.find(begins) };
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend(first.to_uppercase());
        out.push_str(&part[first.len_utf8()..].to_lowercase());
        rest = after;
    }
    out
}

fn word_count(string: &str) -> usize {
    string.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

fn indent(value: &PyValue, given: Arguments, fuel: &Fuel) -> Result<String> {
    let [width, first, blank] = given.take("indent", ["width", "first", "blank"])?;
    let is_true = |value: Option<PyValue>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let string = match value {
        PyValue::Str(string) => string,
        other => {
            other.refuse_undefined()?;
            return Err(RenderError::invalid(format!("cannot indent a {}", other.type_name())));
        }
    };
    let indention = match width {
        None => "    ".to_owned(),
        Some(PyValue::Str(text)) => text.to_string(),
        Some(width) => {
            let width = expect_size(&width, "indent")?;
            fuel.take_text(width)?;
            " ".repeat(width)
        }
    };
    let with_newline = format!("{string}\n");
    let lines = strings::split_lines(&with_newline, false);
    fuel.take_text(string.len().saturating_add(indention.len().saturating_mul(lines.len())))?;
    let mut out = if first { indention.clone() } else { String::new() };
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    Ok(out)
}

fn truncate(value: &PyValue, given: Arguments, fuel: &Fuel) -> Result<String> {
    let names = ["length", "killwords", "end", "leeway"];
    let [length, kill_words, end, leeway] = given.take("truncate", names)?;
    let PyValue::Str(string) = value else {
        return Err(RenderError::unsupported("the filter 'truncate' of other than text"));
    };
    let length = length.map_or(Ok(255), |length| expect_size(&length, "truncate"))?;
    let end = end.map_or(Ok("...".into()), |end| py_str(&end, fuel))?;
    let leeway = match leeway {
        None | Some(PyValue::None) => 5,
        Some(leeway) => expect_size(&leeway, "truncate")?,
    };
    let end_length = end.chars().count();
    if length < end_length {
        return Err(RenderError::invalid(format!("expected length >= {end_length}, got {length}")));
    }
    if string.chars().count() <= length.saturating_add(leeway) {
        return Ok(string.to_string());
    }
    let kept: String = string.chars().take(length - end_length).collect();
    let kept = match kill_words.is_some_and(|kill| kill.is_true()) {
        true => &kept[..],
        false => kept.rsplit_once(' ').map_or(&kept[..], |(kept, _)| kept),
    };
    Ok(format!("{kept}{end}"))
}

/// Escapes a text for HTML as MarkupSafe does.
pub(super) fn escape(string: &str, fuel: &Fuel) -> Result<String> {
    let mut out = String::with_capacity(string.len());
    for c in string.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    fuel.take_text(out.len())?;
    Ok(out)
}

fn url_quote(string: &str, fuel: &Fuel) -> Result<String> {
    let mut out = String::new();
    for byte in string.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => {
                out.push(byte.into());
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    fuel.take_text(out.len())?;
    Ok(out)
}

/// Python's `int(value, base)`. Returns `None` where Python raises a `ValueError`, so that the filter's default is
/// used.
fn int(value: &PyValue, base: i128) -> Result<Option<PyValue>> {
    let of_float = |number: f64| match number.is_finite() {
        true => float_to_integer(number.trunc())
            .map(|number| Some(PyValue::Int(number)))
            .ok_or_else(|| RenderError::unsupported("integers beyond 127 bits")),
        false => Ok(None),
    };
    match value {
        PyValue::Undefined(why) => Err(RenderError::invalid(&**why)),
        PyValue::Float(number) => of_float(*number),
        PyValue::Str(text) | PyValue::Markup(text) => {
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
            let base =
                base.ok_or_else(|| RenderError::unsupported("the filter 'int' with that base"))?;
            match parse_int(text, base)? {
                Some(number) => Ok(Some(PyValue::Int(number))),
                None => match float(value)? {
                    Some(number) => of_float(number),
                    None => Ok(None),
                },
            }
        }
        other => Ok(other.as_int().map(PyValue::Int)),
    }
}

fn parse_int(text: &str, base: u32) -> Result<Option<i128>> {
    let text = text.trim_matches(is_space);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let prefix = match base {
        16 => ["0x", "0X"],
        8 => ["0o", "0O"],
        2 => ["0b", "0B"],
        _ => ["_", "_"],
    };
    let digits =
        digits.strip_prefix(prefix[0]).or(digits.strip_prefix(prefix[1])).unwrap_or(digits);
    if digits.chars().any(|c| !c.is_ascii() && c.is_numeric()) {
        return Err(RenderError::unsupported("numbers in other digits than ASCII's"));
    }
    let is_digit = |c: char| c.is_digit(base);
    let fits = digits.starts_with(is_digit)
        && digits.ends_with(is_digit)
        && digits.chars().all(|c| is_digit(c) || c == '_')
        && !digits.contains("__");
    if !fits {
        return Ok(None);
    }
    let number = i128::from_str_radix(&digits.replace('_', ""), base);
    let number = number.map_err(|_| RenderError::unsupported("integers beyond 127 bits"))?;
    Ok(Some(if negative { -number } else { number }))
}

/// Python's `float(value)`. Returns `None` where Python raises a `ValueError`, so that the filter's default is used.
fn float(value: &PyValue) -> Result<Option<f64>> {
    value.refuse_undefined()?;
    let (PyValue::Str(text) | PyValue::Markup(text)) = value else { return Ok(value.as_number()) };
    let text = text.trim_matches(is_space);
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_digit()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    let misplaced = |at: usize| bytes[at] == b'_' && !between_digits(at);
    if (0..bytes.len()).any(misplaced) {
        return Ok(None);
    }
    Ok(text.replace('_', "").parse().ok())
}

fn round(value: &PyValue, given: Arguments) -> Result<PyValue> {
    let [precision, method] = given.take("round", ["precision", "method"])?;
    let precision = precision.map_or(Ok(0), |precision| expect_int(&precision, "round"))?;
    let method = method.unwrap_or_else(|| "common".into());
    let number = value.as_number().ok_or_else(|| {
        value.refuse_undefined().err().unwrap_or_else(|| {
            RenderError::invalid(format!(
                "type {} doesn't define __round__ method",
                value.type_name()
            ))
        })
    })?;
    let decimals = usize::try_from(precision).ok().filter(|decimals| *decimals < 300);
    let too_fine = || RenderError::unsupported(format!("rounding to {precision} digits"));
    match method.as_str() {
        Some("common") => match value.as_int() {
            Some(whole) if precision >= 0 => Ok(PyValue::Int(whole)),
            Some(_) => Err(too_fine()),
            None if !number.is_finite() => Ok(PyValue::Float(number)),
            None => {
                let rounded = format!("{number:.*}", decimals.ok_or_else(too_fine)?);
                Ok(PyValue::Float(rounded.parse().unwrap_or(number)))
            }
        },
        Some(method @ ("ceil" | "floor")) => {
            let scale = 10f64.powi(decimals.ok_or_else(too_fine)? as i32);
            let scaled = number * scale;
            let rounded = if method == "ceil" { scaled.ceil() } else { scaled.floor() };
            Ok(PyValue::Float((rounded + 0.0) / scale))
        }
        _ => Err(RenderError::invalid("method must be common, ceil or floor")),
    }
}

fn file_size(bytes: f64, binary: bool) -> String {
    let (base, units) = match binary {
        true => (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]),
        false => (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    if bytes == 1.0 {
        return "1 Byte".to_owned();
    }
    if bytes < base {
        return format!("{} Bytes", bytes.trunc());
    }
    let mut limit = base;
    for (index, unit) in units.iter().enumerate() {
        limit *= base;
        if bytes < limit || index + 1 == units.len() {
            return format!("{:.1} {unit}", base * bytes / limit);
        }
    }
    String::new()
}

//! Jinja2's filters of texts and numbers. Those that go through values are in `sequence_filters`.

use super::{
    arguments::{Arguments, int_of, required, size_of},
    fault::{Fault, Fuel, Result},
    json, letter_case,
    lexer::is_space,
    printf, strings,
    text::text,
    value::{Value, whole},
};
use std::rc::Rc;

/// Applies a filter of texts and numbers; none where the name is none of them.
pub(super) fn apply(
    name: &str,
    value: &Value,
    given: Arguments,
    fuel: &Fuel,
) -> Result<Option<Value>> {
    let nothing = |given: Arguments| given.take(name, []).map(|[]| ());
    let plain = |value: &Value| match value {
        Value::Markup(_) => Err(Fault::unsupported(format!("the filter '{name}' of marked text"))),
        other => text(other, fuel),
    };
    Ok(Some(match name {
        "upper" | "lower" | "capitalize" | "title" | "wordcount" | "string" => {
            nothing(given)?;
            if let ("string", Value::Markup(_)) = (name, value) {
                return Ok(Some(value.clone()));
            }
            let of = plain(value)?;
            fuel.take_text(of.len())?;
            match name {
                "upper" => of.to_uppercase().into(),
                "lower" => of.to_lowercase().into(),
                "capitalize" => letter_case::capitalize(&of)?.into(),
                "title" => title(&of).into(),
                "wordcount" => word_count(&of).into(),
                _ => Value::Str(of),
            }
        }
        "trim" => {
            let [chars] = given.take(name, ["chars"])?;
            let of = plain(value)?;
            fuel.take_text(of.len())?;
            match chars {
                None | Some(Value::None) => strings::strip(&of, "strip", None).into(),
                Some(Value::Str(chars)) => strings::strip(&of, "strip", Some(&chars)).into(),
                Some(_) => return Err(Fault::invalid("strip arg must be None or str")),
            }
        }
        "replace" => {
            let [old, new, count] = given.take(name, ["old", "new", "count"])?;
            let (old, new) = (required(old, name, "old")?, required(new, name, "new")?);
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => int_of(&count, name)?,
            };
            let of = text(value, fuel)?;
            let (old, new) = (text(&old, fuel)?, text(&new, fuel)?);
            strings::replace(&of, &old, &new, count, fuel)?.into()
        }
        "center" => {
            let [width] = given.take(name, ["width"])?;
            let width = width.map_or(Ok(80), |width| size_of(&width, name))?;
            strings::justify(&plain(value)?, name, width, ' ', fuel)?.into()
        }
        "indent" => indent(value, given, fuel)?.into(),
        "truncate" => truncate(value, given, fuel)?.into(),
        "format" => {
            let of = plain(value)?;
            let values = match (given.positional.is_empty(), given.named.is_empty()) {
                (false, false) => {
                    return Err(Fault::invalid(
                        "can't handle positional and keyword arguments at the same time",
                    ));
                }
                (_, true) => Value::tuple(given.positional)?,
                (true, false) => {
                    let entry =
                        |(name, value): (Rc<str>, Value)| (super::value::Key::text(&name), value);
                    Value::dict(given.named.into_iter().map(entry).collect())?
                }
            };
            printf::printf(&of, &values, fuel)?.into()
        }
        "tojson" => json::to_json(value, given, fuel)?.into(),
        "safe" => {
            nothing(given)?;
            Value::Markup(text(value, fuel)?)
        }
        "e" | "escape" | "forceescape" => {
            nothing(given)?;
            match value {
                Value::Markup(_) if name != "forceescape" => value.clone(),
                other => Value::Markup(escape(&text(other, fuel)?, fuel)?.into()),
            }
        }
        "urlencode" => {
            nothing(given)?;
            match value {
                Value::Str(of) => url_quote(of, fuel)?.into(),
                _ => return Err(Fault::unsupported("the filter 'urlencode' of other than text")),
            }
        }
        "abs" => {
            nothing(given)?;
            match value {
                Value::Float(number) => Value::Float(number.abs()),
                other => Value::Int(int_of(other, name)?.saturating_abs()),
            }
        }
        "int" => {
            let [default, base] = given.take(name, ["default", "base"])?;
            let base = base.map_or(Ok(10), |base| int_of(&base, name))?;
            int(value, base)?.unwrap_or(default.unwrap_or(Value::Int(0)))
        }
        "float" => {
            let [default] = given.take(name, ["default"])?;
            float(value)?.map(Value::Float).unwrap_or(default.unwrap_or(Value::Float(0.0)))
        }
        "round" => round(value, given)?,
        "filesizeformat" => {
            let [binary] = given.take(name, ["binary"])?;
            let bytes =
                float(value)?.ok_or_else(|| Fault::invalid("could not convert to float"))?;
            file_size(bytes, binary.is_some_and(|binary| binary.is_true())).into()
        }
        _ => return Ok(None),
    }))
}

/// Jinja2's own title case: words begin after spaces, hyphens and opening brackets.
fn title(of: &str) -> String {
    let begins = |c: char| is_space(c) || "-({[<".contains(c);
    let (mut out, mut rest) = (String::new(), of);
    while let Some(first) = rest.chars().next() {
        let end = if begins(first) { rest.find(|c| !begins(c)) } else { rest.find(begins) };
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend(first.to_uppercase());
        out.push_str(&part[first.len_utf8()..].to_lowercase());
        rest = after;
    }
    out
}

fn word_count(of: &str) -> usize {
    of.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

fn indent(value: &Value, given: Arguments, fuel: &Fuel) -> Result<String> {
    let [width, first, blank] = given.take("indent", ["width", "first", "blank"])?;
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(first), is_true(blank));
    let of = match value {
        Value::Str(of) => of,
        other => {
            other.refuse_undefined()?;
            return Err(Fault::invalid(format!("cannot indent a {}", other.type_name())));
        }
    };
    let indention = match width {
        None => "    ".to_owned(),
        Some(Value::Str(text)) => text.to_string(),
        Some(width) => {
            let width = size_of(&width, "indent")?;
            fuel.take_text(width)?;
            " ".repeat(width)
        }
    };
    let with_newline = format!("{of}\n");
    let lines = strings::lines(&with_newline, false);
    fuel.take_text(of.len().saturating_add(indention.len().saturating_mul(lines.len())))?;
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

fn truncate(value: &Value, given: Arguments, fuel: &Fuel) -> Result<String> {
    let names = ["length", "killwords", "end", "leeway"];
    let [length, kill_words, end, leeway] = given.take("truncate", names)?;
    let Value::Str(of) = value else {
        return Err(Fault::unsupported("the filter 'truncate' of other than text"));
    };
    let length = length.map_or(Ok(255), |length| size_of(&length, "truncate"))?;
    let end = end.map_or(Ok("...".into()), |end| text(&end, fuel))?;
    let leeway = match leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => size_of(&leeway, "truncate")?,
    };
    let end_length = end.chars().count();
    if length < end_length {
        return Err(Fault::invalid(format!("expected length >= {end_length}, got {length}")));
    }
    if of.chars().count() <= length.saturating_add(leeway) {
        return Ok(of.to_string());
    }
    let kept: String = of.chars().take(length - end_length).collect();
    let kept = match kill_words.is_some_and(|kill| kill.is_true()) {
        true => &kept[..],
        false => kept.rsplit_once(' ').map_or(&kept[..], |(kept, _)| kept),
    };
    Ok(format!("{kept}{end}"))
}

/// MarkupSafe's escapes.
pub(super) fn escape(of: &str, fuel: &Fuel) -> Result<String> {
    let mut out = String::with_capacity(of.len());
    for c in of.chars() {
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

fn url_quote(of: &str, fuel: &Fuel) -> Result<String> {
    let mut out = String::new();
    for byte in of.bytes() {
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

/// What Python's `int` reads; none where it fails.
fn int(value: &Value, base: i128) -> Result<Option<Value>> {
    let of_float = |number: f64| match number.is_finite() {
        true => whole(number.trunc())
            .map(|number| Some(Value::Int(number)))
            .ok_or_else(|| Fault::unsupported("integers beyond 127 bits")),
        false => Ok(None),
    };
    match value {
        Value::Undefined(why) => Err(Fault::invalid(&**why)),
        Value::Float(number) => of_float(*number),
        Value::Str(text) | Value::Markup(text) => {
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
            let base = base.ok_or_else(|| Fault::unsupported("the filter 'int' with that base"))?;
            match parse_int(text, base)? {
                Some(number) => Ok(Some(Value::Int(number))),
                None => match float(value)? {
                    Some(number) => of_float(number),
                    None => Ok(None),
                },
            }
        }
        other => Ok(other.as_int().map(Value::Int)),
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
        return Err(Fault::unsupported("numbers in other digits than ASCII's"));
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
    let number = number.map_err(|_| Fault::unsupported("integers beyond 127 bits"))?;
    Ok(Some(if negative { -number } else { number }))
}

/// What Python's `float` reads; none where it fails.
fn float(value: &Value) -> Result<Option<f64>> {
    value.refuse_undefined()?;
    let (Value::Str(text) | Value::Markup(text)) = value else { return Ok(value.as_number()) };
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

fn round(value: &Value, given: Arguments) -> Result<Value> {
    let [precision, method] = given.take("round", ["precision", "method"])?;
    let precision = precision.map_or(Ok(0), |precision| int_of(&precision, "round"))?;
    let method = method.unwrap_or_else(|| "common".into());
    let number = value.as_number().ok_or_else(|| {
        value.refuse_undefined().err().unwrap_or_else(|| {
            Fault::invalid(format!("type {} doesn't define __round__ method", value.type_name()))
        })
    })?;
    let decimals = usize::try_from(precision).ok().filter(|decimals| *decimals < 300);
    let too_fine = || Fault::unsupported(format!("rounding to {precision} digits"));
    match method.as_str() {
        Some("common") => match value.as_int() {
            Some(whole) if precision >= 0 => Ok(Value::Int(whole)),
            Some(_) => Err(too_fine()),
            None if !number.is_finite() => Ok(Value::Float(number)),
            None => {
                let rounded = format!("{number:.*}", decimals.ok_or_else(too_fine)?);
                Ok(Value::Float(rounded.parse().unwrap_or(number)))
            }
        },
        Some(method @ ("ceil" | "floor")) => {
            let scale = 10f64.powi(decimals.ok_or_else(too_fine)? as i32);
            let scaled = number * scale;
            let rounded = if method == "ceil" { scaled.ceil() } else { scaled.floor() };
            Ok(Value::Float((rounded + 0.0) / scale))
        }
        _ => Err(Fault::invalid("method must be common, ceil or floor")),
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

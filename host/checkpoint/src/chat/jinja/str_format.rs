//! Python's `str.format`, with the rules of Jinja2's sandbox.

use super::{
    arguments::Arguments,
    attributes,
    fuel::Fuel,
    number_format::{self, NumberStyle},
    render_error::{RenderError, Result},
    repr::{float_repr, py_repr, py_str},
    value::PyValue,
};

/// Deepest nesting of braces: the specification of a field may contain fields, but their specifications may not.
const MAX_LEVELS: usize = 3;

/// Replaces the fields in braces by the arguments.
pub(super) fn format(string: &str, given: &Arguments, fuel: &Fuel) -> Result<String> {
    let mut next = Some(0);
    format_fields(string, given, &mut next, MAX_LEVELS, fuel)
}

fn format_fields(
    string: &str,
    given: &Arguments,
    next: &mut Option<usize>,
    levels: usize,
    fuel: &Fuel,
) -> Result<String> {
    if levels == 0 {
        return Err(RenderError::invalid("Max string recursion exceeded"));
    }
    let (mut out, mut rest) = (String::new(), string);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(RenderError::invalid("Single '}' encountered in format string"));
        }
        let end = find_closing_brace(rest)
            .ok_or_else(|| RenderError::invalid("expected '}' before end of string"))?;
        let field = &rest[..end];
        rest = &rest[end + 1..];
        let (field, specification) = match find_outside_brackets(field, ':') {
            Some(at) => (&field[..at], &field[at + 1..]),
            None => (field, ""),
        };
        let (field, conversion) = match field.rsplit_once('!') {
            Some((field, conversion)) => (field, conversion),
            None => (field, ""),
        };
        let value = field_value(field, given, next, fuel)?;
        let value = match conversion {
            "" => value,
            "s" => PyValue::Str(py_str(&value, fuel)?),
            "r" => PyValue::from(py_repr(&value, fuel)?),
            _ => return Err(RenderError::unsupported(format!("the conversion '!{conversion}'"))),
        };
        let specification = format_fields(specification, given, next, levels - 1, fuel)?;
        out.push_str(&format_value(&value, &specification, fuel)?);
    }
    out.push_str(rest);
    fuel.take_text(out.len())?;
    Ok(out)
}

/// Returns the position of the brace that closes a field.
fn find_closing_brace(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        None
    })
}

fn find_outside_brackets(text: &str, sought: char) -> Option<usize> {
    let mut inside = false;
    text.char_indices().find_map(|(at, c)| {
        inside = c == '[' || inside && c != ']';
        (c == sought && !inside).then_some(at)
    })
}

/// Evaluates the name of a field, `name.attribute[item]`. `next` is the number of the next field without a name, and
/// `None` once a field has given its number.
fn field_value(
    field: &str,
    given: &Arguments,
    next: &mut Option<usize>,
    fuel: &Fuel,
) -> Result<PyValue> {
    let end = field.find(['.', '[']).unwrap_or(field.len());
    let (name, mut path) = field.split_at(end);
    let index = if name.is_empty() {
        let index = next.ok_or_else(|| {
            RenderError::invalid(
                "cannot switch from manual field specification to automatic field numbering",
            )
        })?;
        *next = Some(index + 1);
        Some(index)
    } else {
        let index = name.parse::<usize>().ok();
        if index.is_some() {
            if next.is_some_and(|next| next > 0) {
                return Err(RenderError::invalid(
                    "cannot switch from automatic field numbering to manual field specification",
                ));
            }
            *next = None;
        }
        index
    };
    let found = match index {
        Some(index) => given.positional.get(index),
        None => given.named.iter().find(|(known, _)| **known == *name).map(|(_, value)| value),
    };
    let mut value = found
        .cloned()
        .ok_or_else(|| RenderError::invalid(format!("the format has no value for '{{{name}}}'")))?;
    while !path.is_empty() {
        if let Some(after) = path.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = attributes::attribute(&value, &after[..end]);
            path = &after[end..];
        } else {
            let after = path.strip_prefix('[').unwrap_or(path);
            let end = after
                .find(']')
                .ok_or_else(|| RenderError::invalid("Missing ']' in format string"))?;
            let key = &after[..end];
            let key = key.parse().map_or_else(|_| PyValue::from(key), PyValue::Int);
            value = attributes::item(&value, &key, fuel)?;
            path = &after[end + 1..];
        }
    }
    Ok(value)
}

/// Formats a value by its specification: `[[fill]align][sign][#][0][width][,][.precision][type]`.
fn format_value(value: &PyValue, specification: &str, fuel: &Fuel) -> Result<String> {
    if specification.is_empty() {
        return Ok(py_str(value, fuel)?.to_string());
    }
    let invalid = || RenderError::invalid(format!("Invalid format specifier '{specification}'"));
    let chars: Vec<char> = specification.chars().collect();
    let is_align = |at: usize| chars.get(at).is_some_and(|c| "<>=^".contains(*c));
    let (mut fill, mut align, mut at) = (' ', None, 0);
    if is_align(1) {
        (fill, align, at) = (chars[0], Some(chars[1]), 2);
    } else if is_align(0) {
        (align, at) = (Some(chars[0]), 1);
    }
    let mut takes = |wanted: &str| {
        let found = chars.get(at).copied().filter(|c| wanted.contains(*c));
        at += usize::from(found.is_some());
        found
    };
    let sign = takes("+- ");
    let style = NumberStyle { alternative: takes("#").is_some() };
    if takes("0").is_some() && align.is_none() {
        (fill, align) = ('0', Some('='));
    }
    let number = |takes: &mut dyn FnMut(&str) -> Option<char>| {
        let mut digits = String::new();
        while let Some(digit) = takes("0123456789") {
            digits.push(digit);
        }
        if digits.is_empty() { Ok(None) } else { digits.parse().map(Some).map_err(|_| invalid()) }
    };
    let width: usize = number(&mut takes)?.unwrap_or(0);
    let group = takes(",_");
    let precision = match takes(".") {
        Some(_) => Some(number(&mut takes)?.ok_or_else(invalid)?),
        None => None,
    };
    let code = chars.get(at).copied();
    if at + 1 < chars.len() {
        return Err(invalid());
    }
    fuel.take_text(width.saturating_add(precision.unwrap_or(0)))?;
    let (is_negative, mut body) = match (value, code) {
        (PyValue::Str(string), None | Some('s')) => {
            let most = precision.unwrap_or(usize::MAX);
            (false, string.chars().take(most).collect::<String>())
        }
        (PyValue::Int(number), None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b')) => {
            (*number < 0, number_format::format_integer(*number, code.unwrap_or('d'), style))
        }
        (PyValue::Float(number), None) if precision.is_none() => {
            (number.is_sign_negative(), float_repr(number.abs()))
        }
        (
            PyValue::Int(_) | PyValue::Float(_),
            Some(code @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%')),
        ) => {
            let number = value.as_number().unwrap_or(0.0);
            let precision = precision.unwrap_or(6);
            let digits = match code {
                '%' => number_format::format_float(number * 100.0, precision, 'f', style) + "%",
                code => number_format::format_float(number, precision, code, style),
            };
            (number.is_sign_negative(), digits)
        }
        (PyValue::Str(_) | PyValue::Int(_) | PyValue::Float(_), Some(code))
            if !"cn".contains(code) =>
        {
            let name = value.type_name();
            return Err(RenderError::invalid(format!(
                "Unknown format code '{code}' for object of type '{name}'"
            )));
        }
        _ => {
            let name = value.type_name();
            return Err(RenderError::unsupported(format!(
                "the format '{specification}' of a {name}"
            )));
        }
    };
    let is_text = matches!(value, PyValue::Str(_));
    if is_text && (sign.is_some() || align == Some('=') && fill != '0') {
        return Err(RenderError::invalid("Sign not allowed in string format specifier"));
    }
    if let Some(group) = group {
        if is_text || fill == '0' {
            return Err(RenderError::unsupported(format!("the format '{specification}'")));
        }
        body = grouped(&body, group);
    }
    let sign = match (is_negative, sign) {
        (true, _) => "-",
        (_, Some('+')) => "+",
        (_, Some(' ')) => " ",
        _ => "",
    };
    let missing = width.saturating_sub(sign.len() + body.chars().count());
    let fill = |count: usize| String::from(fill).repeat(count);
    let align = align.unwrap_or(if is_text { '<' } else { '>' });
    Ok(match align {
        '<' => format!("{sign}{body}{}", fill(missing)),
        '=' if is_text => format!("{body}{}", fill(missing)),
        '=' => format!("{sign}{}{body}", fill(missing)),
        '^' => format!("{}{sign}{body}{}", fill(missing / 2), fill(missing - missing / 2)),
        _ => format!("{}{sign}{body}", fill(missing)),
    })
}

/// Puts a separator between each three digits of the integer part.
fn grouped(digits: &str, sign: char) -> String {
    let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
    let mut out = String::new();
    for (index, digit) in digits[..whole].chars().enumerate() {
        if index > 0 && (whole - index) % 3 == 0 {
            out.push(sign);
        }
        out.push(digit);
    }
    out + &digits[whole..]
}

//! Python's `text % values`.

use super::{
    fuel::Fuel,
    number_format::{self, NumberStyle},
    render_error::{RenderError, Result},
    repr::{py_repr, py_str},
    value::{DictKey, PyValue, float_to_integer},
};

/// The flags, width and precision of one `%`.
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    style: NumberStyle,
    width: usize,
    precision: Option<usize>,
}

/// The right operand of `%`, and how many of its values have been used.
struct FormatArguments<'v> {
    all: &'v PyValue,
    positional: Vec<PyValue>,
    taken: usize,
}

impl FormatArguments<'_> {
    fn next(&mut self) -> Result<PyValue> {
        let value = self.positional.get(self.taken).cloned();
        self.taken += 1;
        value.ok_or_else(|| RenderError::invalid("not enough arguments for format string"))
    }

    fn named(&self, name: &str) -> Result<PyValue> {
        let PyValue::Dict(dict) = self.all else {
            return Err(RenderError::invalid("format requires a mapping"));
        };
        let value = dict.entries.get(&DictKey::text(name)).cloned();
        value.ok_or_else(|| RenderError::invalid(format!("KeyError: '{name}'")))
    }

    /// Reads a width or a precision from the front of `rest`. `*` stands for the next value.
    fn size(&mut self, rest: &mut &str) -> Result<usize> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            let size = self.next()?.as_int().ok_or_else(|| RenderError::invalid("* wants int"))?;
            return usize::try_from(size).map_err(|_| RenderError::unsupported("a negative width"));
        }
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let size = rest[..length].parse();
        *rest = &rest[length..];
        if length == 0 {
            return Ok(0);
        }
        size.map_err(|_| RenderError::invalid("width too big"))
    }
}

/// Evaluates `format % all`.
pub(super) fn printf(format: &str, all: &PyValue, fuel: &Fuel) -> Result<String> {
    let (positional, is_tuple) = match all {
        PyValue::Tuple(items) | PyValue::Group(items) => (items.items.clone(), true),
        one => (vec![one.clone()], false),
    };
    let mut values = FormatArguments { all, positional, taken: 0 };
    let (mut out, mut rest) = (String::new(), format);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut named = None;
        if let Some(after) = rest.strip_prefix('(') {
            let end =
                after.find(')').ok_or_else(|| RenderError::invalid("incomplete format key"))?;
            named = Some(values.named(&after[..end])?);
            rest = &after[end + 1..];
        }
        let mut conversion = Conversion::default();
        while let Some(flag) = rest.chars().next().filter(|flag| "-+ 0#".contains(*flag)) {
            match flag {
                '-' => conversion.left = true,
                '+' => conversion.plus = true,
                ' ' => conversion.space = true,
                '0' => conversion.zero = true,
                _ => conversion.style.alternative = true,
            }
            rest = &rest[1..];
        }
        conversion.width = values.size(&mut rest)?;
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            conversion.precision = Some(values.size(&mut rest)?);
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let code = rest.chars().next().ok_or_else(|| RenderError::invalid("incomplete format"))?;
        rest = &rest[code.len_utf8()..];
        fuel.take_text(conversion.width.saturating_add(conversion.precision.unwrap_or(0)))?;
        if code == '%' {
            out.push('%');
            continue;
        }
        let value = match named {
            Some(value) => {
                values.taken = values.positional.len();
                value
            }
            None => values.next()?,
        };
        out.push_str(&conversion.write(code, &value, fuel)?);
    }
    out.push_str(rest);
    fuel.take_text(out.len())?;
    let is_mapping =
        !is_tuple && matches!(all, PyValue::Dict(_) | PyValue::List(_) | PyValue::Range(_));
    if values.taken < values.positional.len() && !is_mapping {
        return Err(RenderError::invalid("not all arguments converted during string formatting"));
    }
    Ok(out)
}

impl Conversion {
    fn write(&self, code: char, value: &PyValue, fuel: &Fuel) -> Result<String> {
        let wants = |what: &str| {
            let name = value.type_name();
            value.refuse_undefined().err().unwrap_or_else(|| {
                RenderError::invalid(format!("%{code} format: {what} is required, not {name}"))
            })
        };
        match code {
            's' | 'r' | 'a' => {
                let shown = match code {
                    's' => py_str(value, fuel)?.to_string(),
                    'r' => py_repr(value, fuel)?,
                    _ => super::json::escape_non_ascii_repr(&py_repr(value, fuel)?),
                };
                let shown = match self.precision {
                    Some(most) => shown.chars().take(most).collect(),
                    None => shown,
                };
                Ok(self.pad("", &shown, false))
            }
            'c' => match value {
                PyValue::Str(one) if one.chars().count() == 1 => Ok(self.pad("", one, false)),
                other => match other.as_int().map(|code| u32::try_from(code).ok()) {
                    Some(code) => match code.and_then(char::from_u32) {
                        Some(c) => Ok(self.pad("", &c.to_string(), false)),
                        None => Err(RenderError::invalid("%c arg not in range(0x110000)")),
                    },
                    None => Err(RenderError::invalid("%c requires int or char")),
                },
            },
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
                let number = match value {
                    PyValue::Float(number) if "diu".contains(code) => {
                        float_to_integer(number.trunc()).ok_or_else(|| {
                            RenderError::invalid("cannot convert float to integer")
                        })?
                    }
                    other => other.as_int().ok_or_else(|| {
                        wants(if "diu".contains(code) { "a real number" } else { "an integer" })
                    })?,
                };
                let digits = number_format::format_integer(number, code, NumberStyle::default());
                let digits = format!("{digits:0>width$}", width = self.precision.unwrap_or(0));
                let base = match code {
                    'x' | 'X' | 'o' if self.style.alternative => ["0x", "0X", "0o"]
                        [if code == 'x' { 0 } else { 1 + usize::from(code == 'o') }],
                    _ => "",
                };
                Ok(self.pad(&(self.sign(number < 0) + base), &digits, true))
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = value.as_number().ok_or_else(|| wants("a real number"))?;
                let digits = number_format::format_float(
                    number,
                    self.precision.unwrap_or(6),
                    code,
                    self.style,
                );
                Ok(self.pad(
                    &self.sign(number.is_sign_negative() && !number.is_nan()),
                    &digits,
                    true,
                ))
            }
            other => Err(RenderError::invalid(format!("unsupported format character '{other}'"))),
        }
    }

    fn sign(&self, negative: bool) -> String {
        match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
        .to_owned()
    }

    fn pad(&self, sign: &str, body: &str, is_number: bool) -> String {
        let length = sign.len() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        match (self.left, self.zero && is_number) {
            (true, _) => format!("{sign}{body}{}", " ".repeat(missing)),
            (_, true) => format!("{sign}{}{body}", "0".repeat(missing)),
            _ => format!("{}{sign}{body}", " ".repeat(missing)),
        }
    }
}

//! Python's operators between values.

use super::{
    fault::{Fault, Fuel, Result},
    filters, printf,
    text::text,
    value::{Range, Value},
};
use std::cmp::Ordering;

/// `one sign two`.
pub(super) fn binary(sign: &str, one: &Value, two: &Value, fuel: &Fuel) -> Result<Value> {
    if let ("%", Value::Str(text), values) = (sign, one, two) {
        return Ok(Value::from(printf::printf(text, values, fuel)?));
    }
    one.refuse_undefined()?;
    two.refuse_undefined()?;
    if let (Some(a), Some(b)) = (one.as_int(), two.as_int()) {
        return integers(sign, a, b);
    }
    if let (Some(a), Some(b)) = (one.as_number(), two.as_number()) {
        return floats(sign, a, b);
    }
    match (sign, one, two) {
        ("+", Value::Markup(_), Value::Str(_) | Value::Markup(_))
        | ("+", Value::Str(_), Value::Markup(_)) => {
            let marked = |value: &Value| match value {
                Value::Str(text) => filters::escape(text, fuel),
                other => Ok(text(other, fuel)?.to_string()),
            };
            Ok(Value::Markup((marked(one)? + &marked(two)?).into()))
        }
        (_, Value::Markup(_), _) | (_, _, Value::Markup(_)) => {
            Err(Fault::unsupported(format!("'{sign}' with text that 'safe' or 'escape' marked")))
        }
        ("+", Value::Str(a), Value::Str(b)) => {
            fuel.take_text(a.len() + b.len())?;
            Ok(Value::from(format!("{a}{b}")))
        }
        ("+", Value::List(a), Value::List(b)) => {
            fuel.take(a.items.len() + b.items.len())?;
            Value::list([&a.items[..], &b.items].concat())
        }
        ("+", Value::Tuple(a) | Value::Group(a), Value::Tuple(b) | Value::Group(b)) => {
            fuel.take(a.items.len() + b.items.len())?;
            Value::tuple([&a.items[..], &b.items].concat())
        }
        ("*", of, times) if times.as_int().is_some() && of.len().is_some() => {
            repeat(of, times.as_int().unwrap_or(0), fuel)
        }
        ("*", times, of) if times.as_int().is_some() && of.len().is_some() => {
            repeat(of, times.as_int().unwrap_or(0), fuel)
        }
        _ => Err(unsupported_operands(sign, one, two)),
    }
}

fn unsupported_operands(sign: &str, one: &Value, two: &Value) -> Fault {
    let (a, b) = (one.type_name(), two.type_name());
    Fault::invalid(match (sign, one) {
        ("+", Value::Str(_)) => format!("can only concatenate str (not \"{b}\") to str"),
        _ => format!("unsupported operand type(s) for {sign}: '{a}' and '{b}'"),
    })
}

fn repeat(value: &Value, times: i128, fuel: &Fuel) -> Result<Value> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match value {
        Value::Str(text) => {
            fuel.take_text(text.len().saturating_mul(times))?;
            Ok(Value::from(text.repeat(times)))
        }
        Value::List(items) | Value::Tuple(items) | Value::Group(items) => {
            fuel.take(items.items.len().saturating_mul(times))?;
            let repeated = std::iter::repeat_n(&items.items, times);
            let items = repeated.flatten().cloned().collect();
            if matches!(value, Value::List(_)) { Value::list(items) } else { Value::tuple(items) }
        }
        other => Err(unsupported_operands("*", other, &Value::Int(1))),
    }
}

fn integers(sign: &str, a: i128, b: i128) -> Result<Value> {
    let by_zero = || Fault::invalid("division by zero");
    let value = match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => return floats("/", a as f64, b as f64),
        "//" | "%" if b == 0 => return Err(by_zero()),
        "//" => a.checked_div_euclid(b).map(|euclid| floor_of(euclid, a, b)),
        "%" => a.checked_rem_euclid(b).map(|rest| if rest != 0 && b < 0 { rest + b } else { rest }),
        _ if b < 0 => return floats("**", a as f64, b as f64),
        _ => u32::try_from(b).ok().and_then(|power| a.checked_pow(power)),
    };
    value.map(Value::Int).ok_or_else(|| Fault::unsupported("integers beyond 127 bits"))
}

/// Python's quotient is rounded down; Euclid's leaves a rest that is not negative.
fn floor_of(euclid: i128, a: i128, b: i128) -> i128 {
    if b < 0 && a.rem_euclid(b) != 0 { euclid - 1 } else { euclid }
}

fn floats(sign: &str, a: f64, b: f64) -> Result<Value> {
    if b == 0.0 && ["/", "//", "%"].contains(&sign) {
        let message = if sign == "/" { "division by zero" } else { "float floor division by zero" };
        return Err(Fault::invalid(message));
    }
    let remainder = || {
        let rest = a % b;
        if rest == 0.0 {
            0.0_f64.copysign(b)
        } else if (rest < 0.0) == (b < 0.0) {
            rest
        } else {
            rest + b
        }
    };
    Ok(Value::Float(match sign {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => remainder(),
        "//" => {
            let quotient = (a - remainder()) / b;
            let floor = quotient.floor();
            if quotient == 0.0 {
                0.0_f64.copysign(a / b)
            } else if quotient - floor > 0.5 {
                floor + 1.0
            } else {
                floor
            }
        }
        _ if a == 0.0 && b < 0.0 => {
            return Err(Fault::invalid("0.0 cannot be raised to a negative power"));
        }
        _ if a < 0.0 && b.fract() != 0.0 => return Err(Fault::unsupported("complex numbers")),
        _ => {
            let power = a.powf(b);
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(Fault::invalid("Numerical result out of range"));
            }
            power
        }
    }))
}

/// `-value` and `+value`.
pub(super) fn sign(sign: &str, value: &Value) -> Result<Value> {
    value.refuse_undefined()?;
    let negative = sign == "-";
    match value {
        Value::Float(number) => Ok(Value::Float(if negative { -number } else { *number })),
        other => match other.as_int() {
            Some(number) => Ok(Value::Int(if negative { number.saturating_neg() } else { number })),
            None => Err(Fault::invalid(format!(
                "bad operand type for unary {sign}: '{}'",
                other.type_name()
            ))),
        },
    }
}

/// `one sign two` of a comparison.
pub(super) fn compare(sign: &str, one: &Value, two: &Value, fuel: &Fuel) -> Result<bool> {
    fuel.take(1)?;
    Ok(match sign {
        "==" => one == two,
        "!=" => one != two,
        "in" => contains(two, one, fuel)?,
        "not in" => !contains(two, one, fuel)?,
        _ => match one.order(two, sign)? {
            None => false,
            Some(Ordering::Less) => sign.starts_with('<'),
            Some(Ordering::Equal) => sign.ends_with('='),
            Some(Ordering::Greater) => sign.starts_with('>'),
        },
    })
}

/// `item in value`.
fn contains(value: &Value, item: &Value, fuel: &Fuel) -> Result<bool> {
    match value {
        Value::Str(text) | Value::Markup(text) => match item {
            Value::Str(part) | Value::Markup(part) => {
                fuel.take_text(text.len())?;
                Ok(text.contains(&**part))
            }
            other => Err(Fault::invalid(format!(
                "'in <string>' requires string as left operand, not {}",
                other.type_name()
            ))),
        },
        Value::Dict(dict) | Value::View(super::value::View::Keys, dict) => {
            Ok(dict.entries.contains_key(&super::value::Key::new(item.clone())?))
        }
        Value::List(items) | Value::Tuple(items) | Value::Group(items) => {
            fuel.take(items.items.len())?;
            Ok(items.items.contains(item))
        }
        Value::Range(range) => Ok((0..range.len()).any(|index| range.get(index) == *item)),
        Value::Iterator(items) => {
            // Going through it ends where the item is found.
            let mut left = items.left.borrow_mut();
            while let Some(next) = left.pop_front() {
                fuel.take(1)?;
                if next == *item {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Undefined(_) | Value::View(..) => Ok(value.iterate()?.contains(item)),
        other => {
            Err(Fault::invalid(format!("argument of type '{}' is not iterable", other.type_name())))
        }
    }
}

/// Where an index points in so many items; a negative one counts from the end.
pub(super) fn position(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// `value[start:stop:step]`.
pub(super) fn slice(value: &Value, bounds: [Option<Value>; 3], fuel: &Fuel) -> Result<Value> {
    value.refuse_undefined()?;
    let length = match value {
        Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Group(_) | Value::Range(_) => {
            value.len().unwrap_or(0)
        }
        Value::Markup(_) => return Err(Fault::unsupported("a part of marked text")),
        Value::Dict(_) => return Err(Fault::invalid("unhashable type: 'slice'")),
        other => {
            let name = other.type_name();
            return Err(Fault::invalid(format!("'{name}' object is not subscriptable")));
        }
    };
    fuel.take(1 + length)?;
    let [start, stop, step] = bounds.map(|bound| match bound {
        None | Some(Value::None) => Ok(None),
        Some(bound) => bound.as_int().map(Some).ok_or_else(|| {
            bound.refuse_undefined().err().unwrap_or_else(|| {
                Fault::invalid("slice indices must be integers or None or have an __index__ method")
            })
        }),
    });
    let (start, stop, step) = (start?, stop?, step?.unwrap_or(1));
    if step == 0 {
        return Err(Fault::invalid("slice step cannot be zero"));
    }
    let indices = indices(start, stop, step, length);
    Ok(match value {
        Value::Str(text) if step == 1 => {
            let mut chars = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let from = usize::try_from(indices.start).unwrap_or(0);
            let count = indices.len();
            let begin = chars.nth(from).unwrap_or(text.len());
            let end = if count == 0 { begin } else { chars.nth(count - 1).unwrap_or(text.len()) };
            Value::from(&text[begin..end])
        }
        Value::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Value::from(at_each(indices).map(|at| chars[at]).collect::<String>())
        }
        Value::Range(range) => Value::Range(Range {
            start: range.start + indices.start * range.step,
            stop: range.start + indices.stop * range.step,
            step: range.step * indices.step,
        }),
        Value::List(items) => {
            Value::list(at_each(indices).map(|at| items.items[at].clone()).collect())?
        }
        other => {
            let items = other.items().unwrap_or_default();
            Value::tuple(at_each(indices).map(|at| items[at].clone()).collect())?
        }
    })
}

/// The indices of a slice, within the items.
fn indices(start: Option<i128>, stop: Option<i128>, step: i128, length: usize) -> Range {
    let length = length as i128;
    let (lowest, highest) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let clamp = |bound: i128| {
        let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
        bound.clamp(lowest, highest)
    };
    let (first, last) = if step < 0 { (highest, lowest) } else { (lowest, highest) };
    Range { start: start.map_or(first, clamp), stop: stop.map_or(last, clamp), step }
}

fn at_each(range: Range) -> impl Iterator<Item = usize> {
    (0..range.len()).map(move |index| (range.start + range.step * index as i128) as usize)
}

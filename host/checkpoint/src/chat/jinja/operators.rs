//! Python's operators on values.

use super::{
    filters,
    fuel::Fuel,
    printf,
    render_error::{RenderError, Result},
    repr::py_str,
    value::{DictKey, DictView, PyRange, PyValue},
};
use std::cmp::Ordering;

/// Evaluates the arithmetic operation `one sign two`.
pub(super) fn binary(sign: &str, one: &PyValue, two: &PyValue, fuel: &Fuel) -> Result<PyValue> {
    if let ("%", PyValue::Str(text), values) = (sign, one, two) {
        return Ok(PyValue::from(printf::printf(text, values, fuel)?));
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
        ("+", PyValue::Markup(_), PyValue::Str(_) | PyValue::Markup(_))
        | ("+", PyValue::Str(_), PyValue::Markup(_)) => {
            let marked = |value: &PyValue| match value {
                PyValue::Str(text) => filters::escape(text, fuel),
                other => Ok(py_str(other, fuel)?.to_string()),
            };
            Ok(PyValue::Markup((marked(one)? + &marked(two)?).into()))
        }
        (_, PyValue::Markup(_), _) | (_, _, PyValue::Markup(_)) => Err(RenderError::unsupported(
            format!("'{sign}' with text that 'safe' or 'escape' marked"),
        )),
        ("+", PyValue::Str(a), PyValue::Str(b)) => {
            fuel.take_text(a.len() + b.len())?;
            Ok(PyValue::from(format!("{a}{b}")))
        }
        ("+", PyValue::List(a), PyValue::List(b)) => {
            fuel.take(a.items.len() + b.items.len())?;
            PyValue::list([&a.items[..], &b.items].concat())
        }
        ("+", PyValue::Tuple(a) | PyValue::Group(a), PyValue::Tuple(b) | PyValue::Group(b)) => {
            fuel.take(a.items.len() + b.items.len())?;
            PyValue::tuple([&a.items[..], &b.items].concat())
        }
        ("*", sequence, times) if times.as_int().is_some() && sequence.len().is_some() => {
            repeat(sequence, times.as_int().unwrap_or(0), fuel)
        }
        ("*", times, sequence) if times.as_int().is_some() && sequence.len().is_some() => {
            repeat(sequence, times.as_int().unwrap_or(0), fuel)
        }
        _ => Err(unsupported_operands(sign, one, two)),
    }
}

fn unsupported_operands(sign: &str, one: &PyValue, two: &PyValue) -> RenderError {
    let (a, b) = (one.type_name(), two.type_name());
    RenderError::invalid(match (sign, one) {
        ("+", PyValue::Str(_)) => format!("can only concatenate str (not \"{b}\") to str"),
        _ => format!("unsupported operand type(s) for {sign}: '{a}' and '{b}'"),
    })
}

fn repeat(value: &PyValue, times: i128, fuel: &Fuel) -> Result<PyValue> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    match value {
        PyValue::Str(text) => {
            fuel.take_text(text.len().saturating_mul(times))?;
            Ok(PyValue::from(text.repeat(times)))
        }
        PyValue::List(items) | PyValue::Tuple(items) | PyValue::Group(items) => {
            fuel.take(items.items.len().saturating_mul(times))?;
            let repeated = std::iter::repeat_n(&items.items, times);
            let items = repeated.flatten().cloned().collect();
            if matches!(value, PyValue::List(_)) {
                PyValue::list(items)
            } else {
                PyValue::tuple(items)
            }
        }
        other => Err(unsupported_operands("*", other, &PyValue::Int(1))),
    }
}

fn integers(sign: &str, a: i128, b: i128) -> Result<PyValue> {
    let by_zero = || RenderError::invalid("division by zero");
    let value = match sign {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" => return floats("/", a as f64, b as f64),
        "//" | "%" if b == 0 => return Err(by_zero()),
        "//" => a.checked_div_euclid(b).map(|euclid| floor_quotient(euclid, a, b)),
        "%" => a.checked_rem_euclid(b).map(|rest| if rest != 0 && b < 0 { rest + b } else { rest }),
        _ if b < 0 => return floats("**", a as f64, b as f64),
        _ => u32::try_from(b).ok().and_then(|power| a.checked_pow(power)),
    };
    value.map(PyValue::Int).ok_or_else(|| RenderError::unsupported("integers beyond 127 bits"))
}

/// Converts a Euclidean quotient to Python's `//`, which rounds down. The Euclidean division rounds such that the
/// remainder is not negative.
fn floor_quotient(euclid: i128, a: i128, b: i128) -> i128 {
    if b < 0 && a.rem_euclid(b) != 0 { euclid - 1 } else { euclid }
}

fn floats(sign: &str, a: f64, b: f64) -> Result<PyValue> {
    if b == 0.0 && ["/", "//", "%"].contains(&sign) {
        let message = if sign == "/" { "division by zero" } else { "float floor division by zero" };
        return Err(RenderError::invalid(message));
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
    Ok(PyValue::Float(match sign {
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
            return Err(RenderError::invalid("0.0 cannot be raised to a negative power"));
        }
        _ if a < 0.0 && b.fract() != 0.0 => {
            return Err(RenderError::unsupported("complex numbers"));
        }
        _ => {
            let power = a.powf(b);
            if power.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(RenderError::invalid("Numerical result out of range"));
            }
            power
        }
    }))
}

/// Evaluates `-value` and `+value`.
pub(super) fn sign(sign: &str, value: &PyValue) -> Result<PyValue> {
    value.refuse_undefined()?;
    let negative = sign == "-";
    match value {
        PyValue::Float(number) => Ok(PyValue::Float(if negative { -number } else { *number })),
        other => match other.as_int() {
            Some(number) => {
                Ok(PyValue::Int(if negative { number.saturating_neg() } else { number }))
            }
            None => Err(RenderError::invalid(format!(
                "bad operand type for unary {sign}: '{}'",
                other.type_name()
            ))),
        },
    }
}

/// Evaluates the comparison `one sign two`.
pub(super) fn compare(sign: &str, one: &PyValue, two: &PyValue, fuel: &Fuel) -> Result<bool> {
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

/// Evaluates `item in value`.
fn contains(value: &PyValue, item: &PyValue, fuel: &Fuel) -> Result<bool> {
    match value {
        PyValue::Str(text) | PyValue::Markup(text) => match item {
            PyValue::Str(part) | PyValue::Markup(part) => {
                fuel.take_text(text.len())?;
                Ok(text.contains(&**part))
            }
            other => Err(RenderError::invalid(format!(
                "'in <string>' requires string as left operand, not {}",
                other.type_name()
            ))),
        },
        PyValue::Dict(dict) | PyValue::View(DictView::Keys, dict) => {
            Ok(dict.entries.contains_key(&DictKey::new(item.clone())?))
        }
        PyValue::List(items) | PyValue::Tuple(items) | PyValue::Group(items) => {
            fuel.take(items.items.len())?;
            Ok(items.items.contains(item))
        }
        PyValue::Range(range) => Ok((0..range.len()).any(|index| range.get(index) == *item)),
        PyValue::Iterator(items) => {
            // As in Python, the search consumes the iterator up to the item.
            let mut left = items.left.borrow_mut();
            while let Some(next) = left.pop_front() {
                fuel.take(1)?;
                if next == *item {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        PyValue::Undefined(_) | PyValue::View(..) => Ok(value.iterate()?.contains(item)),
        other => Err(RenderError::invalid(format!(
            "argument of type '{}' is not iterable",
            other.type_name()
        ))),
    }
}

/// Converts an index to a position among `length` items. A negative index counts from the end. Returns `None` if it is
/// out of range.
pub(super) fn position(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

/// Evaluates `value[start:stop:step]`.
pub(super) fn slice(value: &PyValue, bounds: [Option<PyValue>; 3], fuel: &Fuel) -> Result<PyValue> {
    value.refuse_undefined()?;
    let length = match value {
        PyValue::Str(_)
        | PyValue::List(_)
        | PyValue::Tuple(_)
        | PyValue::Group(_)
        | PyValue::Range(_) => value.len().unwrap_or(0),
        PyValue::Markup(_) => return Err(RenderError::unsupported("a part of marked text")),
        PyValue::Dict(_) => return Err(RenderError::invalid("unhashable type: 'slice'")),
        other => {
            let name = other.type_name();
            return Err(RenderError::invalid(format!("'{name}' object is not subscriptable")));
        }
    };
    fuel.take(1 + length)?;
    let [start, stop, step] = bounds.map(|bound| match bound {
        None | Some(PyValue::None) => Ok(None),
        Some(bound) => bound.as_int().map(Some).ok_or_else(|| {
            bound.refuse_undefined().err().unwrap_or_else(|| {
                RenderError::invalid(
                    "slice indices must be integers or None or have an __index__ method",
                )
            })
        }),
    });
    let (start, stop, step) = (start?, stop?, step?.unwrap_or(1));
    if step == 0 {
        return Err(RenderError::invalid("slice step cannot be zero"));
    }
    let indices = slice_indices(start, stop, step, length);
    Ok(match value {
        PyValue::Str(text) if step == 1 => {
            let mut chars = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let from = usize::try_from(indices.start).unwrap_or(0);
            let count = indices.len();
            let begin = chars.nth(from).unwrap_or(text.len());
            let end = if count == 0 { begin } else { chars.nth(count - 1).unwrap_or(text.len()) };
            PyValue::from(&text[begin..end])
        }
        PyValue::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            PyValue::from(positions(indices).map(|at| chars[at]).collect::<String>())
        }
        PyValue::Range(range) => PyValue::Range(PyRange {
            start: range.start + indices.start * range.step,
            stop: range.start + indices.stop * range.step,
            step: range.step * indices.step,
        }),
        PyValue::List(items) => {
            PyValue::list(positions(indices).map(|at| items.items[at].clone()).collect())?
        }
        other => {
            let items = other.items().unwrap_or_default();
            PyValue::tuple(positions(indices).map(|at| items[at].clone()).collect())?
        }
    })
}

/// Returns the indices of a slice of `length` items, as Python's `slice.indices` does.
fn slice_indices(start: Option<i128>, stop: Option<i128>, step: i128, length: usize) -> PyRange {
    let length = length as i128;
    let (lowest, highest) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let clamp = |bound: i128| {
        let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
        bound.clamp(lowest, highest)
    };
    let (first, last) = if step < 0 { (highest, lowest) } else { (lowest, highest) };
    PyRange { start: start.map_or(first, clamp), stop: stop.map_or(last, clamp), step }
}

fn positions(range: PyRange) -> impl Iterator<Item = usize> {
    (0..range.len()).map(move |index| (range.start + range.step * index as i128) as usize)
}

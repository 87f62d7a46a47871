//! What a value has by a name or an index: `value.name` looks for a method first, `value[name]` for an item.

use super::{
    fault::{Fuel, Result},
    operators::position,
    strings,
    value::{Key, Value},
};
use std::rc::Rc;

/// Methods of dicts that change nothing.
const DICT_METHODS: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];

/// Those that change a list or a dict, which the sandbox hides. Templates see them as undefined.
const CHANGING_LIST: [&str; 8] =
    ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const CHANGING_DICT: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

/// Attributes of numbers.
const NUMBER: [&str; 12] = [
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "fromhex",
    "hex",
    "imag",
    "is_integer",
    "numerator",
    "real",
];

/// What Python's `getattr` finds.
enum Found {
    Value(Value),
    /// An attribute that the sandbox hides.
    Hidden,
    Nothing,
}

fn own(value: &Value, name: &str) -> Found {
    let changing: &[&str] = match value {
        Value::List(_) => &CHANGING_LIST,
        Value::Dict(_) => &CHANGING_DICT,
        _ => &[],
    };
    if name.starts_with("__") && name.ends_with("__") || changing.contains(&name) {
        return Found::Hidden;
    }
    if let (Value::Group(items), "grouper" | "list") = (value, name) {
        return Found::Value(items.items[usize::from(name == "list")].clone());
    }
    let known: &[&str] = match value {
        Value::Str(_) | Value::Markup(_) => &strings::METHODS,
        Value::Dict(_) => &DICT_METHODS,
        Value::List(_) => &["copy", "count", "index"],
        Value::Tuple(_) | Value::Group(_) => &["count", "index"],
        Value::Range(_) => &["count", "index", "start", "step", "stop"],
        Value::View(..) => &["isdisjoint", "mapping"],
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => &NUMBER,
        Value::Method(..) | Value::Function(_) => &["self"],
        _ => &[],
    };
    match known.contains(&name) {
        true => Found::Value(Value::Method(Rc::new(value.clone()), name.into())),
        false => Found::Nothing,
    }
}

fn own_item(value: &Value, key: &Value, fuel: &Fuel) -> Result<Option<Value>> {
    let at = |length| key.as_int().and_then(|index| position(index, length));
    Ok(match value {
        Value::Dict(dict) => match Key::new(key.clone()) {
            Ok(key) => dict.entries.get(&key).cloned(),
            Err(_) => None,
        },
        Value::List(items) | Value::Tuple(items) | Value::Group(items) => {
            at(items.items.len()).map(|at| items.items[at].clone())
        }
        Value::Range(range) => at(range.len()).map(|at| range.get(at)),
        Value::Str(text) | Value::Markup(text) => {
            fuel.take_text(text.len())?;
            let at = at(value.len().unwrap_or(0));
            at.and_then(|at| text.chars().nth(at)).map(|c| Value::from(c.to_string()))
        }
        _ => None,
    })
}

fn missing(value: &Value, name: &str) -> Value {
    let message = match value {
        Value::None => format!("'None' has no attribute '{name}'"),
        other => format!("'{} object' has no attribute '{name}'", other.type_name()),
    };
    Value::Undefined(message.into())
}

fn hidden(value: &Value, name: &str) -> Value {
    let of = value.type_name();
    Value::Undefined(format!("access to attribute '{name}' of '{of}' object is unsafe.").into())
}

/// `value.name`; what the interpreter holds is not looked up here.
pub(super) fn attribute(value: &Value, name: &str) -> Value {
    match own(value, name) {
        Found::Value(found) => found,
        Found::Hidden => hidden(value, name),
        Found::Nothing => match value {
            Value::Dict(dict) => match dict.entries.get(name) {
                Some(found) => found.clone(),
                None => missing(value, name),
            },
            _ => missing(value, name),
        },
    }
}

/// `value[key]`.
pub(super) fn item(value: &Value, key: &Value, fuel: &Fuel) -> Result<Value> {
    if let Some(found) = own_item(value, key, fuel)? {
        return Ok(found);
    }
    let Some(name) = key.as_str() else {
        let of = value.type_name();
        let message = match key.as_int() {
            Some(index) => format!("{of} object has no element {index}"),
            None => format!("{of} object has no element of a {}", key.type_name()),
        };
        return Ok(Value::Undefined(message.into()));
    };
    Ok(match own(value, name) {
        Found::Value(found) => found,
        Found::Hidden => hidden(value, name),
        Found::Nothing => missing(value, name),
    })
}

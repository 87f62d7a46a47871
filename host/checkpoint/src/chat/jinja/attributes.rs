//! Attributes and items of values. `value.name` looks for a method first, `value[name]` looks for an item first.
//! Stateful objects are in `stateful`.

use super::{
    fuel::Fuel,
    operators::position,
    render_error::Result,
    strings,
    value::{DictKey, PyValue},
};
use std::rc::Rc;

/// Methods of a dict that do not change it.
const DICT_METHODS: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];

/// Methods that change a list or a dict. Jinja2's immutable sandbox hides them, so a template sees them as undefined.
const MUTATING_LIST_METHODS: [&str; 8] =
    ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const MUTATING_DICT_METHODS: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];

const NUMBER_ATTRIBUTES: [&str; 12] = [
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

/// The result of Python's `getattr`.
enum AttributeLookup {
    PyValue(PyValue),
    /// The attribute exists, but the sandbox hides it.
    Hidden,
    Missing,
}

fn lookup(value: &PyValue, name: &str) -> AttributeLookup {
    let changing: &[&str] = match value {
        PyValue::List(_) => &MUTATING_LIST_METHODS,
        PyValue::Dict(_) => &MUTATING_DICT_METHODS,
        _ => &[],
    };
    if name.starts_with("__") && name.ends_with("__") || changing.contains(&name) {
        return AttributeLookup::Hidden;
    }
    if let (PyValue::Group(items), "grouper" | "list") = (value, name) {
        return AttributeLookup::PyValue(items.items[usize::from(name == "list")].clone());
    }
    let known: &[&str] = match value {
        PyValue::Str(_) | PyValue::Markup(_) => &strings::METHODS,
        PyValue::Dict(_) => &DICT_METHODS,
        PyValue::List(_) => &["copy", "count", "index"],
        PyValue::Tuple(_) | PyValue::Group(_) => &["count", "index"],
        PyValue::Range(_) => &["count", "index", "start", "step", "stop"],
        PyValue::View(..) => &["isdisjoint", "mapping"],
        PyValue::Bool(_) | PyValue::Int(_) | PyValue::Float(_) => &NUMBER_ATTRIBUTES,
        PyValue::Method(..) | PyValue::Function(_) => &["self"],
        _ => &[],
    };
    match known.contains(&name) {
        true => AttributeLookup::PyValue(PyValue::Method(Rc::new(value.clone()), name.into())),
        false => AttributeLookup::Missing,
    }
}

fn lookup_item(value: &PyValue, key: &PyValue, fuel: &Fuel) -> Result<Option<PyValue>> {
    let at = |length| key.as_int().and_then(|index| position(index, length));
    Ok(match value {
        PyValue::Dict(dict) => match DictKey::new(key.clone()) {
            Ok(key) => dict.entries.get(&key).cloned(),
            Err(_) => None,
        },
        PyValue::List(items) | PyValue::Tuple(items) | PyValue::Group(items) => {
            at(items.items.len()).map(|at| items.items[at].clone())
        }
        PyValue::Range(range) => at(range.len()).map(|at| range.get(at)),
        PyValue::Str(text) | PyValue::Markup(text) => {
            fuel.take_text(text.len())?;
            let at = at(value.len().unwrap_or(0));
            at.and_then(|at| text.chars().nth(at)).map(|c| PyValue::from(c.to_string()))
        }
        _ => None,
    })
}

fn missing(value: &PyValue, name: &str) -> PyValue {
    let message = match value {
        PyValue::None => format!("'None' has no attribute '{name}'"),
        other => format!("'{} object' has no attribute '{name}'", other.type_name()),
    };
    PyValue::Undefined(message.into())
}

fn hidden(value: &PyValue, name: &str) -> PyValue {
    let type_name = value.type_name();
    PyValue::Undefined(
        format!("access to attribute '{name}' of '{type_name}' object is unsafe.").into(),
    )
}

/// Evaluates `value.name` for all values except stateful objects.
pub(super) fn attribute(value: &PyValue, name: &str) -> PyValue {
    match lookup(value, name) {
        AttributeLookup::PyValue(found) => found,
        AttributeLookup::Hidden => hidden(value, name),
        AttributeLookup::Missing => match value {
            PyValue::Dict(dict) => match dict.entries.get(name) {
                Some(found) => found.clone(),
                None => missing(value, name),
            },
            _ => missing(value, name),
        },
    }
}

/// Evaluates `value[key]` for all values except stateful objects.
pub(super) fn item(value: &PyValue, key: &PyValue, fuel: &Fuel) -> Result<PyValue> {
    if let Some(found) = lookup_item(value, key, fuel)? {
        return Ok(found);
    }
    let Some(name) = key.as_str() else {
        let type_name = value.type_name();
        let message = match key.as_int() {
            Some(index) => format!("{type_name} object has no element {index}"),
            None => format!("{type_name} object has no element of a {}", key.type_name()),
        };
        return Ok(PyValue::Undefined(message.into()));
    };
    Ok(match lookup(value, name) {
        AttributeLookup::PyValue(found) => found,
        AttributeLookup::Hidden => hidden(value, name),
        AttributeLookup::Missing => missing(value, name),
    })
}

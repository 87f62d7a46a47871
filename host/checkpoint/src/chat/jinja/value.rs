//! The values of a template. Truth, equality, order and length have the meaning that they have in Python.

use super::{
    fuel::MAX_DEPTH,
    render_error::{RenderError, Result},
};
use indexmap::{Equivalent, IndexMap};
use std::{
    cell::RefCell,
    collections::VecDeque,
    hash::{Hash, Hasher},
    rc::Rc,
};

/// A value that a template works with. Lists and dicts never change after they are made, because transformers renders
/// in Jinja2's immutable sandbox.
#[derive(Clone, Debug)]
pub(in crate::chat) enum PyValue {
    /// A name, attribute or item that does not exist. Holds the message of the error that most uses of it raise.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    /// An integer. Python's integers have no limit; here an operation whose result needs more than 128 bits is refused.
    Int(i128),
    Float(f64),
    Str(Rc<str>),
    /// A text that the filter `safe` or `escape` marked as safe. It prints unchanged. Operations that would escape
    /// another text are refused.
    Markup(Rc<str>),
    List(Rc<PySequence>),
    Tuple(Rc<PySequence>),
    /// A pair that the filter `groupby` makes: a tuple whose items are also named `grouper` and `list`.
    Group(Rc<PySequence>),
    Dict(Rc<PyDict>),
    /// The result of a dict's `keys()`, `values()` or `items()`.
    View(DictView, Rc<PyDict>),
    Range(PyRange),
    /// An iterator, which can be read once: a generator from `map` or a similar filter, or the result of `reverse`.
    Iterator(Rc<PyIterator>),
    /// An object whose state changes. The interpreter stores the state, and the number is its index there.
    Stateful(StatefulKind, usize),
    /// A method and the value that it belongs to.
    Method(Rc<PyValue>, Rc<str>),
    Function(BuiltinFunction),
}

/// Which view of a dict a [`PyValue::View`] is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum DictView {
    Keys,
    Values,
    Items,
}

/// The types of Jinja2 whose objects change while a template is rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum StatefulKind {
    Namespace,
    Loop,
    Macro,
    Cycler,
    Joiner,
}

/// Global functions that every template can call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum BuiltinFunction {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    Lipsum,
    RaiseException,
    StrftimeNow,
}

/// The items of a list or tuple, and how deep they nest.
#[derive(Debug)]
pub(in crate::chat) struct PySequence {
    pub(super) items: Vec<PyValue>,
    depth: usize,
}

/// The entries of a dict in insertion order, and how deep they nest.
#[derive(Debug)]
pub(in crate::chat) struct PyDict {
    pub(super) entries: IndexMap<DictKey, PyValue>,
    depth: usize,
}

/// Python's `range`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) struct PyRange {
    pub(super) start: i128,
    pub(super) stop: i128,
    pub(super) step: i128,
}

/// An iterator of Python, which yields each item once.
#[derive(Debug)]
pub(in crate::chat) struct PyIterator {
    /// The name of its Python type.
    pub(super) kind: &'static str,
    /// The items that have not been read yet.
    pub(super) left: RefCell<VecDeque<PyValue>>,
}

/// A value that can be a key of a dict.
#[derive(Clone, Debug)]
pub(in crate::chat) struct DictKey(PyValue);

impl DictKey {
    /// Fails for a value that Python cannot hash: a list, a dict, or a tuple that contains one.
    pub(super) fn new(value: PyValue) -> Result<Self> {
        match &value {
            PyValue::List(_) | PyValue::Dict(_) | PyValue::View(..) => {
                Err(RenderError::invalid(format!("unhashable type: '{}'", value.type_name())))
            }
            PyValue::Tuple(items) | PyValue::Group(items) => {
                for item in &items.items {
                    Self::new(item.clone())?;
                }
                Ok(Self(value))
            }
            _ => Ok(Self(value)),
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self(PyValue::from(text))
    }

    pub(super) fn value(&self) -> &PyValue {
        &self.0
    }
}

impl PartialEq for DictKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for DictKey {}

impl Hash for DictKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            PyValue::Str(text) | PyValue::Markup(text) => text.hash(state),
            PyValue::Bool(value) => i128::from(*value).hash(state),
            PyValue::Int(value) => value.hash(state),
            PyValue::Float(value) => match float_to_integer(*value) {
                Some(value) => value.hash(state),
                None => value.to_bits().hash(state),
            },
            other => other.type_name().hash(state),
        }
    }
}

impl Equivalent<DictKey> for str {
    fn equivalent(&self, key: &DictKey) -> bool {
        matches!(&key.0, PyValue::Str(text) | PyValue::Markup(text) if **text == *self)
    }
}

/// Returns the integer that equals this float. Returns `None` if it has a fraction or 1e38 or more as its magnitude.
pub(super) fn float_to_integer(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e38).then_some(value as i128)
}

/// Returns the depth of a collection with these items. Fails if it is more than [`MAX_DEPTH`].
fn checked_depth<'a>(items: impl Iterator<Item = &'a PyValue>) -> Result<usize> {
    let depth = 1 + items.map(PyValue::depth).max().unwrap_or(0);
    if depth > MAX_DEPTH {
        return Err(RenderError::unsupported(format!("values nest more than {MAX_DEPTH} deep")));
    }
    Ok(depth)
}

impl PySequence {
    pub(super) fn new(items: Vec<PyValue>) -> Result<Rc<Self>> {
        let depth = checked_depth(items.iter())?;
        Ok(Rc::new(Self { items, depth }))
    }
}

impl PyDict {
    pub(super) fn new(entries: IndexMap<DictKey, PyValue>) -> Result<Rc<Self>> {
        let depth = checked_depth(entries.iter().flat_map(|(key, value)| [&key.0, value]))?;
        Ok(Rc::new(Self { entries, depth }))
    }

    pub(super) fn items(&self) -> Result<Vec<PyValue>> {
        let pair =
            |(key, value): (&DictKey, &PyValue)| PyValue::tuple(vec![key.0.clone(), value.clone()]);
        self.entries.iter().map(pair).collect()
    }
}

impl PyRange {
    pub(super) fn len(&self) -> usize {
        let Self { start, stop, step } = *self;
        let span = if step > 0 { stop - start } else { start - stop };
        if span <= 0 { 0 } else { ((span - 1) / step.abs() + 1) as usize }
    }

    pub(super) fn get(&self, index: usize) -> PyValue {
        PyValue::Int(self.start + self.step * index as i128)
    }
}

impl PyValue {
    pub(super) fn list(items: Vec<Self>) -> Result<Self> {
        Ok(Self::List(PySequence::new(items)?))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Result<Self> {
        Ok(Self::Tuple(PySequence::new(items)?))
    }

    pub(super) fn dict(entries: IndexMap<DictKey, Self>) -> Result<Self> {
        Ok(Self::Dict(PyDict::new(entries)?))
    }

    /// Makes a list for a template's variables.
    pub(in crate::chat) fn from_items(items: Vec<Self>) -> Result<Self> {
        Self::list(items)
    }

    /// Makes a dict for a template's variables.
    pub(in crate::chat) fn from_entries(entries: Vec<(&str, Self)>) -> Result<Self> {
        Self::dict(entries.into_iter().map(|(name, value)| (DictKey::text(name), value)).collect())
    }

    pub(super) fn iterator(kind: &'static str, items: Vec<Self>) -> Self {
        Self::Iterator(Rc::new(PyIterator { kind, left: RefCell::new(items.into()) }))
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.depth,
            Self::Iterator(items) => {
                1 + items.left.borrow().iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Method(receiver, _) => 1 + receiver.depth(),
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// Returns the text of a `Str`. Returns `None` for all other values, `Markup` included.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value as an integer. In Python `True` is 1 and `False` is 0.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// The name that Python gives the type of this value.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Markup(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Group(_) => "_GroupTuple",
            Self::Dict(_) => "dict",
            Self::View(DictView::Keys, _) => "dict_keys",
            Self::View(DictView::Values, _) => "dict_values",
            Self::View(DictView::Items, _) => "dict_items",
            Self::Range(_) => "range",
            Self::Iterator(items) => items.kind,
            Self::Stateful(StatefulKind::Namespace, _) => "Namespace",
            Self::Stateful(StatefulKind::Loop, _) => "LoopContext",
            Self::Stateful(StatefulKind::Macro, _) => "Macro",
            Self::Stateful(StatefulKind::Cycler, _) => "Cycler",
            Self::Stateful(StatefulKind::Joiner, _) => "Joiner",
            Self::Method(..) => "method",
            Self::Function(_) => "function",
        }
    }

    /// Whether Python's `bool(value)` is true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            _ => self.len().is_none_or(|length| length > 0),
        }
    }

    /// Python's `len(value)`. Returns `None` for a value without a length.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Undefined(_) => Some(0),
            Self::Str(text) | Self::Markup(text) => Some(text.chars().count()),
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => Some(items.items.len()),
            Self::Dict(dict) | Self::View(_, dict) => Some(dict.entries.len()),
            Self::Range(range) => Some(range.len()),
            _ => None,
        }
    }

    /// Collects what a `for` loop over this value yields. An iterator is empty afterwards.
    pub(super) fn iterate(&self) -> Result<Vec<Self>> {
        Ok(match self {
            Self::Undefined(_) => Vec::new(),
            Self::Str(text) | Self::Markup(text) => {
                let mut buffer = [0; 4];
                text.chars().map(|c| Self::from(&*c.encode_utf8(&mut buffer))).collect()
            }
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.items.clone(),
            Self::Dict(dict) | Self::View(DictView::Keys, dict) => {
                dict.entries.keys().map(|key| key.0.clone()).collect()
            }
            Self::View(DictView::Values, dict) => dict.entries.values().cloned().collect(),
            Self::View(DictView::Items, dict) => dict.items()?,
            Self::Range(range) => (0..range.len()).map(|index| range.get(index)).collect(),
            Self::Iterator(items) => std::mem::take(&mut *items.left.borrow_mut()).into(),
            other => {
                return Err(RenderError::invalid(format!(
                    "'{}' object is not iterable",
                    other.type_name()
                )));
            }
        })
    }

    /// Returns the items of a list or tuple, and `None` for all other values.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => Some(&items.items),
            _ => None,
        }
    }

    /// Fails if the value is undefined. Most operations in Jinja2 fail on an undefined value.
    pub(super) fn refuse_undefined(&self) -> Result<()> {
        match self {
            Self::Undefined(why) => Err(RenderError::invalid(&**why)),
            _ => Ok(()),
        }
    }

    /// Returns the value as a float if it is a number, `True` and `False` included.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.as_int().map(|value| value as f64),
        }
    }
}

impl From<&str> for PyValue {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for PyValue {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for PyValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for PyValue {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

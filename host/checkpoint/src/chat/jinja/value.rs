//! Values of a template, with Python's meaning of truth, equality, order and length.

use super::fault::{DEEPEST, Fault, Result};
use indexmap::{Equivalent, IndexMap};
use std::{
    cell::RefCell,
    collections::VecDeque,
    hash::{Hash, Hasher},
    rc::Rc,
};

/// A value. Lists and dicts never change once they are made, for transformers renders in an immutable sandbox.
#[derive(Clone, Debug)]
pub(in crate::chat) enum Value {
    /// A name, attribute or item that there is none of; holds why.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    /// Python's integers have no bound; sums beyond 128 bits are refused.
    Int(i128),
    Float(f64),
    Str(Rc<str>),
    /// A text that `safe` or `escape` marked. It prints as it is; what would escape other text is refused.
    Markup(Rc<str>),
    List(Rc<Sequence>),
    Tuple(Rc<Sequence>),
    /// A tuple of `groupby` with its names `grouper` and `list`.
    Group(Rc<Sequence>),
    Dict(Rc<Dict>),
    /// `keys()`, `values()` or `items()`.
    View(View, Rc<Dict>),
    Range(Range),
    /// What can be gone through once: a generator of `map` and its like, or `reverse`.
    Iterator(Rc<Iterator>),
    /// A value that the interpreter holds, because it changes.
    Held(Held, usize),
    /// A method with what it belongs to.
    Method(Rc<Value>, Rc<str>),
    /// A function that every template has.
    Function(Function),
}

/// Which of a dict's views.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum View {
    Keys,
    Values,
    Items,
}

/// What the interpreter holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum Held {
    Namespace,
    Loop,
    Macro,
    Cycler,
    Joiner,
}

/// Functions that every template has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    Lipsum,
    RaiseException,
    StrftimeNow,
}

/// Values in order, and how deep they nest.
#[derive(Debug)]
pub(in crate::chat) struct Sequence {
    pub(super) items: Vec<Value>,
    depth: usize,
}

/// Values by key in the order of their first mention, and how deep they nest.
#[derive(Debug)]
pub(in crate::chat) struct Dict {
    pub(super) entries: IndexMap<Key, Value>,
    depth: usize,
}

/// Python's `range`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chat) struct Range {
    pub(super) start: i128,
    pub(super) stop: i128,
    pub(super) step: i128,
}

/// Items that are still to come.
#[derive(Debug)]
pub(in crate::chat) struct Iterator {
    pub(super) kind: &'static str,
    pub(super) left: RefCell<VecDeque<Value>>,
}

/// A value that can be a dict's key.
#[derive(Clone, Debug)]
pub(in crate::chat) struct Key(Value);

impl Key {
    /// Refuses what Python cannot hash.
    pub(super) fn new(value: Value) -> Result<Self> {
        match &value {
            Value::List(_) | Value::Dict(_) | Value::View(..) => {
                Err(Fault::invalid(format!("unhashable type: '{}'", value.type_name())))
            }
            Value::Tuple(items) | Value::Group(items) => {
                for item in &items.items {
                    Self::new(item.clone())?;
                }
                Ok(Self(value))
            }
            _ => Ok(Self(value)),
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self(Value::from(text))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Value::Str(text) | Value::Markup(text) => text.hash(state),
            Value::Bool(value) => i128::from(*value).hash(state),
            Value::Int(value) => value.hash(state),
            Value::Float(value) => match whole(*value) {
                Some(value) => value.hash(state),
                None => value.to_bits().hash(state),
            },
            other => other.type_name().hash(state),
        }
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        matches!(&key.0, Value::Str(text) | Value::Markup(text) if **text == *self)
    }
}

/// A float's value where it is a whole number that fits.
pub(super) fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() < 1e38).then_some(value as i128)
}

fn deeper<'a>(items: impl std::iter::Iterator<Item = &'a Value>) -> Result<usize> {
    let depth = 1 + items.map(Value::depth).max().unwrap_or(0);
    if depth > DEEPEST {
        return Err(Fault::unsupported(format!("values nest more than {DEEPEST} deep")));
    }
    Ok(depth)
}

impl Sequence {
    pub(super) fn new(items: Vec<Value>) -> Result<Rc<Self>> {
        let depth = deeper(items.iter())?;
        Ok(Rc::new(Self { items, depth }))
    }
}

impl Dict {
    pub(super) fn new(entries: IndexMap<Key, Value>) -> Result<Rc<Self>> {
        let depth = deeper(entries.iter().flat_map(|(key, value)| [&key.0, value]))?;
        Ok(Rc::new(Self { entries, depth }))
    }

    pub(super) fn items(&self) -> Result<Vec<Value>> {
        let pair = |(key, value): (&Key, &Value)| Value::tuple(vec![key.0.clone(), value.clone()]);
        self.entries.iter().map(pair).collect()
    }
}

impl Range {
    pub(super) fn len(&self) -> usize {
        let Self { start, stop, step } = *self;
        let span = if step > 0 { stop - start } else { start - stop };
        if span <= 0 { 0 } else { ((span - 1) / step.abs() + 1) as usize }
    }

    pub(super) fn get(&self, index: usize) -> Value {
        Value::Int(self.start + self.step * index as i128)
    }
}

impl Value {
    pub(super) fn list(items: Vec<Self>) -> Result<Self> {
        Ok(Self::List(Sequence::new(items)?))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Result<Self> {
        Ok(Self::Tuple(Sequence::new(items)?))
    }

    pub(super) fn dict(entries: IndexMap<Key, Self>) -> Result<Self> {
        Ok(Self::Dict(Dict::new(entries)?))
    }

    /// A list for a template's variables.
    pub(in crate::chat) fn from_items(items: Vec<Self>) -> Result<Self> {
        Self::list(items)
    }

    /// A dict for a template's variables.
    pub(in crate::chat) fn from_entries(entries: Vec<(&str, Self)>) -> Result<Self> {
        Self::dict(entries.into_iter().map(|(name, value)| (Key::text(name), value)).collect())
    }

    pub(super) fn iterator(kind: &'static str, items: Vec<Self>) -> Self {
        Self::Iterator(Rc::new(Iterator { kind, left: RefCell::new(items.into()) }))
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.depth,
            Self::Iterator(items) => {
                1 + items.left.borrow().iter().map(Self::depth).max().unwrap_or(0)
            }
            Self::Method(of, _) => 1 + of.depth(),
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    /// The text, if it is one that nothing marked.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// An integer, of which `True` and `False` are two.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// The name of the type, as Python says it.
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
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Range(_) => "range",
            Self::Iterator(items) => items.kind,
            Self::Held(Held::Namespace, _) => "Namespace",
            Self::Held(Held::Loop, _) => "LoopContext",
            Self::Held(Held::Macro, _) => "Macro",
            Self::Held(Held::Cycler, _) => "Cycler",
            Self::Held(Held::Joiner, _) => "Joiner",
            Self::Method(..) => "method",
            Self::Function(_) => "function",
        }
    }

    /// What `bool` says.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            _ => self.len().is_none_or(|length| length > 0),
        }
    }

    /// What `len` says; none where it fails.
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

    /// Everything that going through it yields. An iterator is empty afterwards.
    pub(super) fn iterate(&self) -> Result<Vec<Self>> {
        Ok(match self {
            Self::Undefined(_) => Vec::new(),
            Self::Str(text) | Self::Markup(text) => {
                let mut buffer = [0; 4];
                text.chars().map(|c| Self::from(&*c.encode_utf8(&mut buffer))).collect()
            }
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => items.items.clone(),
            Self::Dict(dict) | Self::View(View::Keys, dict) => {
                dict.entries.keys().map(|key| key.0.clone()).collect()
            }
            Self::View(View::Values, dict) => dict.entries.values().cloned().collect(),
            Self::View(View::Items, dict) => dict.items()?,
            Self::Range(range) => (0..range.len()).map(|index| range.get(index)).collect(),
            Self::Iterator(items) => std::mem::take(&mut *items.left.borrow_mut()).into(),
            other => {
                return Err(Fault::invalid(format!(
                    "'{}' object is not iterable",
                    other.type_name()
                )));
            }
        })
    }

    /// The items of what is ordered and can be indexed, texts aside.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Group(items) => Some(&items.items),
            _ => None,
        }
    }

    /// Fails where the value is none, for most of what can be done with a value fails then.
    pub(super) fn refuse_undefined(&self) -> Result<()> {
        match self {
            Self::Undefined(why) => Err(Fault::invalid(&**why)),
            _ => Ok(()),
        }
    }

    /// The number, if it is one.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => self.as_int().map(|value| value as f64),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

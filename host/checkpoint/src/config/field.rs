//! The fields of a config class: how published files spell them, their types and defaults, and what is refused.

use super::python_json::{as_whole, describe, is_true};
use serde_json::{Map, Value, json};

/// A field that is read into [`super::Config`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// The name in the class.
    pub name: &'static str,
    /// Other names of the field, from the class's `attribute_map`. If a file has several of them, the last one in this
    /// list wins. Each of them wins over `name`.
    aliases: &'static [&'static str],
    /// The name in [`super::Config`].
    pub target: &'static str,
    field_type: FieldType,
    default: DefaultValue,
    /// Whether the value may be `null`.
    nullable: bool,
}

/// A field that must be true, or must be false, by Python's rules of truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedField {
    /// The name in the class.
    pub name: &'static str,
    /// The value that is accepted.
    accepted: bool,
    /// What the other value requests, for messages.
    meaning: &'static str,
}

/// A field whose value has the wrong type.
#[derive(Debug, thiserror::Error)]
#[error("{name} is {value} and must be {expected}{}", if *nullable { ", or null" } else { "" })]
pub(crate) struct FieldTypeError {
    /// The name of the field in the file, with the names of the objects around it.
    name: String,
    /// The value, as messages show it.
    value: String,
    /// The name of the type that the value must have, with its article.
    expected: &'static str,
    /// Whether the value may also be `null`.
    nullable: bool,
}

impl FieldTypeError {
    /// Builds the error of a field that must not be `null`. `expected` is the name of its type, with the article.
    pub(super) fn new(name: &str, value: &Value, expected: &'static str) -> Self {
        Self { name: name.to_owned(), value: describe(value), expected, nullable: false }
    }

    /// Adds the name of the object that contains the field.
    pub(super) fn inside(self, object: &str) -> Self {
        Self { name: format!("{object}.{}", self.name), ..self }
    }
}

/// A [`RefusedField`] whose value requests what this version cannot compute.
#[derive(Debug, thiserror::Error)]
#[error("{name} is {value}: {meaning}")]
pub(crate) struct RefusedValueError {
    /// The name of the field.
    name: &'static str,
    /// The value, as messages show it.
    value: String,
    /// What the value requests.
    meaning: &'static str,
}

/// The type that a field's value must have.
#[derive(Clone, Copy, Debug)]
enum FieldType {
    Whole,
    Number,
    Flag,
    Text,
    WholeList,
    TextList,
    TokenIds,
}

/// The value of an absent field.
#[derive(Clone, Copy, Debug)]
enum DefaultValue {
    Whole(u64),
    Number(f64),
    Flag(bool),
    Text(&'static str),
    Null,
}

impl Field {
    const fn new(name: &'static str, field_type: FieldType, default: DefaultValue) -> Self {
        let nullable = matches!(default, DefaultValue::Null);
        Self { name, aliases: &[], target: name, field_type, default, nullable }
    }

    /// A field with a whole number from 0.
    pub(crate) const fn whole(name: &'static str, default: u64) -> Self {
        Self::new(name, FieldType::Whole, DefaultValue::Whole(default))
    }

    /// A field with a whole number from 0. If it is absent, the class computes the value or needs none.
    pub(crate) const fn optional_whole(name: &'static str) -> Self {
        Self::new(name, FieldType::Whole, DefaultValue::Null)
    }

    /// A field with a finite number.
    pub(crate) const fn number(name: &'static str, default: f64) -> Self {
        Self::new(name, FieldType::Number, DefaultValue::Number(default))
    }

    /// A field with a finite number. If it is absent, the model needs none.
    pub(crate) const fn optional_number(name: &'static str) -> Self {
        Self::new(name, FieldType::Number, DefaultValue::Null)
    }

    /// A field with `true` or `false`.
    pub(crate) const fn flag(name: &'static str, default: bool) -> Self {
        Self::new(name, FieldType::Flag, DefaultValue::Flag(default))
    }

    /// A field with a string.
    pub(crate) const fn text(name: &'static str, default: &'static str) -> Self {
        Self::new(name, FieldType::Text, DefaultValue::Text(default))
    }

    /// A field with a list of whole numbers from 0. If it is absent, there are none.
    pub(crate) const fn whole_list(name: &'static str) -> Self {
        Self::new(name, FieldType::WholeList, DefaultValue::Null)
    }

    /// A field with a string for each layer. If it is absent, the class has a rule.
    pub(crate) const fn text_list(name: &'static str) -> Self {
        Self::new(name, FieldType::TextList, DefaultValue::Null)
    }

    /// The field `eos_token_id`. `default` is the class's default.
    pub(crate) const fn end_of_text(default: Option<u64>) -> Self {
        let default = match default {
            Some(id) => DefaultValue::Whole(id),
            None => DefaultValue::Null,
        };
        Self::new("eos_token_id", FieldType::TokenIds, default).or_null()
    }

    /// Allows `null` as the field's value, whatever its default is.
    pub(crate) const fn or_null(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// Adds other names of the field. The last one wins over all others.
    pub(crate) const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Sets the name that [`super::Config`] has for the field.
    pub(crate) const fn target(self, target: &'static str) -> Self {
        Self { target, ..self }
    }

    /// Returns all names of the field. If a file has several, the last one wins.
    pub(crate) fn spellings(&self) -> impl DoubleEndedIterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Reads the field's value in a file.
    pub(crate) fn read(&self, json: &Map<String, Value>) -> Result<Value, FieldTypeError> {
        let mut result = self.default.value();
        for name in self.spellings() {
            let Some(value) = json.get(name) else { continue };
            result =
                self.field_type.convert(value, self.nullable).ok_or_else(|| FieldTypeError {
                    nullable: self.nullable,
                    ..FieldTypeError::new(name, value, self.field_type.name())
                })?;
        }
        Ok(result)
    }
}

impl RefusedField {
    /// A field that must be absent, null, false, 0 or empty.
    pub(crate) const fn unless_false(name: &'static str, meaning: &'static str) -> Self {
        Self { name, accepted: false, meaning }
    }

    /// A field that must be absent or true.
    pub(crate) const fn unless_true(name: &'static str, meaning: &'static str) -> Self {
        Self { name, accepted: true, meaning }
    }

    /// Checks the field's value in a file.
    pub(crate) fn check(&self, json: &Map<String, Value>) -> Result<(), RefusedValueError> {
        match json.get(self.name) {
            Some(value) if is_true(value) != self.accepted => Err(RefusedValueError {
                name: self.name,
                value: describe(value),
                meaning: self.meaning,
            }),
            _ => Ok(()),
        }
    }
}

impl FieldType {
    /// Returns the type's name for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "a whole number from 0",
            Self::Number => "a finite number",
            Self::Flag => "true or false",
            Self::Text => "a string",
            Self::WholeList => "a list of whole numbers",
            Self::TextList => "a list of strings",
            Self::TokenIds => "a token id or a list of them",
        }
    }

    /// Converts a value to this type. Returns `None` if it is not of this type.
    fn convert(self, value: &Value, nullable: bool) -> Option<Value> {
        if value.is_null() {
            return nullable.then_some(Value::Null);
        }
        let id = |value: &Value| as_whole(value).filter(|&id| u32::try_from(id).is_ok());
        match self {
            Self::Whole => as_whole(value).map(Value::from),
            Self::Number => value.as_f64().map(Value::from),
            Self::Flag => value.as_bool().map(Value::from),
            Self::Text => value.as_str().map(Value::from),
            Self::WholeList => {
                value.as_array()?.iter().map(as_whole).collect::<Option<Vec<_>>>().map(Value::from)
            }
            Self::TextList => value
                .as_array()?
                .iter()
                .map(Value::as_str)
                .collect::<Option<Vec<_>>>()
                .map(Value::from),
            Self::TokenIds => match value.as_array() {
                Some(ids) => ids.iter().map(id).collect::<Option<Vec<_>>>().map(Value::from),
                None => id(value).map(|id| json!([id])),
            },
        }
    }
}

impl DefaultValue {
    fn value(self) -> Value {
        match self {
            Self::Whole(number) => json!(number),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::Text(text) => json!(text),
            Self::Null => Value::Null,
        }
    }
}

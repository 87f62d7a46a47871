//! What a family's config class in transformers is: its fields, their defaults, and what they do here.
//!
//! ```text
//! config.json ─► Class::read ─► one value a field, under this crate's names ─► Config
//!                     │  spelling that wins, kind of value, the class's default
//!                     └► warnings: fields that nobody knows
//! ```

use super::{
    RopeRule, known,
    value::{is_true, shown, whole},
};
use serde_json::{Map, Value, json};

/// A config class of transformers 5, and the model that it makes.
#[derive(Debug)]
pub struct Class {
    /// What `model_type` says in its files.
    pub model_type: &'static str,
    /// The class's name.
    pub name: &'static str,
    /// The class of its language model.
    pub architecture: &'static str,
    /// Fields that decide what the model computes.
    pub fields: &'static [Field],
    /// Fields whose other value asks for what this version does not compute.
    pub refused: &'static [Refused],
    /// Further fields of the class, and of its published files, without an effect on what the model computes.
    pub inert: &'static [&'static str],
    /// Where its rotary embeddings are described.
    pub rope: RopeRule,
}

/// A field that is read.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As the class calls it.
    pub name: &'static str,
    /// Further spellings. Each goes before those on its left and before the name, as in the class's `attribute_map`.
    also: &'static [&'static str],
    /// As [`super::Config`] calls it.
    pub target: &'static str,
    kind: Kind,
    default: Fallback,
    /// Whether it may be `null`.
    nullable: bool,
}

/// A field that has to be true, or has to be false, as Python counts it.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// As the class calls it.
    pub name: &'static str,
    /// What it may be.
    harmless: bool,
    /// What its other value asks for.
    meaning: &'static str,
}

/// What a value has to be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole,
    Number,
    Flag,
    Text,
    Wholes,
    Texts,
    TokenIds,
}

/// The value of a field that is absent.
#[derive(Clone, Copy, Debug)]
enum Fallback {
    Whole(u64),
    Number(f64),
    Flag(bool),
    Text(&'static str),
    Null,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, default: Fallback) -> Self {
        let nullable = matches!(default, Fallback::Null);
        Self { name, also: &[], target: name, kind, default, nullable }
    }

    /// A whole number from 0.
    pub const fn whole(name: &'static str, default: u64) -> Self {
        Self::new(name, Kind::Whole, Fallback::Whole(default))
    }

    /// A whole number from 0, absent where the class computes it or does without.
    pub const fn optional_whole(name: &'static str) -> Self {
        Self::new(name, Kind::Whole, Fallback::Null)
    }

    /// A number.
    pub const fn number(name: &'static str, default: f64) -> Self {
        Self::new(name, Kind::Number, Fallback::Number(default))
    }

    /// A number, absent where the model does without.
    pub const fn optional_number(name: &'static str) -> Self {
        Self::new(name, Kind::Number, Fallback::Null)
    }

    /// True or false.
    pub const fn flag(name: &'static str, default: bool) -> Self {
        Self::new(name, Kind::Flag, Fallback::Flag(default))
    }

    /// A name.
    pub const fn text(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Kind::Text, Fallback::Text(default))
    }

    /// Whole numbers from 0, absent where there are none.
    pub const fn wholes(name: &'static str) -> Self {
        Self::new(name, Kind::Wholes, Fallback::Null)
    }

    /// A name for each layer, absent where the class has a rule.
    pub const fn texts(name: &'static str) -> Self {
        Self::new(name, Kind::Texts, Fallback::Null)
    }

    /// `eos_token_id`; `default` is the class's own.
    pub const fn end_of_text(default: Option<u64>) -> Self {
        let default = match default {
            Some(id) => Fallback::Whole(id),
            None => Fallback::Null,
        };
        Self::new("eos_token_id", Kind::TokenIds, default).or_null()
    }

    /// The same field, which may be `null` whatever its default is.
    pub const fn or_null(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// The same field with further spellings, the strongest last.
    pub const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    /// The same field under the name that [`super::Config`] has for it.
    pub const fn target(self, target: &'static str) -> Self {
        Self { target, ..self }
    }

    /// All of its spellings, the strongest last.
    pub fn spellings(&self) -> impl DoubleEndedIterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }

    /// Its value in a file; the reason where it is not one.
    fn read(&self, json: &Map<String, Value>) -> Result<Value, String> {
        let mut taken = self.default.value();
        for name in self.spellings() {
            let Some(value) = json.get(name) else { continue };
            taken = self.kind.take(value, self.nullable).ok_or_else(|| {
                let or_null = if self.nullable { ", or null" } else { "" };
                format!("{name} is {} and must be {}{or_null}", shown(value), self.kind.name())
            })?;
        }
        Ok(taken)
    }
}

impl Refused {
    /// A field that has to be absent, null, false, 0 or empty.
    pub const fn unless_false(name: &'static str, meaning: &'static str) -> Self {
        Self { name, harmless: false, meaning }
    }

    /// A field that has to be absent or true.
    pub const fn unless_true(name: &'static str, meaning: &'static str) -> Self {
        Self { name, harmless: true, meaning }
    }

    fn check(&self, json: &Map<String, Value>) -> Result<(), String> {
        match json.get(self.name) {
            Some(value) if is_true(value) != self.harmless => {
                Err(format!("{} is {}: {}", self.name, shown(value), self.meaning))
            }
            _ => Ok(()),
        }
    }
}

impl Kind {
    /// For messages.
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "a whole number from 0",
            Self::Number => "a finite number",
            Self::Flag => "true or false",
            Self::Text => "a string",
            Self::Wholes => "a list of whole numbers",
            Self::Texts => "a list of strings",
            Self::TokenIds => "a token id or a list of them",
        }
    }

    /// A value of this kind; `None` if it is none.
    fn take(self, value: &Value, nullable: bool) -> Option<Value> {
        if value.is_null() {
            return nullable.then_some(Value::Null);
        }
        let id = |value: &Value| whole(value).filter(|&id| u32::try_from(id).is_ok());
        match self {
            Self::Whole => whole(value).map(Value::from),
            Self::Number => value.as_f64().map(Value::from),
            Self::Flag => value.as_bool().map(Value::from),
            Self::Text => value.as_str().map(Value::from),
            Self::Wholes => {
                value.as_array()?.iter().map(whole).collect::<Option<Vec<_>>>().map(Value::from)
            }
            Self::Texts => value
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

impl Fallback {
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

impl Class {
    /// The values of a file's fields under the names of [`super::Config`].
    ///
    /// # Errors
    /// The reason why a value is not what its field holds, or asks for what this version does not compute.
    pub fn read(&self, json: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        for refused in known::REFUSED.iter().chain(self.refused) {
            refused.check(json)?;
        }
        let value = |field: &Field| Ok((field.target.to_owned(), field.read(json)?));
        self.fields.iter().map(value).collect()
    }

    /// A sentence for each field of a file that neither the class nor a published file of its family is known to have.
    pub fn warnings(&self, json: &Map<String, Value>) -> Vec<String> {
        let unknown = json.keys().filter(|name| !self.knows(name));
        let sentence = |name: &String| {
            format!("config.json: {} has no field {name}, which has no effect here", self.name)
        };
        unknown.map(sentence).collect()
    }

    fn knows(&self, name: &str) -> bool {
        let mut refused = known::REFUSED.iter().chain(self.refused);
        self.fields.iter().flat_map(Field::spellings).any(|known| known == name)
            || refused.any(|refused| refused.name == name)
            || self.inert.contains(&name)
            || self.rope.names().contains(&name)
            || known::is_inert(name)
    }

    /// What the class calls a field of [`super::Config`].
    pub fn name_of(&self, target: &'static str) -> &'static str {
        self.fields.iter().find(|field| field.target == target).map_or(target, |field| field.name)
    }
}

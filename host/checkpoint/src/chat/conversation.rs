//! A conversation with what its template is given besides.

use crate::{Error, Result, text_file};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a template sees of a value: what JSON can hold, objects in the order of their fields.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum TemplateValue {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number beyond those.
    Unsigned(u64),
    /// A number; it need not be whole.
    Number(f64),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<TemplateValue>),
    /// Values by name.
    Object(IndexMap<String, TemplateValue>),
}

/// A variable of a template by its name, as `enable_thinking`, and its value. A template that does not know the name
/// ignores it, as in transformers.
pub type Argument = (String, TemplateValue);

/// One turn of a conversation: `role`, `content` and whatever else templates read, as `tool_calls`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Message {
    /// Values by the fields' names, in their order.
    pub fields: IndexMap<String, TemplateValue>,
}

impl Message {
    /// A turn of text by `system`, `user` or `assistant`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let fields = [("role", role.into()), ("content", content.into())];
        let fields = fields.map(|(name, text)| (name.to_owned(), TemplateValue::Text(text)));
        Self { fields: fields.into() }
    }

    /// The text of a field; `None` if it is missing or no text.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field) {
            Some(TemplateValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// What a template renders.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Conversation {
    /// Its turns.
    pub messages: Vec<Message>,
    /// JSON schemas of functions that the model may call; none is not the same as no functions.
    pub tools: Option<Vec<TemplateValue>>,
    /// Texts that the model may draw on.
    pub documents: Option<Vec<TemplateValue>>,
    /// Variables of the template.
    pub arguments: Vec<Argument>,
    /// Which of a model's templates is to render it; none means the one that transformers takes.
    pub template: Option<String>,
    /// The field of the last message that the model is to go on with, as `content`. Its turn is then left open.
    pub continues: Option<String>,
}

impl Conversation {
    /// Turns, and variables of the template.
    pub fn new(messages: Vec<Message>, arguments: Vec<Argument>) -> Self {
        Self { messages, arguments, ..Self::default() }
    }

    /// Reads a JSON file: a list of messages, or an object with `messages` and the arguments of transformers'
    /// `apply_chat_template`: `tools`, `documents`, `chat_template` (a template's name), `continue_final_message`, and
    /// variables of the template, which may also lie in `chat_template_kwargs`.
    ///
    /// # Errors
    /// The file is no such JSON.
    pub fn read(path: &Path) -> Result<Self> {
        let json = text_file::parse(&text_file::read(path)?, path)?;
        Self::of_json(json).map_err(|reason| Error::file(path, reason))
    }

    /// What the JSON says, or what is wrong with it.
    pub(super) fn of_json(json: TemplateValue) -> std::result::Result<Self, String> {
        let mut fields = match json {
            TemplateValue::Object(fields) => fields,
            messages => [("messages".to_owned(), messages)].into(),
        };
        let messages = fields.shift_remove("messages");
        let messages = messages.ok_or("has no 'messages': add the list of messages")?;
        let list = |name: &str, value: TemplateValue| match value {
            TemplateValue::List(values) => Ok(Some(values)),
            TemplateValue::Null => Ok(None),
            _ => Err(format!("'{name}' is no list")),
        };
        let message = |(index, value)| match value {
            TemplateValue::Object(fields) => Ok(Message { fields }),
            _ => Err(format!(
                "message {index} is no object: write {{\"role\": \"user\", \"content\": \"...\"}}"
            )),
        };
        let messages = list("messages", messages)?.unwrap_or_default();
        let mut conversation = Self {
            messages: messages
                .into_iter()
                .enumerate()
                .map(message)
                .collect::<std::result::Result<_, String>>()?,
            ..Self::default()
        };
        for (name, value) in fields {
            match (&name[..], value) {
                ("tools", value) => conversation.tools = list(&name, value)?,
                ("documents", value) => conversation.documents = list(&name, value)?,
                ("chat_template", TemplateValue::Text(name)) => conversation.template = Some(name),
                ("continue_final_message", TemplateValue::Boolean(continues)) => {
                    conversation.continues = continues.then(|| "content".to_owned());
                }
                ("continue_final_message", TemplateValue::Text(field)) => {
                    conversation.continues = Some(field);
                }
                ("chat_template_kwargs", TemplateValue::Object(more)) => {
                    conversation.arguments.extend(more);
                }
                ("chat_template" | "continue_final_message" | "chat_template_kwargs", _) => {
                    return Err(format!("'{name}' is not of the kind that transformers takes"));
                }
                (_, value) => conversation.arguments.push((name, value)),
            }
        }
        Ok(conversation)
    }
}

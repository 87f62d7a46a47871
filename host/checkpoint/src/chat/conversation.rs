//! A conversation, and everything else that a chat template is given with it.

use crate::{Error, Result, text_file};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A value that is passed to a template: anything that JSON can hold. The fields of an object keep their order.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum TemplateValue {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// A whole number above `i64::MAX`.
    Unsigned(u64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array of JSON.
    List(Vec<TemplateValue>),
    /// An object of JSON.
    Object(IndexMap<String, TemplateValue>),
}

/// The name and the value of a template variable, for example `enable_thinking`. A template that does not use the name
/// ignores it, as in transformers.
pub type Argument = (String, TemplateValue);

/// One turn of a conversation: `role`, `content` and other fields that templates read, such as `tool_calls`.
///
/// ```
/// use llem_checkpoint::chat::Message;
///
/// let message = Message::new("user", "Hello");
/// assert_eq!(message.text("role"), Some("user"));
/// assert_eq!(message.text("tool_calls"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Message {
    /// The fields by name, in the order in which a template sees them.
    pub fields: IndexMap<String, TemplateValue>,
}

impl Message {
    /// Makes a message with the fields `role` and `content`. The role is usually `system`, `user` or `assistant`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let fields = [("role", role.into()), ("content", content.into())];
        let fields = fields.map(|(name, text)| (name.to_owned(), TemplateValue::Text(text)));
        Self { fields: fields.into() }
    }

    /// Returns the text of a field. Returns `None` if the field is missing or is not a string.
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field) {
            Some(TemplateValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The input of [`ChatTemplate::render`](super::ChatTemplate::render).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Conversation {
    /// The turns, from first to last.
    pub messages: Vec<Message>,
    /// JSON schemas of the functions that the model may call. `None` and an empty list differ: templates often test
    /// whether `tools` is defined.
    pub tools: Option<Vec<TemplateValue>>,
    /// Documents for retrieval-augmented generation.
    pub documents: Option<Vec<TemplateValue>>,
    /// Further variables of the template.
    pub arguments: Vec<Argument>,
    /// The name of the template, for models that have several. `None` selects the template that transformers selects.
    pub template: Option<String>,
    /// The field of the last message that the model continues, for example `content`. The rendered text then ends
    /// inside that field. `None` starts a new turn of the assistant.
    pub continues: Option<String>,
}

/// Why JSON is no conversation.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConversationError {
    /// The object has no messages.
    #[error("has no 'messages': add the list of messages")]
    NoMessages,

    /// The field with this name is not a list.
    #[error("'{0}' is no list")]
    NotList(String),

    /// The message with this index is not an object.
    #[error("message {0} is no object: write {{\"role\": \"user\", \"content\": \"...\"}}")]
    MessageNotObject(usize),

    /// The value of the field with this name has a type that transformers does not accept.
    #[error("'{0}' is not of the kind that transformers takes")]
    FieldType(String),
}

impl Conversation {
    /// Makes a conversation from messages and template variables. Everything else is `None`.
    pub fn new(messages: Vec<Message>, arguments: Vec<Argument>) -> Self {
        Self { messages, arguments, ..Self::default() }
    }

    /// Reads a JSON file: a list of messages, or an object with `messages` and the arguments of transformers'
    /// `apply_chat_template`: `tools`, `documents`, `chat_template` (the name of a template) and
    /// `continue_final_message`. All other fields, and the fields of `chat_template_kwargs`, become variables of the
    /// template.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is not such JSON.
    pub fn from_file(path: &Path) -> Result<Self> {
        let json = text_file::parse(&text_file::read(path)?, path)?;
        Self::from_json(json).map_err(|cause| Error::file(path, cause.to_string()))
    }

    /// Converts the JSON that [`Self::from_file`] describes.
    pub(super) fn from_json(json: TemplateValue) -> std::result::Result<Self, ConversationError> {
        let mut fields = match json {
            TemplateValue::Object(fields) => fields,
            messages => [("messages".to_owned(), messages)].into(),
        };
        let messages = fields.shift_remove("messages");
        let messages = messages.ok_or(ConversationError::NoMessages)?;
        let list = |name: &str, value: TemplateValue| match value {
            TemplateValue::List(values) => Ok(Some(values)),
            TemplateValue::Null => Ok(None),
            _ => Err(ConversationError::NotList(name.to_owned())),
        };
        let message = |(index, value)| match value {
            TemplateValue::Object(fields) => Ok(Message { fields }),
            _ => Err(ConversationError::MessageNotObject(index)),
        };
        let messages = list("messages", messages)?.unwrap_or_default();
        let mut conversation = Self {
            messages: messages
                .into_iter()
                .enumerate()
                .map(message)
                .collect::<std::result::Result<_, ConversationError>>()?,
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
                    return Err(ConversationError::FieldType(name));
                }
                (_, value) => conversation.arguments.push((name, value)),
            }
        }
        Ok(conversation)
    }
}

//! Renders a conversation as transformers' `apply_chat_template` does: prepares the template's variables, runs the
//! template, and cuts the text if the last message is to be continued.

use super::{
    ChatTemplate, Conversation, Message, TemplateValue,
    jinja::{self, PyValue, RenderError, RenderErrorKind},
};
use crate::{Error, Result};
use indexmap::IndexMap;
use std::rc::Rc;

/// A date and time without a time zone. Templates read it with `strftime_now`.
pub use jiff::civil::DateTime;

/// The variable that says whether the text ends with the beginning of the assistant's turn.
const GENERATION_PROMPT: &str = "add_generation_prompt";

/// Names that a caller cannot use for template variables, because `apply_chat_template` sets them or has a parameter of
/// the same name.
pub(super) const RESERVED: [&str; 18] = [
    "messages",
    "tools",
    "documents",
    "raise_exception",
    "strftime_now",
    "conversation",
    "chat_template",
    "continue_final_message",
    "tokenize",
    "sanitize_control_tokens",
    "padding",
    "truncation",
    "max_length",
    "return_tensors",
    "return_dict",
    "return_assistant_tokens_mask",
    "tokenizer_kwargs",
    "self",
];

/// The names of the field that holds a message's reasoning. Most templates read the first. The others are older or
/// belong to one model family.
const REASONING_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A marker that is put at the end of the text that the model continues, so that the rendered text can be cut there. A
/// template may trim the space at the end of the marker.
const CONTINUE_MARKER: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// Returns the machine's local date and time, like Python's `datetime.now()`.
pub fn local_now() -> DateTime {
    jiff::ZonedDateTime::now().datetime()
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("chat template: {reason}"))
}

/// Converts an error of the template language to an error of this crate, with the line and the remedy.
fn convert_error(error: RenderError) -> Error {
    let RenderError { kind, message, line } = error;
    let at = if line > 0 { format!(", line {line}") } else { String::new() };
    match kind {
        RenderErrorKind::Raised => invalid(format!("it refuses this conversation: {message}")),
        RenderErrorKind::Invalid => Error::Invalid(format!("chat template{at}: {message}")),
        RenderErrorKind::Unsupported => Error::Unsupported(format!(
            "chat template{at}: {message}, which llem does not render as Jinja2 does; give the prompt as text"
        )),
        RenderErrorKind::TooManySteps => {
            Error::Invalid(format!("chat template{at}: {message}; give the prompt as text"))
        }
    }
}

impl ChatTemplate {
    /// Renders a conversation to the text that the model is prompted with. The text ends with the beginning of the
    /// assistant's turn, unless the argument `add_generation_prompt` is false or the last message is to be continued.
    ///
    /// An argument hides a special token of the same name. `now` is the date and time that `strftime_now` returns.
    ///
    /// # Errors
    /// Fails if
    /// - the conversation is empty, or its last message cannot be continued,
    /// - an argument has a reserved name, is given twice or is not a finite number,
    /// - the model has no template of the requested name,
    /// - the template is invalid, calls `raise_exception`, takes too many steps or uses a feature of Jinja2 that llem does
    ///   not have.
    pub fn render(&self, conversation: &Conversation, now: DateTime) -> Result<String> {
        if conversation.messages.is_empty() {
            return Err(invalid("the conversation is empty: add a message"));
        }
        let source = self.source(conversation.template.as_deref(), conversation.tools.is_some())?;
        let mut messages: Vec<Message> =
            conversation.messages.iter().map(|message| message.normalize()).collect();
        let prefix = match (&conversation.continues, messages.last_mut()) {
            (Some(field), Some(last)) => Some(append_marker(last, field, source)?),
            _ => None,
        };
        let variables = self.variables(conversation, messages)?;
        let text = jinja::render(source, &variables, now).map_err(convert_error)?;
        match prefix {
            Some(prefix) => cut_at_marker(text, &prefix),
            None => Ok(text),
        }
    }

    /// Collects the variables of the template. Later ones replace earlier ones of the same name: special tokens,
    /// `add_generation_prompt`, the arguments, then `messages`, `tools` and `documents`.
    fn variables(
        &self,
        conversation: &Conversation,
        messages: Vec<Message>,
    ) -> Result<IndexMap<Rc<str>, PyValue>> {
        let list = |values: &Option<Vec<TemplateValue>>| match values {
            Some(values) => to_py_value(&TemplateValue::List(values.clone())),
            None => Ok(PyValue::None),
        };
        let roles = self.special_tokens.roles().iter();
        let mut variables: IndexMap<Rc<str>, PyValue> =
            roles.map(|(role, text)| ((*role).into(), PyValue::from(&text[..]))).collect();
        let continues = conversation.continues.is_some();
        variables.insert(GENERATION_PROMPT.into(), (!continues).into());
        for (index, (name, value)) in conversation.arguments.iter().enumerate() {
            let refuse = |reason: &str| Err(invalid(format!("argument '{name}' {reason}")));
            if RESERVED.contains(&&name[..]) {
                return refuse("is none of the template's variables: give it another name");
            }
            if conversation.arguments[..index].iter().any(|(earlier, _)| earlier == name) {
                return refuse("is given twice: leave one out");
            }
            if name == GENERATION_PROMPT {
                match value {
                    TemplateValue::Boolean(true) if continues => {
                        return refuse("does not go with a message to continue: leave one out");
                    }
                    TemplateValue::Boolean(_) => {}
                    _ => return refuse("is true or false"),
                }
            }
            if matches!(value, TemplateValue::Number(number) if !number.is_finite()) {
                return refuse("is no finite number");
            }
            variables.insert((&name[..]).into(), to_py_value(value)?);
        }
        let messages = messages.into_iter().map(|message| TemplateValue::Object(message.fields));
        let messages = TemplateValue::List(messages.collect());
        variables.insert("messages".into(), to_py_value(&messages)?);
        variables.insert("tools".into(), list(&conversation.tools)?);
        variables.insert("documents".into(), list(&conversation.documents)?);
        Ok(variables)
    }
}

/// Converts a value to a value of the template language.
pub(super) fn to_py_value(value: &TemplateValue) -> Result<PyValue> {
    // serde_json reads an integer of more than 64 bits as a rounded float. Python keeps it exact.
    const LARGEST: f64 = 1.8e19;
    Ok(match value {
        TemplateValue::Null => PyValue::None,
        TemplateValue::Boolean(value) => PyValue::Bool(*value),
        TemplateValue::Integer(value) => PyValue::Int((*value).into()),
        TemplateValue::Unsigned(value) => PyValue::Int((*value).into()),
        TemplateValue::Number(value) if value.abs() >= LARGEST => {
            return Err(invalid(format!("the number {value} is beyond 64 bits: write it as text")));
        }
        TemplateValue::Number(value) => PyValue::Float(*value),
        TemplateValue::Text(text) => PyValue::from(&text[..]),
        TemplateValue::List(values) => {
            let values = values.iter().map(to_py_value).collect::<Result<_>>()?;
            PyValue::from_items(values).map_err(convert_error)?
        }
        TemplateValue::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((&name[..], to_py_value(value)?)));
            let fields = fields.collect::<Result<Vec<_>>>()?;
            PyValue::from_entries(fields).map_err(convert_error)?
        }
    })
}

impl Message {
    /// Removes fields that are null, and copies the reasoning to the two field names that templates read it by.
    fn normalize(&self) -> Self {
        let fields = self.fields.iter().filter(|(_, value)| **value != TemplateValue::Null);
        let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
        let Some(reasoning) = REASONING_FIELDS
            .iter()
            .find_map(|name| self.fields.get(*name).filter(|value| **value != TemplateValue::Null))
        else {
            return Self { fields: fields.collect() };
        };
        let thinking = ("thinking".to_owned(), reasoning.clone());
        let mut fields: IndexMap<_, _> = [thinking].into_iter().chain(fields).collect();
        fields.insert(REASONING_FIELDS[0].to_owned(), reasoning.clone());
        Self { fields }
    }
}

/// Appends the marker to a field of the last message, and returns the text before the marker. `source` is the
/// template's source code: a template that does not mention the field cannot continue it.
fn append_marker(last: &mut Message, field: &str, source: &str) -> Result<String> {
    let missing = || invalid(format!("the last message has no '{field}' to continue"));
    let value = last.fields.get(field).cloned().ok_or_else(missing)?;
    let copies: Vec<&str> = match REASONING_FIELDS.contains(&field) {
        true => REASONING_FIELDS
            .into_iter()
            .filter(|name| last.fields.get(*name) == Some(&value))
            .collect(),
        false => vec![field],
    };
    if !copies.iter().any(|name| source.contains(name)) {
        return Err(invalid(format!("it does not read '{field}', which is to be continued")));
    }
    match value {
        TemplateValue::Text(text) => {
            for name in copies {
                let marked = TemplateValue::Text(text.clone() + CONTINUE_MARKER);
                last.fields.insert(name.to_owned(), marked);
            }
            Ok(text)
        }
        TemplateValue::List(mut parts) => {
            let text = parts.iter_mut().rev().find_map(|part| match part {
                TemplateValue::Object(part) => match part.get_mut("text") {
                    Some(TemplateValue::Text(text)) => Some(text),
                    _ => None,
                },
                _ => None,
            });
            let text = text.ok_or_else(missing)?;
            let unmarked = text.clone();
            text.push_str(CONTINUE_MARKER);
            last.fields.insert(field.to_owned(), TemplateValue::List(parts));
            Ok(unmarked)
        }
        _ => Err(missing()),
    }
}

/// Cuts the rendered text at the marker. `prefix` is the text of the field before the marker.
fn cut_at_marker(mut text: String, prefix: &str) -> Result<String> {
    let at = text.rfind(CONTINUE_MARKER.trim_end());
    let at = at.filter(|_| text.contains(prefix.trim_matches(jinja::is_space)));
    let at = at.ok_or_else(|| {
        invalid("it changes the text of the last message, so that it cannot be continued")
    })?;
    let is_trimmed = !text[at..].starts_with(CONTINUE_MARKER);
    text.truncate(at);
    if is_trimmed {
        text.truncate(text.trim_end_matches(jinja::is_space).len());
    }
    Ok(text)
}

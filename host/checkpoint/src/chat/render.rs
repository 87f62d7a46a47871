//! `apply_chat_template`: what a template is given, and what becomes of its text.

use super::{
    ChatTemplate, Conversation, Message, TemplateValue,
    jinja::{self, Fault, FaultKind, Value},
};
use crate::{Error, Result};
use indexmap::IndexMap;
use std::rc::Rc;

/// A date and time without a zone, which `strftime_now` tells a template.
pub use jiff::civil::DateTime;

/// Whether the template is to begin the assistant's turn; transformers' argument of that name.
const GENERATION_PROMPT: &str = "add_generation_prompt";

/// Names that are no template's variables, because `apply_chat_template` sets them or takes them for itself.
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

/// Names that a message's reasoning has. Templates read the first; the others are older, or one family's.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// What marks the end of the text that the model is to go on with. A template may trim the space.
const CONTINUE_MARK: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// Now, by the machine's clock and zone, as Python's `datetime.now()` has it.
pub fn local_now() -> DateTime {
    jiff::ZonedDateTime::now().datetime()
}

fn invalid(reason: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("chat template: {reason}"))
}

/// What is said of a template that cannot be rendered.
fn refused(fault: Fault) -> Error {
    let Fault { kind, message, line } = fault;
    let at = if line > 0 { format!(", line {line}") } else { String::new() };
    match kind {
        FaultKind::Raised => invalid(format!("it refuses this conversation: {message}")),
        FaultKind::Invalid => Error::Invalid(format!("chat template{at}: {message}")),
        FaultKind::Unsupported => Error::Unsupported(format!(
            "chat template{at}: {message}, which llem does not render as Jinja2 does; give the prompt as text"
        )),
        FaultKind::Steps => {
            Error::Invalid(format!("chat template{at}: {message}; give the prompt as text"))
        }
    }
}

impl ChatTemplate {
    /// Renders a conversation, ready for the assistant's turn unless the argument `add_generation_prompt` is false or the
    /// last message is to be continued. Arguments are variables of the template and go before special tokens of the same
    /// name. `now` is the date that the template is told if it asks.
    ///
    /// # Errors
    /// The conversation is empty or its last message cannot be continued; an argument has a name that is not the
    /// caller's to set, or is given twice or is no finite number; the model has no such template; the template is broken,
    /// refuses, takes too many steps, or asks for what is not rendered as Jinja2 does.
    pub fn render(&self, conversation: &Conversation, now: DateTime) -> Result<String> {
        if conversation.messages.is_empty() {
            return Err(invalid("the conversation is empty: add a message"));
        }
        let source = self.source(conversation.template.as_deref(), conversation.tools.is_some())?;
        let mut messages: Vec<Message> =
            conversation.messages.iter().map(|message| message.normalized()).collect();
        let continued = match (&conversation.continues, messages.last_mut()) {
            (Some(field), Some(last)) => Some(mark_end(last, field, source)?),
            _ => None,
        };
        let variables = self.variables(conversation, messages)?;
        let text = jinja::render(source, &variables, now).map_err(refused)?;
        match continued {
            Some(continued) => cut_at_mark(text, &continued),
            None => Ok(text),
        }
    }

    /// What a template sees.
    fn variables(
        &self,
        conversation: &Conversation,
        messages: Vec<Message>,
    ) -> Result<IndexMap<Rc<str>, Value>> {
        let list = |values: &Option<Vec<TemplateValue>>| match values {
            Some(values) => value_of(&TemplateValue::List(values.clone())),
            None => Ok(Value::None),
        };
        let roles = self.special_tokens.roles().iter();
        let mut variables: IndexMap<Rc<str>, Value> =
            roles.map(|(role, text)| ((*role).into(), Value::from(&text[..]))).collect();
        let continues = conversation.continues.is_some();
        variables.insert(GENERATION_PROMPT.into(), (!continues).into());
        for (index, (name, value)) in conversation.arguments.iter().enumerate() {
            let refused = |reason: &str| Err(invalid(format!("argument '{name}' {reason}")));
            if RESERVED.contains(&&name[..]) {
                return refused("is none of the template's variables: give it another name");
            }
            if conversation.arguments[..index].iter().any(|(earlier, _)| earlier == name) {
                return refused("is given twice: leave one out");
            }
            if name == GENERATION_PROMPT {
                match value {
                    TemplateValue::Boolean(true) if continues => {
                        return refused("does not go with a message to continue: leave one out");
                    }
                    TemplateValue::Boolean(_) => {}
                    _ => return refused("is true or false"),
                }
            }
            if matches!(value, TemplateValue::Number(number) if !number.is_finite()) {
                return refused("is no finite number");
            }
            variables.insert((&name[..]).into(), value_of(value)?);
        }
        let messages = messages.into_iter().map(|message| TemplateValue::Object(message.fields));
        let messages = TemplateValue::List(messages.collect());
        variables.insert("messages".into(), value_of(&messages)?);
        variables.insert("tools".into(), list(&conversation.tools)?);
        variables.insert("documents".into(), list(&conversation.documents)?);
        Ok(variables)
    }
}

/// A value as the template's language has it.
pub(super) fn value_of(value: &TemplateValue) -> Result<Value> {
    // A JSON reader rounds integers beyond 64 bits, which Python does not.
    const LARGEST: f64 = 1.8e19;
    Ok(match value {
        TemplateValue::Null => Value::None,
        TemplateValue::Boolean(value) => Value::Bool(*value),
        TemplateValue::Integer(value) => Value::Int((*value).into()),
        TemplateValue::Unsigned(value) => Value::Int((*value).into()),
        TemplateValue::Number(value) if value.abs() >= LARGEST => {
            return Err(invalid(format!("the number {value} is beyond 64 bits: write it as text")));
        }
        TemplateValue::Number(value) => Value::Float(*value),
        TemplateValue::Text(text) => Value::from(&text[..]),
        TemplateValue::List(values) => {
            let values = values.iter().map(value_of).collect::<Result<_>>()?;
            Value::from_items(values).map_err(refused)?
        }
        TemplateValue::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((&name[..], value_of(value)?)));
            let fields = fields.collect::<Result<Vec<_>>>()?;
            Value::from_entries(fields).map_err(refused)?
        }
    })
}

impl Message {
    /// The message without its fields that are null, and with its reasoning under each name that templates read it by.
    fn normalized(&self) -> Self {
        let fields = self.fields.iter().filter(|(_, value)| **value != TemplateValue::Null);
        let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
        let Some(reasoning) = REASONING
            .iter()
            .find_map(|name| self.fields.get(*name).filter(|value| **value != TemplateValue::Null))
        else {
            return Self { fields: fields.collect() };
        };
        let thinking = ("thinking".to_owned(), reasoning.clone());
        let mut fields: IndexMap<_, _> = [thinking].into_iter().chain(fields).collect();
        fields.insert(REASONING[0].to_owned(), reasoning.clone());
        Self { fields }
    }
}

/// Marks the end of a message's field, and returns the text before the mark.
fn mark_end(last: &mut Message, field: &str, source: &str) -> Result<String> {
    let missing = || invalid(format!("the last message has no '{field}' to continue"));
    let value = last.fields.get(field).cloned().ok_or_else(missing)?;
    let copies: Vec<&str> = match REASONING.contains(&field) {
        true => {
            REASONING.into_iter().filter(|name| last.fields.get(*name) == Some(&value)).collect()
        }
        false => vec![field],
    };
    if !copies.iter().any(|name| source.contains(name)) {
        return Err(invalid(format!("it does not read '{field}', which is to be continued")));
    }
    match value {
        TemplateValue::Text(text) => {
            for name in copies {
                let marked = TemplateValue::Text(text.clone() + CONTINUE_MARK);
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
            text.push_str(CONTINUE_MARK);
            last.fields.insert(field.to_owned(), TemplateValue::List(parts));
            Ok(unmarked)
        }
        _ => Err(missing()),
    }
}

/// The rendered text up to the mark.
fn cut_at_mark(mut text: String, continued: &str) -> Result<String> {
    let at = text.rfind(CONTINUE_MARK.trim_end());
    let at = at.filter(|_| text.contains(continued.trim_matches(jinja::is_space)));
    let at = at.ok_or_else(|| {
        invalid("it changes the text of the last message, so that it cannot be continued")
    })?;
    let is_trimmed = !text[at..].starts_with(CONTINUE_MARK);
    text.truncate(at);
    if is_trimmed {
        text.truncate(text.trim_end_matches(jinja::is_space).len());
    }
    Ok(text)
}

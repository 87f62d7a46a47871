//! Conversations and the chat templates that turn them into text, as transformers does it
//! (`utils/chat_template_utils.py`, version 5).
//!
//! ```text
//! folder, GGUF file ─► ChatTemplate ──┐
//! JSON, a script ────► Conversation ──┴─► render ─► jinja ─► text
//! ```
//!
//! Start at [`ChatTemplate::render`] and [`Conversation`].

mod conversation;
mod jinja;
mod named_templates;
mod render;
#[cfg(test)]
mod tests;

pub use conversation::{Argument, Conversation, Message, TemplateValue};
pub use named_templates::ChatTemplate;
pub use render::{DateTime, local_now};

pub(crate) use named_templates::files;

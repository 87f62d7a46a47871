//! Conversations and the chat templates that turn them into text, as transformers does it
//! (`utils/chat_template_utils.py`, version 5).
//!
//! ```text
//! folder, GGUF file ─► ChatTemplate ──┐
//! JSON, a script ────► Conversation ──┴─► render ─► jinja ─► text
//! ```
//!
//! Start at [`ChatTemplate::render`], [`Conversation`] and [`Message`]. The template language is implemented in
//! `jinja`.
//!
//! ```
//! use llem_checkpoint::chat::{ChatTemplate, Conversation, DateTime, Message, TemplateValue};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/chat/plain");
//! let template = ChatTemplate::from_folder(folder.as_ref())?.expect("the folder has a template");
//! let conversation = Conversation::new(vec![Message::new("user", "Hello")], Vec::new());
//! let now: DateTime = "2026-03-05T09:07:03".parse().expect("a date");
//! let text = template.render(&conversation, now)?;
//! assert_eq!(text, "<s><|USER|1>\nHello</s>\n<|ASSISTANT|2>\n");
//! # Ok::<(), llem_checkpoint::Error>(())
//! ```

mod chat_template;
mod conversation;
mod jinja;
mod render;
#[cfg(test)]
mod tests;

pub use chat_template::ChatTemplate;
pub use conversation::{Argument, Conversation, Message, TemplateValue};
pub use render::{DateTime, local_now};

pub(crate) use chat_template::template_files;

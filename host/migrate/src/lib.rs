//! Command lines of other benchmarks as command lines of llem.
//!
//! ```text
//! words ──► tools: which tool is it ──► arguments or settings: its options, by its own table
//!                                              │
//!                     draft ◄──────────────────┘  a parameter for each option, or the reason why there is none
//!                       │
//!                  Migration: the command of llem, and notes
//! ```
//!
//! Each tool has a table of its options, read in its sources: the names, what follows, and the parameter of the script
//! of llem that does the same, or why nothing does. An option that is in no table is refused, because the tool would
//! refuse it too.
//!
//! ```
//! let words = ["llama-bench", "-m", "model.gguf", "-p", "256", "-fa", "1"].map(str::to_owned);
//! let migration = llem_migrate::migrate(&words)?;
//! assert_eq!(
//!     migration.commands[0].to_string(),
//!     "llem exec scripts/llama-bench --model model.gguf -p n-prompt=256 -p cache-type=f16"
//! );
//! assert_eq!(migration.notes[0].to_string(), "-fa 1: there is one attention");
//! # Ok::<(), llem_migrate::Error>(())
//! ```
//!
//! # Start at
//! - [`migrate`]: a command of a tool, as a command of llem
//! - [`Migration`]: what comes of it
//! - [`Tool`]: the tools and their tables

mod arguments;
mod command;
mod draft;
mod error;
mod given;
mod hydra;
mod migration;
mod option;
mod pairs;
mod settings;
mod tool;
mod tools;
mod values;
mod yaml;

pub use command::LlemCommand;
pub use error::Error;
pub use migration::{Migration, Note};
pub use option::OptionInfo;
pub use tool::Tool;

/// Turns a command of another tool, given as words, into a command of llem. One word with spaces is split as a shell
/// does.
///
/// # Errors
/// Fails if the tool or one of its options is not known, if a value cannot be read, or if a file cannot.
pub fn migrate(words: &[String]) -> Result<Migration, Error> {
    let invocation = tool::Invocation::from_words(words)?;
    let mut migration = invocation.tool.migrate(&invocation)?;
    migration.notes.extend(invocation.notes_of_variables());
    Ok(migration)
}

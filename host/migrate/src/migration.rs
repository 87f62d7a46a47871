//! What comes of a command of another tool.

use crate::LlemCommand;
use std::fmt;

/// The commands of llem, and what they leave out or do otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// The commands, in the order in which the tool would have done the same. Nearly always one.
    pub commands: Vec<LlemCommand>,
    /// Options without a counterpart first, in the order in which they were given.
    pub notes: Vec<Note>,
}

/// What a user should know about a command.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// An option that has no counterpart, so that the command of llem does not have it.
    Untranslated {
        /// The option with its value, as it was given.
        option: String,
        /// Why there is none, or what to do instead.
        why: &'static str,
    },
    /// The method or the numbers differ.
    Difference(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untranslated { option, why } => write!(f, "{option}: {why}"),
            Self::Difference(sentence) => f.write_str(sentence),
        }
    }
}

//! The options that a command of a tool gives.

use crate::{
    Error,
    option::{Kind, OptionRow},
};

/// An option that was given.
#[derive(Debug)]
pub(crate) struct GivenOption {
    pub(crate) row: &'static OptionRow,
    /// As it was written: `--num_prompts`.
    pub(crate) name: String,
    /// The option with its value, for notes.
    pub(crate) shown: String,
    /// A flag has `true` or `false`.
    pub(crate) values: Vec<String>,
}

/// All options of a command, in their order.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) tool: &'static str,
    tables: &'static [&'static [OptionRow]],
    pub(crate) options: Vec<GivenOption>,
    /// The words that belong to no option.
    pub(crate) words: Vec<String>,
}

impl Given {
    pub(crate) fn new(tool: &'static str, tables: &'static [&'static [OptionRow]]) -> Self {
        Self { tool, tables, options: vec![], words: vec![] }
    }

    /// Adds an option, after a look at the kind of its value.
    pub(crate) fn push(&mut self, option: GivenOption) -> Result<(), Error> {
        let expected = match option.row.kind {
            Kind::Integer => "a whole number".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::Text | Kind::Words | Kind::OptionalText | Kind::TwoWords => String::new(),
        };
        let is_of_kind = |value: &&String| match option.row.kind {
            Kind::Integer => value.parse::<i64>().is_ok(),
            Kind::Number => value.parse::<f64>().is_ok(),
            Kind::Flag => boolean(value).is_some(),
            Kind::OneOf(words) => words.contains(&value.as_str()),
            Kind::Text | Kind::Words | Kind::OptionalText | Kind::TwoWords => true,
        };
        if let Some(value) = option.values.iter().find(|value| !is_of_kind(value)) {
            return Err(self.wrong(&option.name, value, expected));
        }
        self.options.push(option);
        Ok(())
    }

    /// The error for a value that the tool would not take either.
    pub(crate) fn wrong(&self, option: &str, value: &str, expected: impl Into<String>) -> Error {
        let (option, value, expected) = (option.to_owned(), value.to_owned(), expected.into());
        Error::Value { tool: self.tool, option, value, expected }
    }

    /// Makes sure that every word belongs to an option.
    pub(crate) fn without_words(&self) -> Result<(), Error> {
        match self.words.first() {
            Some(word) => Err(Error::UnexpectedWord { tool: self.tool, word: word.clone() }),
            None => Ok(()),
        }
    }

    /// The first row of the tables with this name.
    pub(crate) fn row(&self, name: &str) -> Option<&'static OptionRow> {
        self.rows().find(|row| row.is_called(name))
    }

    /// The options of a row, by any of its names.
    fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &GivenOption> {
        let row = self.row(name);
        self.options
            .iter()
            .filter(move |option| row.is_some_and(|row| std::ptr::eq(row, option.row)))
    }

    /// The option as it was given last, by any of its names.
    pub(crate) fn option(&self, name: &str) -> Option<&GivenOption> {
        self.all(name).next_back()
    }

    /// The value of the option as it was given last.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.option(name)?.values.last().map(String::as_str)
    }

    /// The values of all times that the option was given.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        self.all(name).flat_map(|option| option.values.iter().map(String::as_str)).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.option(name).is_some()
    }

    /// `true` if the flag was given last as true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).and_then(boolean).unwrap_or(false)
    }

    /// The value as a number. [`Self::push`] saw that it is one.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    /// The rows of all tables.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static OptionRow> {
        self.tables.iter().flat_map(|table| table.iter())
    }
}

/// A word of Python, YAML or a shell for a truth value.
pub(crate) fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

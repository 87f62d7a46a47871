//! Reads a command line as argparse, click and other parsers in Python do.

use crate::{
    Error,
    given::{Given, GivenOption},
    option::{Kind, OptionRow},
};
use std::{collections::VecDeque, slice, vec};

/// Reads options by a tool's tables: `--name value`, `--name=value`, `-n value`, `-n=value`, flags with their opposites
/// `--no-name`, and options that take several words. What belongs to no option is left in [`Given::words`].
///
/// # Errors
/// Fails if an option is in no table, has no value, or has one of another kind.
pub(crate) fn parse(
    tool: &'static str,
    tables: &'static [&'static [OptionRow]],
    words: &[String],
) -> Result<Given, Error> {
    let mut given = Given::new(tool, tables);
    let mut words: VecDeque<&str> = words.iter().map(String::as_str).collect();
    while let Some(word) = words.pop_front() {
        if word == "--" {
            given.words.extend(words.drain(..).map(str::to_owned));
        } else if is_option(word) {
            let option = WrittenOption::read(tool, tables, word)?.with_values(tool, &mut words)?;
            given.push(option)?;
        } else {
            given.words.push(word.to_owned());
        }
    }
    Ok(given)
}

/// A word that begins with a hyphen and is no number.
fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}

/// An option whose following words are not read yet.
struct WrittenOption<'a> {
    row: &'static OptionRow,
    spelled: &'a str,
    /// What was written with the option: after `=`, or right after a single letter.
    attached: Option<&'a str>,
    /// A flag was written as its opposite.
    negated: bool,
}

impl<'a> WrittenOption<'a> {
    fn read(
        tool: &'static str,
        tables: &'static [&'static [OptionRow]],
        word: &'a str,
    ) -> Result<Self, Error> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        if let Some(row) = find(tables, name) {
            return Ok(Self { row, spelled: name, attached: value, negated: false });
        }
        // `--no-x` is the opposite of `--x`; `--disable-x` is another option.
        let positive = name.strip_prefix("--no-").map(|rest| format!("--{rest}"));
        let flag = positive.and_then(|name| find(tables, &name));
        if let Some(row) = flag.filter(|row| row.kind == Kind::Flag) {
            return Ok(Self { row, spelled: name, attached: None, negated: true });
        }
        // vLLM's `--option.key value` is a part of a JSON object.
        if let Some(row) = name.split_once('.').and_then(|(above, _)| find(tables, above)) {
            return Ok(Self { row, spelled: name, attached: value, negated: false });
        }
        // `-O3`, `-n5`: a single letter with its value.
        let letter = word.get(..2).filter(|_| !word.starts_with("--") && word.len() > 2);
        if let Some((letter, row)) = letter.and_then(|name| Some((name, find(tables, name)?)))
            && !matches!(row.kind, Kind::Flag | Kind::OptionalText)
        {
            return Ok(Self { row, spelled: letter, attached: word.get(2..), negated: false });
        }
        let rows = tables.iter().flat_map(|table| table.iter());
        let instead = rows.flat_map(OptionRow::names).find(|known| known.starts_with(name));
        Err(Error::UnknownOption {
            tool,
            option: name.to_owned(),
            instead: instead.filter(|_| name.len() > 2).map(str::to_owned),
        })
    }

    /// Takes the option's values from the words that follow it.
    fn with_values(
        self,
        tool: &'static str,
        words: &mut VecDeque<&str>,
    ) -> Result<GivenOption, Error> {
        let missing = || Error::NoValue { tool, option: self.spelled.to_owned() };
        let mut values = vec![];
        let mut next = |words: &mut VecDeque<&str>| {
            let word = words.pop_front_if(|word| !is_option(word));
            word.map(|word| values.push(word.to_owned()))
        };
        match (self.row.kind, self.attached) {
            (_, Some(attached)) => values.push(attached.to_owned()),
            (Kind::Flag, None) => values.push((!self.negated).to_string()),
            (Kind::OptionalText, None) => _ = next(words),
            (Kind::Words, None) => while next(words).is_some() {},
            (Kind::TwoWords, None) => {
                next(words).and_then(|()| next(words)).ok_or_else(missing)?;
            }
            // A text may begin with a hyphen if nothing that is known is called so, as in `--system-prompt "- be
            // brief"`.
            (Kind::Text, None) => {
                let word = words.pop_front_if(|word| !is_option(word) || word.contains(' '));
                values.push(word.ok_or_else(missing)?.to_owned());
            }
            (Kind::Integer | Kind::Number | Kind::OneOf(_), None) => {
                next(words).ok_or_else(missing)?;
            }
        }
        let shown = match self.row.kind {
            Kind::Flag if self.attached.is_none() => self.spelled.to_owned(),
            _ => [slice::from_ref(&self.spelled.to_owned()), &values].concat().join(" "),
        };
        Ok(GivenOption { row: self.row, name: self.spelled.to_owned(), shown, values })
    }
}

fn find(tables: &'static [&'static [OptionRow]], name: &str) -> Option<&'static OptionRow> {
    tables.iter().flat_map(|table| table.iter()).find(|row| row.is_called(name))
}

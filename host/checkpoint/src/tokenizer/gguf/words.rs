//! Splits a text into words.

use super::pre_tokenizers::Split;
use crate::{Error, Result};
use fancy_regex::{Regex, RegexBuilder};
use std::ops::Range;

/// Steps back that one search for a word may take. The longest text has not so many.
const BACKTRACKS: usize = 100_000_000;

/// How words are found, ready for use.
pub struct Words(Vec<Step>);

enum Step {
    Pattern(Box<Regex>),
    DigitGroups { only_ascii: bool },
}

impl Words {
    /// Of these steps.
    pub fn new(splits: &[Split]) -> Result<Self> {
        let step = |split: &Split| {
            Ok(match split {
                Split::Pattern(pattern) => {
                    let regex = RegexBuilder::new(pattern).backtrack_limit(BACKTRACKS).build();
                    let regex = regex.map_err(|error| Error::Bug(format!("{pattern}: {error}")))?;
                    Step::Pattern(Box::new(regex))
                }
                Split::DigitGroups => Step::DigitGroups { only_ascii: false },
                Split::AsciiDigitGroups => Step::DigitGroups { only_ascii: true },
            })
        };
        Ok(Self(splits.iter().map(step).collect::<Result<_>>()?))
    }

    /// The words of a text, which are all of it.
    ///
    /// # Errors
    /// A pattern goes astray in it.
    pub fn split<'a>(&self, text: &'a str) -> Result<Vec<&'a str>> {
        let mut words = vec![text];
        for step in &self.0 {
            let mut finer = Vec::with_capacity(words.len());
            for word in words {
                // A step sees nothing of what is around a word.
                let mut end = 0;
                for found in step.find(word)? {
                    finer.extend([&word[end..found.start], &word[found.clone()]]);
                    end = found.end;
                }
                finer.push(&word[end..]);
            }
            finer.retain(|word| !word.is_empty());
            words = finer;
        }
        Ok(words)
    }
}

impl Step {
    fn find(&self, text: &str) -> Result<Vec<Range<usize>>> {
        match self {
            Self::Pattern(regex) => {
                let found = regex.find_iter(text).map(|found| Ok(found?.range()));
                found.collect::<std::result::Result<_, fancy_regex::Error>>().map_err(|error| {
                    Error::Invalid(format!("cannot split the text into words: {error}"))
                })
            }
            Self::DigitGroups { only_ascii } => Ok(digit_groups(text, *only_ascii)),
        }
    }
}

/// Digits in groups of three, counted from the right.
fn digit_groups(text: &str, only_ascii: bool) -> Vec<Range<usize>> {
    let is_digit = |character: char| match only_ascii {
        true => character.is_ascii_digit(),
        false => character.is_numeric(),
    };
    let mut groups = Vec::new();
    let mut digits: Vec<usize> = Vec::new();
    for (place, character) in text.char_indices().chain([(text.len(), ' ')]) {
        if is_digit(character) {
            digits.push(place);
            continue;
        }
        let starts: Vec<usize> = (digits.iter().enumerate())
            .filter(|(index, _)| *index == 0 || (digits.len() - index).is_multiple_of(3))
            .map(|(_, place)| *place)
            .collect();
        let ends = starts.iter().skip(1).copied().chain([place]);
        groups.extend(starts.iter().zip(ends).map(|(&start, end)| start..end));
        digits.clear();
    }
    groups
}

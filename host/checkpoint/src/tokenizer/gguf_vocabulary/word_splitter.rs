//! Splits a text into words with the steps of a pre-tokenizer.

use super::split_patterns::SplitStep;
use crate::{Error, Result};
use fancy_regex::{Regex, RegexBuilder};
use std::ops::Range;

/// Number of backtracking steps that one search for a word may take. The longest text that is accepted needs fewer.
const MAX_BACKTRACKS: usize = 100_000_000;

/// The steps of a pre-tokenizer, with compiled regular expressions.
pub(super) struct WordSplitter(Vec<CompiledStep>);

enum CompiledStep {
    Pattern(Box<Regex>),
    DigitGroups { only_ascii: bool },
}

impl WordSplitter {
    /// Compiles the regular expressions.
    pub(super) fn new(splits: &[SplitStep]) -> Result<Self> {
        let step = |split: &SplitStep| {
            Ok(match split {
                SplitStep::Pattern(pattern) => {
                    let regex = RegexBuilder::new(pattern).backtrack_limit(MAX_BACKTRACKS).build();
                    let regex = regex.map_err(|error| Error::Bug(format!("{pattern}: {error}")))?;
                    CompiledStep::Pattern(Box::new(regex))
                }
                SplitStep::DigitGroups => CompiledStep::DigitGroups { only_ascii: false },
                SplitStep::AsciiDigitGroups => CompiledStep::DigitGroups { only_ascii: true },
            })
        };
        Ok(Self(splits.iter().map(step).collect::<Result<_>>()?))
    }

    /// Splits a text into words. Together the words are the whole text.
    ///
    /// # Errors
    /// Fails if a regular expression needs more than [`MAX_BACKTRACKS`] steps.
    pub(super) fn split<'a>(&self, text: &'a str) -> Result<Vec<&'a str>> {
        let mut words = vec![text];
        for step in &self.0 {
            let mut finer = Vec::with_capacity(words.len());
            for word in words {
                // Each word is searched by itself, so that a look-ahead does not see the text around it.
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

impl CompiledStep {
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

/// Returns the positions of groups of three digits, counted from the right of each number.
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

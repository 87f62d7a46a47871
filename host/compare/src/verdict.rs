//! The conclusion of a comparison in a few lines.

use crate::comparison::Comparison;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The conclusion of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Whether method, requests, tokens and chosen scores are the same. Numbers and environment do not decide it.
    pub is_same: bool,
    /// Whether the tokens are equal.
    pub tokens: Finding,
    /// Whether the same was asked.
    pub requests: Finding,
    /// Whether the same was scored. Absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Finding>,
    /// Whether the method is the same.
    pub method: Finding,
    /// How many numbers agree.
    pub numbers: Finding,
    /// In how much the environment differs.
    pub environment: Finding,
}

/// One line of the conclusion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Whether it is the same in both runs. Absent if this is not known.
    pub is_same: Option<bool>,
    /// The finding in words.
    pub text: String,
}

impl Finding {
    fn new(is_same: bool, text: String) -> Self {
        Self { is_same: Some(is_same), text }
    }
}

impl Verdict {
    /// Draws the conclusion. Requests and tokens are known only if both runs have a journal.
    pub(crate) fn new(comparison: &Comparison, is_known: bool) -> Self {
        let unknown =
            || Finding { is_same: None, text: "not known without events.jsonl".to_owned() };
        let (tokens, requests) = match is_known {
            true => (tokens(comparison), requests(comparison)),
            false => (unknown(), unknown()),
        };
        let method = method(comparison);
        let scores = scores(comparison).filter(|_| is_known);
        let deciding = [&tokens, &requests, &method].into_iter().chain(&scores);
        let is_same = deciding.into_iter().all(|finding| finding.is_same == Some(true));
        let (numbers, environment) = (numbers(comparison), environment(comparison));
        Self { is_same, tokens, requests, scores, method, numbers, environment }
    }

    /// Returns the lines with their names, in the order of reading.
    pub fn lines(&self) -> Vec<(&'static str, &Finding)> {
        let mut lines = vec![("tokens", &self.tokens), ("requests", &self.requests)];
        lines.extend(self.scores.as_ref().map(|scores| ("scores", scores)));
        lines.extend([
            ("method", &self.method),
            ("numbers", &self.numbers),
            ("environment", &self.environment),
        ]);
        lines
    }
}

fn tokens(comparison: &Comparison) -> Finding {
    let tokens = &comparison.tokens;
    let text = match tokens.differences.first() {
        None if tokens.tokens == 0 => "none were generated in both runs".to_owned(),
        None => format!(
            "all {} equal, in {}",
            thousands(tokens.tokens),
            counted(tokens.sequences, "sequence")
        ),
        Some(first) => {
            let token =
                |token: Option<u32>| token.map_or("the end".to_owned(), |id| id.to_string());
            format!(
                "{} of {} differ; the first is sequence {} of request {} ('{}' in phase '{}'), at position {}: {} -> {}",
                thousands(tokens.different_sequences),
                counted(tokens.sequences, "sequence"),
                first.sequence,
                first.request.index,
                first.request.label,
                first.request.phase,
                first.position,
                token(first.first),
                token(first.second),
            )
        }
    };
    Finding::new(tokens.is_same(), text)
}

fn requests(comparison: &Comparison) -> Finding {
    let requests = &comparison.requests;
    let mut text = match (requests.different, requests.matched) {
        (0, matched) => format!("all {} equal", thousands(matched)),
        (different, matched) => {
            format!("{} of {} differ", thousands(different), counted(matched, "request"))
        }
    };
    let unexpected = requests.unmatched.iter().filter(|group| group.reason.is_none());
    let (first, second) = unexpected.fold((0, 0), |(first, second), group| {
        let [more, other] =
            [group.first.saturating_sub(group.second), group.second.saturating_sub(group.first)];
        (first + more, second + other)
    });
    for (count, which) in [(first, "first"), (second, "second")] {
        if count > 0 {
            text += &format!(", {} in the {which} run only", thousands(count));
        }
    }
    Finding::new(requests.is_same(), text)
}

fn scores(comparison: &Comparison) -> Option<Finding> {
    let scores = &comparison.scores;
    if scores.first_calls + scores.second_calls == 0 {
        return None;
    }
    let mut text = format!(
        "{} of {} equal to the last digit",
        thousands(scores.equal),
        counted(scores.results, "result")
    );
    if let Some(largest) = &scores.largest {
        text +=
            &format!(", the largest difference of a log-likelihood is {:.3e}", largest.difference);
    }
    for (count, what) in [
        (scores.different_calls, "calls scored other requests"),
        (scores.different_choices, "results have other tokens or another greedy choice"),
        (scores.impossible_in_one, "results are impossible in one run only"),
    ] {
        if count > 0 {
            text += &format!(", {} {what}", thousands(count));
        }
    }
    Some(Finding::new(scores.is_same(), text))
}

fn method(comparison: &Comparison) -> Finding {
    match &comparison.method[..] {
        [] => Finding::new(true, "same components, parameters, models and datasets".to_owned()),
        differences => {
            let names = differences.iter().take(3).map(|difference| difference.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let more = if differences.len() > 3 { ", ..." } else { "" };
            let count = counted(differences.len() as u64, "difference");
            Finding::new(false, format!("{count} ({names}{more})"))
        }
    }
}

fn numbers(comparison: &Comparison) -> Finding {
    let numbers = &comparison.numbers;
    let mut parts = Vec::new();
    if numbers.judged > 0 {
        parts.push(format!(
            "{} of {} within two standard uncertainties, where {:.1} would lie beyond by chance",
            thousands(numbers.within),
            thousands(numbers.judged),
            numbers.expected_beyond,
        ));
    }
    for (count, what) in [
        (numbers.equal, "without an uncertainty are equal"),
        (numbers.undecided, "without an uncertainty differ and are not judged"),
        (numbers.in_one, "are in one run only"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", thousands(count)));
        }
    }
    if parts.is_empty() {
        parts.push("there are none".to_owned());
    }
    let is_same = numbers.judged == numbers.within && numbers.undecided + numbers.in_one == 0;
    Finding::new(is_same, parts.join("; "))
}

fn environment(comparison: &Comparison) -> Finding {
    match comparison.environment.len() {
        0 => Finding::new(true, "no differences".to_owned()),
        count => Finding::new(false, counted(count as u64, "difference")),
    }
}

/// Returns a count with the noun in the right number.
fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// Returns a count with commas between thousands.
fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn commas_stand_between_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (3240, "3,240"), (1_000_000, "1,000,000")] {
            assert_eq!(thousands(count), text);
        }
    }
}

//! Compares generated tokens exactly, sequence by sequence.

use crate::{
    generated::GeneratedSequence,
    requests::{MatchedRequest, RequestName},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most sequences whose first difference is listed.
const LISTED: usize = 100;

/// The tokens of matched requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TokenComparison {
    /// Number of sequences that were compared.
    pub sequences: u64,
    /// Number of positions at which both runs have a token.
    pub tokens: u64,
    /// Number of these positions at which the tokens are equal.
    pub equal: u64,
    /// Number of sequences that differ.
    pub different_sequences: u64,
    /// The first difference of each of the first 100 of them.
    pub differences: Vec<TokenDifference>,
}

/// The first position at which a sequence differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenDifference {
    /// The sequence's request.
    pub request: RequestName,
    /// The index of the sequence in its request, from 0.
    pub sequence: u64,
    /// The index of the token in the generated sequence, from 0.
    pub position: u64,
    /// The token of the first run. Absent if its sequence has ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// The token of the second run. Absent if its sequence has ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<u32>,
}

impl TokenComparison {
    pub(crate) fn new(matched: &[MatchedRequest<'_>]) -> Self {
        let mut comparison = Self::default();
        for request in matched {
            for (place, (first, second)) in request.sequences().enumerate() {
                comparison.add(&request.name, place as u64, first, second);
            }
        }
        comparison
    }

    /// Returns true if no sequence differs.
    pub fn is_same(&self) -> bool {
        self.different_sequences == 0
    }

    fn add(
        &mut self,
        request: &RequestName,
        sequence: u64,
        first: &GeneratedSequence,
        second: &GeneratedSequence,
    ) {
        let pairs = || first.tokens.iter().zip(&second.tokens);
        let both = pairs().count();
        self.sequences += 1;
        self.tokens += both as u64;
        self.equal += pairs().filter(|(one, other)| one == other).count() as u64;
        let Some(position) = first_difference(first, second) else { return };
        self.different_sequences += 1;
        if self.differences.len() < LISTED {
            self.differences.push(TokenDifference {
                request: request.clone(),
                sequence,
                position: position as u64,
                first: first.tokens.get(position).copied(),
                second: second.tokens.get(position).copied(),
            });
        }
    }
}

/// Returns the first position at which two sequences differ. A sequence that was cut short does not differ where it ends.
fn first_difference(first: &GeneratedSequence, second: &GeneratedSequence) -> Option<usize> {
    let mut pairs = first.tokens.iter().zip(&second.tokens);
    if let Some(position) = pairs.position(|(one, other)| one != other) {
        return Some(position);
    }
    let (shorter, longer) = match first.tokens.len() <= second.tokens.len() {
        true => (first, second),
        false => (second, first),
    };
    let ends_early = shorter.tokens.len() < longer.tokens.len() && !shorter.is_cut_short();
    ends_early.then_some(shorter.tokens.len())
}

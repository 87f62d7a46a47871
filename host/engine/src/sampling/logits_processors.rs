//! The changes to a row of logits before a token is chosen (transformers' logits processors).

use super::Sampling;
use std::collections::HashMap;

/// Applies the bias and the penalties of one sequence, and remembers the tokens that they depend on.
pub(super) struct LogitsProcessors {
    options: Sampling,
    /// The tokens of prompt and output, for the repetition penalty.
    present: TokenSet,
    /// The number of times that each token was generated, for the frequency and presence penalties.
    generated: HashMap<u32, u32>,
    /// The copy of the last row, in memory that is reused.
    changed: Vec<f32>,
}

/// A set of tokens.
#[derive(Default)]
struct TokenSet {
    ids: Vec<u32>,
    /// One bit for each id, up to the largest id in the set.
    bits: Vec<u64>,
}

impl TokenSet {
    fn insert(&mut self, id: u32) {
        let (word, bit) = (id as usize / 64, 1 << (id % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.ids.push(id);
        }
    }
}

impl LogitsProcessors {
    /// Makes the processors of a sequence that starts with `prompt`.
    pub(super) fn new(options: &Sampling, prompt: &[u32]) -> Self {
        let mut present = TokenSet::default();
        if options.repetition_penalty != 1.0 {
            prompt.iter().for_each(|&token| present.insert(token));
        }
        Self { options: options.clone(), present, generated: HashMap::new(), changed: Vec::new() }
    }

    /// Returns the row, or a changed copy if the options or `forbidden` ask for changes.
    ///
    /// The order is: logit bias, repetition penalty, frequency and presence penalty, and last the `forbidden` tokens,
    /// which become minus infinity. Ids beyond the row are ignored.
    pub(super) fn apply<'a>(&'a mut self, row: &'a [f32], forbidden: &[&[u32]]) -> &'a [f32] {
        let has_any = forbidden.iter().any(|ids| !ids.is_empty());
        if !has_any && self.options.leaves_logits() {
            return row;
        }
        let Self { options, present, generated, changed } = self;
        changed.clear();
        changed.extend_from_slice(row);
        for &(id, bias) in &*options.logit_bias {
            change_logit(changed, id, |logit| match bias {
                // Not a sum: with an infinite logit the sum would be NaN.
                f32::NEG_INFINITY => bias,
                _ => logit + bias,
            });
        }
        let penalty = options.repetition_penalty;
        for &id in &present.ids {
            let penalised = |logit| if logit > 0.0 { logit / penalty } else { logit * penalty };
            change_logit(changed, id, penalised);
        }
        let (frequency, presence) = (options.frequency_penalty, options.presence_penalty);
        for (&id, &count) in &*generated {
            change_logit(changed, id, |logit| logit - count as f32 * frequency - presence);
        }
        for &id in forbidden.iter().copied().flatten() {
            change_logit(changed, id, |_| f32::NEG_INFINITY);
        }
        changed
    }

    /// Records a token that was generated.
    pub(super) fn record(&mut self, token: u32) {
        if self.options.repetition_penalty != 1.0 {
            self.present.insert(token);
        }
        if self.options.frequency_penalty != 0.0 || self.options.presence_penalty != 0.0 {
            *self.generated.entry(token).or_default() += 1;
        }
    }
}

fn change_logit(row: &mut [f32], id: u32, by: impl FnOnce(f32) -> f32) {
    if let Some(logit) = row.get_mut(id as usize) {
        *logit = by(*logit);
    }
}

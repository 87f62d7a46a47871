//! What is done to a row of logits before a token is chosen by it (transformers' logits processors).

use super::Sampling;
use std::collections::HashMap;

/// One sequence's processors: what its request asks for, and the tokens that it goes by.
pub struct Processors {
    options: Sampling,
    /// Tokens of prompt and output, for the repetition penalty.
    present: Present,
    /// How often each token was generated, for the frequency and presence penalties.
    generated: HashMap<u32, u32>,
    /// The row that was changed last.
    changed: Vec<f32>,
}

/// Tokens that are there, each once.
#[derive(Default)]
struct Present {
    ids: Vec<u32>,
    /// One bit a token of the vocabulary, as far as it has been met.
    bits: Vec<u64>,
}

impl Present {
    fn note(&mut self, id: u32) {
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

impl Processors {
    /// Those of a sequence that starts with `prompt`.
    pub fn new(options: &Sampling, prompt: &[u32]) -> Self {
        let mut present = Present::default();
        if options.repetition_penalty != 1.0 {
            prompt.iter().for_each(|&token| present.note(token));
        }
        Self { options: options.clone(), present, generated: HashMap::new(), changed: Vec::new() }
    }

    /// The row itself, or a copy that is changed: by logit bias, repetition penalty, frequency and presence penalty, and
    /// last of all `forbidden` tokens, which get minus infinity. Ids beyond the row are passed over.
    pub fn apply<'a>(&'a mut self, row: &'a [f32], forbidden: &[&[u32]]) -> &'a [f32] {
        let has_any = forbidden.iter().any(|ids| !ids.is_empty());
        if !has_any && self.options.leaves_logits() {
            return row;
        }
        let Self { options, present, generated, changed } = self;
        changed.clear();
        changed.extend_from_slice(row);
        for &(id, bias) in &*options.logit_bias {
            change(changed, id, |logit| match bias {
                // Not a sum: an infinite logit would make it not a number.
                f32::NEG_INFINITY => bias,
                _ => logit + bias,
            });
        }
        let penalty = options.repetition_penalty;
        for &id in &present.ids {
            let penalised = |logit| if logit > 0.0 { logit / penalty } else { logit * penalty };
            change(changed, id, penalised);
        }
        let (frequency, presence) = (options.frequency_penalty, options.presence_penalty);
        for (&id, &count) in &*generated {
            change(changed, id, |logit| logit - count as f32 * frequency - presence);
        }
        for &id in forbidden.iter().copied().flatten() {
            change(changed, id, |_| f32::NEG_INFINITY);
        }
        changed
    }

    /// Notes a token that was generated.
    pub fn note(&mut self, token: u32) {
        if self.options.repetition_penalty != 1.0 {
            self.present.note(token);
        }
        if self.options.frequency_penalty != 0.0 || self.options.presence_penalty != 0.0 {
            *self.generated.entry(token).or_default() += 1;
        }
    }
}

fn change(row: &mut [f32], id: u32, by: impl FnOnce(f32) -> f32) {
    if let Some(logit) = row.get_mut(id as usize) {
        *logit = by(*logit);
    }
}

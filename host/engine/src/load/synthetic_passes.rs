//! Passes of a synthetic host: their times and energies are given, and their logits come from a hash.
//!
//! ```text
//! pass      virtual time   prefill_s_per_token × prompt rows + decode_s_per_step, if there are decode rows
//!           energy         prefill_joules_per_token × prompt rows + decode_joules_per_token × decode rows
//! logit     SplitMix64 of (seed, model, adapter, token, position, entry), even from 0 to 8
//! ```
//!
//! No weight takes part, so the logits are the same on every machine and instruction set, in every batch and in every
//! cut of a prompt.

use super::synthetic_weights::{key, split_mix};
use crate::{Error, Result, cpu::threads::check_stop, layers::PassSegment};
use candle_core::{Device, Tensor};
use llem_clock::{VirtualClock, Work, WorkLedger};
use std::time::Duration;

/// The highest logit. The most likely of 32,000 entries then has a probability of about 1 in 4,000 at temperature 1, so
/// draws spread over the vocabulary.
const HIGHEST: f32 = 8.0;

/// The given times, energies and seed of a synthetic host, on which models run no passes of their own.
#[derive(Clone, Debug)]
pub struct SyntheticPasses {
    /// The clock that passes advance.
    pub clock: VirtualClock,
    /// Where the energy of passes is told to the meter.
    pub work: WorkLedger,
    /// The seed of the logits, besides the model's own seed.
    pub seed: u64,
    /// Time that a model takes to load.
    pub load: Duration,
    /// Time of a pass for each row of a prompt, s.
    pub prefill_s_per_token: f64,
    /// Time of a pass that has rows of generated tokens, however many, s.
    pub decode_s_per_step: f64,
    /// Energy of a row of a prompt on top of the power at rest, J.
    pub prefill_joules_per_token: f64,
    /// Energy of a row of a generated token on top of the power at rest, J.
    pub decode_joules_per_token: f64,
}

impl SyntheticPasses {
    /// Returns the key of a model's logits. Models of other digests or seeds have other logits.
    pub(crate) fn model_key(&self, seed: u64, digest: &str) -> u64 {
        key(self.seed, &format!("{seed} {digest}"))
    }

    /// Runs a pass: advances the clock, tells its energy, and makes the logits of the wanted rows.
    ///
    /// # Shapes
    /// - `segments`: the new tokens, `[rows]` in all
    /// - `wanted`: the rows whose logits are needed, in ascending order
    /// - returns: `[wanted, vocab]`, or `None` if no logits are wanted
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the work is asked to stop.
    pub(crate) fn pass(
        &self,
        model: u64,
        segments: &[PassSegment<'_>],
        wanted: &[u32],
        vocab: usize,
    ) -> Result<Option<Tensor>> {
        check_stop()?;
        let rows = |of_prompt: bool| {
            let segments = segments.iter().filter(|segment| segment.is_prompt == of_prompt);
            segments.map(|segment| segment.tokens.len()).sum::<usize>() as f64
        };
        let (prompt, decoded) = (rows(true), rows(false));
        let step = if decoded > 0.0 { self.decode_s_per_step } else { 0.0 };
        let length = Duration::try_from_secs_f64(self.prefill_s_per_token * prompt + step)
            .map_err(|error| Error::Invalid(format!("the time of a synthetic pass: {error}")))?;
        let joules =
            self.prefill_joules_per_token * prompt + self.decode_joules_per_token * decoded;
        let began = self.clock.now();
        self.work.add(Work { began, ended: self.clock.advance(length), joules });
        if wanted.is_empty() {
            return Ok(None);
        }
        let keys: Vec<u64> = segments.iter().flat_map(|segment| row_keys(model, segment)).collect();
        let mut logits = Vec::with_capacity(wanted.len() * vocab);
        for &row in wanted {
            let key = keys[row as usize];
            logits.extend((0..vocab as u64).map(|entry| logit(key, entry)));
        }
        Ok(Some(Tensor::from_vec(logits, (wanted.len(), vocab), &Device::Cpu)?))
    }
}

/// Returns the key of each row of a segment. It depends on the model, the adapter, the token and its position.
fn row_keys<'a>(model: u64, segment: &'a PassSegment<'a>) -> impl Iterator<Item = u64> {
    let adapter = segment.adapter.map_or(0, |adapter| u64::from(adapter.0) + 1);
    let model = split_mix(model ^ split_mix(adapter));
    (segment.past as u64..)
        .zip(segment.tokens)
        .map(move |(position, &token)| split_mix(split_mix(model ^ position) ^ u64::from(token)))
}

/// Returns one logit: 24 bits of a hash, which f32 holds exactly, times a power of two.
fn logit(row: u64, entry: u64) -> f32 {
    let bits = split_mix(row.wrapping_add(entry)) >> 40;
    bits as f32 / (1u64 << 24) as f32 * HIGHEST
}

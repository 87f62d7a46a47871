//! Scoring windows on one replica: in waves for which KV memory is reserved, each in forward passes.
//!
//! ```text
//! wave    [a b c d e]                        at most WAVE_TOKENS tokens and WAVE_WINDOWS windows
//! passes  [a a a b b] [b c c c c] [c d e]    packed, at most PREFILL_ROWS rows a pass
//! ```

use super::{
    assembly::{Assembly, PartialScore, lock},
    score_request::ScoreRequest,
};
use crate::{
    Error, Result,
    adapters::AdapterId,
    cpu::threads::{self, SharedRows},
    generate::PREFILL_ROWS,
    gpu::{DeviceLogits, Logits},
    layers::{PassSegment, cpu_tensor},
    parallel::Replica,
    sampling::argmax,
};
use candle_core::Tensor;
use std::{ops::Range, sync::Mutex};

/// The largest number of tokens whose keys and values are in memory at a time. Further windows are in the next wave.
const WAVE_TOKENS: usize = 4 * PREFILL_ROWS;

/// The largest number of windows in a wave: even the shortest takes a few hundred bytes for each head and layer.
const WAVE_WINDOWS: usize = 256;

/// Scores the windows of the range `own`.
pub(super) fn run(
    replica: &mut Replica,
    windows: &[ScoreRequest],
    own: Range<usize>,
    adapter: Option<AdapterId>,
    assembly: &Mutex<Assembly<'_>>,
) -> Result<()> {
    let mut first = own.start;
    while first < own.end && !lock(assembly).should_stop() {
        let mut tokens = 0;
        let fits = windows[first..own.end].iter().take_while(|window| {
            tokens += window.input_tokens();
            tokens <= WAVE_TOKENS
        });
        let wave = first..first + fits.take(WAVE_WINDOWS).count().max(1);
        first = wave.end;
        run_wave(replica, windows, wave, adapter, assembly)?;
    }
    Ok(())
}

/// Reserves the caches of one wave, and runs its passes.
fn run_wave(
    replica: &mut Replica,
    windows: &[ScoreRequest],
    wave: Range<usize>,
    adapter: Option<AdapterId>,
    assembly: &Mutex<Assembly<'_>>,
) -> Result<()> {
    let first = wave.start;
    let windows = &windows[wave];
    let joined: Vec<Vec<u32>> =
        windows.iter().map(|window| [&window.context[..], &window.continuation].concat()).collect();
    let lengths: Vec<usize> = windows.iter().map(ScoreRequest::input_tokens).collect();
    replica.reserve(&lengths)?;
    let cancelled = lock(assembly).cancelled();
    for pass in passes(&lengths) {
        if lock(assembly).should_stop() {
            return Ok(());
        }
        let segments: Vec<PassSegment<'_>> = pass
            .iter()
            .map(|chunk| PassSegment {
                slot: chunk.slot,
                past: chunk.from,
                tokens: &joined[chunk.slot][chunk.from..chunk.to],
                length: lengths[chunk.slot],
                adapter,
                is_prompt: true,
            })
            .collect();
        let (mut wanted, mut targets) = (Vec::new(), Vec::new());
        let mut start = 0;
        for chunk in &pass {
            let scored = chunk.scored_from(windows)..chunk.to;
            wanted.extend(scored.clone().map(|row| (start + row - chunk.from) as u32));
            targets.extend(scored.map(|row| joined[chunk.slot][row + 1]));
            start += chunk.to - chunk.from;
        }
        let scored = match replica.pass(None, &segments, &wanted, cancelled) {
            Err(Error::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
            Ok(Some(Logits::Cpu(logits))) => replica.work(|| log_likelihoods(&logits, &targets))?,
            Ok(Some(Logits::Device(logits))) => device_log_likelihoods(&logits, &targets)?,
            Ok(None) => Vec::new(),
        };
        let mut rest = &scored[..];
        let found = pass.iter().map(|chunk| {
            let (own, others) = rest.split_at(chunk.to - chunk.scored_from(windows));
            rest = others;
            PartialScore {
                window: first + chunk.slot,
                tokens: chunk.to - chunk.from,
                log_likelihoods: own.iter().map(|&(value, _)| value).collect(),
                is_greedy: own.iter().all(|&(_, is_best)| is_best),
            }
        });
        let found = found.collect();
        lock(assembly).take(found)?;
    }
    Ok(())
}

/// Computes log-likelihoods on a device, as [`log_likelihoods`] does on the CPU. The logits stay on the device.
fn device_log_likelihoods(logits: &DeviceLogits, targets: &[u32]) -> Result<Vec<(f64, bool)>> {
    let rows: Vec<u32> = (0..targets.len() as u32).collect();
    let found = logits.find_most_likely(&rows, Some(targets))?;
    let scored = found.iter().zip(targets).map(|(found, &target)| match found.has_nan {
        0 => (found.log_likelihood, found.token == target),
        _ => (f64::NAN, false),
    });
    Ok(scored.collect())
}

/// Computes the log-likelihood of each target, and whether it was the most likely token. If a row has a logit that is
/// NaN, its log-likelihood is NaN.
///
/// # Shapes
/// - `logits`: `[targets, vocab]`
/// - returns: `[targets]`
fn log_likelihoods(logits: &Tensor, targets: &[u32]) -> Result<Vec<(f64, bool)>> {
    let vocab = logits.dim(1)?;
    let mut scored = vec![(0.0, false); targets.len()];
    let rows = SharedRows::from_slice(&mut scored, 1);
    cpu_tensor::with_slice(logits, |logits| {
        threads::share(logits.len(), targets.len(), |range| {
            for index in range {
                let row = &logits[index * vocab..(index + 1) * vocab];
                // SAFETY: each row belongs to one thread.
                unsafe { rows.write(index, log_likelihood(row, targets[index])) };
            }
        });
    })?;
    Ok(scored)
}

fn log_likelihood(row: &[f32], target: u32) -> (f64, bool) {
    let Ok(best) = argmax(row) else { return (f64::NAN, false) };
    let top = f64::from(row[best as usize]);
    // log softmax in f64: log p = x - max - ln sum exp(x - max)
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - top).exp()).sum();
    (f64::from(row[target as usize]) - top - sum.ln(), best == target)
}

/// Some of a window's tokens, which run in one pass.
struct WindowChunk {
    /// The index of the window in its wave.
    slot: usize,
    from: usize,
    to: usize,
}

impl WindowChunk {
    /// Returns the first of these tokens whose next token is scored.
    fn scored_from(&self, windows: &[ScoreRequest]) -> usize {
        self.from.max(windows[self.slot].context.len() - 1).min(self.to)
    }
}

/// Splits windows into forward passes of at most [`PREFILL_ROWS`] rows each.
fn passes(lengths: &[usize]) -> Vec<Vec<WindowChunk>> {
    let mut passes = Vec::new();
    let mut room = 0;
    for (slot, &length) in lengths.iter().enumerate() {
        let mut from = 0;
        while from < length {
            if room == 0 {
                passes.push(Vec::new());
                room = PREFILL_ROWS;
            }
            let to = length.min(from + room);
            room -= to - from;
            if let Some(pass) = passes.last_mut() {
                pass.push(WindowChunk { slot, from, to });
            }
            from = to;
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn passes_are_filled_before_the_next_begins() {
        let chunks = |pass: &Vec<WindowChunk>| -> Vec<(usize, usize, usize)> {
            pass.iter().map(|chunk| (chunk.slot, chunk.from, chunk.to)).collect()
        };
        let passes: Vec<_> = passes(&[3, PREFILL_ROWS, 2]).iter().map(chunks).collect();
        let cut = PREFILL_ROWS - 3;
        assert_eq!(passes, [vec![(0, 0, 3), (1, 0, cut)], vec![(1, cut, PREFILL_ROWS), (2, 0, 2)]]);
        assert!(super::passes(&[]).is_empty());
    }

    // By hand: logits ln 1, ln 2, ln 5 are probabilities 1/8, 2/8, 5/8.
    #[test]
    fn likelihoods_are_the_logarithms_of_the_softmax() {
        let row = [1f32.ln(), 2f32.ln(), 5f32.ln()];
        let logits = Tensor::from_vec([row, row].concat(), (2, 3), &Device::Cpu).expect("a tensor");
        let scored = log_likelihoods(&logits, &[2, 0]).expect("scores");
        assert!((scored[0].0 - (5f64 / 8.0).ln()).abs() < 1e-6);
        assert!((scored[1].0 - (1f64 / 8.0).ln()).abs() < 1e-6);
        assert_eq!((scored[0].1, scored[1].1), (true, false));
    }

    #[test]
    fn a_logit_that_is_not_a_number_or_has_no_end_spoils_its_row_only() {
        for bad in [f32::NAN, f32::INFINITY] {
            let numbers = vec![0.0, bad, 0.0, 0.0];
            let logits = Tensor::from_vec(numbers, (2, 2), &Device::Cpu).expect("a tensor");
            let scored = log_likelihoods(&logits, &[0, 0]).expect("scores");
            assert!(scored[0].0.is_nan());
            assert!((scored[1].0 - 0.5f64.ln()).abs() < 1e-12);
        }
    }
}

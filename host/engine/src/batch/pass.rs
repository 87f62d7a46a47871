//! One forward pass: which rows take part, and what becomes of their logits.

use super::sequence::{Parts, Sequence};
use crate::{
    Result,
    adapters::{Adapted, AdapterId},
    kernels::parallel::{Stop, share},
    layers::{Segment, host},
    parallel::{BatchRoom, Replica},
    sampling,
};
use candle_core::Tensor;
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Which sequences take part in a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Those with prompt left to run.
    Prefill,
    /// Those that generate.
    Decode,
    /// All: those that generate first, then as much prompt as there is room for.
    Mixed,
}

/// Tokens of one sequence that are scheduled for a pass: its rows.
#[derive(Clone, Debug)]
pub struct ScheduledTokens {
    /// The sequence's place among those that were given.
    pub sequence: usize,
    /// What its batch calls it.
    pub name: u64,
    /// Tokens run.
    pub new: usize,
    /// Tokens of it that were in the KV cache before.
    pub past: usize,
    /// Whether they are part of its prompt.
    pub prompt: bool,
    /// Whether a token came of it.
    pub sampled: bool,
    /// What they ran with.
    pub adapter: Option<Adapted>,
}

impl ScheduledTokens {
    /// The adapter whose factors are multiplied with its rows.
    fn attached(&self) -> Option<AdapterId> {
        Some(self.adapter.as_ref()?.attached()?.id)
    }
}

/// Runs at most `rows` rows until `stop` says to end, with the KV caches of a continuous batch or those of static ones, and
/// returns what took part; empty where there was nothing to do.
pub(crate) fn run(
    parts: Parts<'_>,
    replica: &mut Replica,
    room: Option<&BatchRoom>,
    sequences: &mut [Sequence],
    work: Work,
    rows: usize,
    stop: &Stop<'_>,
) -> Result<Vec<ScheduledTokens>> {
    let scheduled = schedule(sequences, work, rows);
    if scheduled.is_empty() {
        return Ok(scheduled);
    }
    let began = Instant::now();
    scheduled.iter().for_each(|tokens| sequences[tokens.sequence].runs_from(began));
    let segments: Vec<Segment<'_>> = scheduled
        .iter()
        .map(|next| {
            let sequence = &sequences[next.sequence];
            let (slot, tokens) = (sequence.slot, sequence.next(next.new));
            Segment { slot, past: next.past, tokens, adapter: next.attached() }
        })
        .collect();
    let wanted = wanted(sequences, &scheduled);
    let logits = replica.pass(room, &segments, &wanted.rows, stop)?;
    drop(segments);
    scheduled.iter().for_each(|tokens| sequences[tokens.sequence].ran(tokens.new));
    if let Some(logits) = logits {
        keep_logits(sequences, &logits, &wanted)?;
        replica.work(|| sample(parts, sequences, &logits, &wanted))?;
    }
    Ok(scheduled)
}

/// The rows of a pass whose logits are needed, and what for.
struct Wanted {
    rows: Vec<u32>,
    /// Sequences that keep logits, and where theirs are among these rows.
    kept: Vec<(usize, Range<usize>)>,
    /// Sequences for which a token is chosen, and the row that it is chosen by among these.
    sampled: Vec<(usize, u32)>,
}

fn wanted(sequences: &[Sequence], scheduled: &[ScheduledTokens]) -> Wanted {
    let mut wanted = Wanted { rows: Vec::new(), kept: Vec::new(), sampled: Vec::new() };
    let mut end = 0;
    for tokens in scheduled {
        let start = end;
        end += tokens.new as u32;
        let first = wanted.rows.len();
        if sequences[tokens.sequence].keeps_logits() {
            wanted.rows.extend(start..end);
            wanted.kept.push((tokens.sequence, first..wanted.rows.len()));
        } else if tokens.sampled {
            wanted.rows.push(end - 1);
        }
        if tokens.sampled {
            wanted.sampled.push((tokens.sequence, wanted.rows.len() as u32 - 1));
        }
    }
    wanted
}

/// Shares out the rows: decode first, so that running sequences are never held up by a long prompt.
fn schedule(sequences: &[Sequence], work: Work, rows: usize) -> Vec<ScheduledTokens> {
    let mut scheduled = Vec::new();
    let mut room = rows;
    for prompt in [false, true] {
        if (prompt && work == Work::Decode) || (!prompt && work == Work::Prefill) {
            continue;
        }
        for (index, sequence) in sequences.iter().enumerate() {
            if !sequence.is_running() || sequence.is_prefilling() != prompt {
                continue;
            }
            // A step of every running sequence always fits.
            let new = sequence.next(if prompt { room } else { 1 }).len();
            if new > 0 {
                room = room.saturating_sub(new);
                let sampled = sequence.completes_prompt(new);
                scheduled.push(ScheduledTokens {
                    sequence: index,
                    name: sequence.name,
                    new,
                    past: sequence.past(),
                    prompt,
                    sampled,
                    adapter: sequence.adapter.clone(),
                });
            }
        }
    }
    scheduled
}

/// Keeps logits with the sequences that want them.
fn keep_logits(sequences: &mut [Sequence], logits: &Tensor, wanted: &Wanted) -> Result<()> {
    for (sequence, rows) in &wanted.kept {
        let rows = logits.narrow(0, rows.start, rows.len())?.flatten_all()?;
        sequences[*sequence].keep(&rows.to_vec1::<f32>()?);
    }
    Ok(())
}

/// Chooses a token for each sequence whose last row was run, and stamps it.
fn sample(
    parts: Parts<'_>,
    sequences: &mut [Sequence],
    logits: &Tensor,
    wanted: &Wanted,
) -> Result<()> {
    let (chosen, rows): (Vec<usize>, Vec<u32>) = wanted.sampled.iter().copied().unzip();
    if rows.is_empty() {
        return Ok(());
    }
    let logits = if rows.len() == wanted.rows.len() {
        logits.clone()
    } else {
        logits.index_select(&Tensor::new(rows, logits.device())?, 0)?
    };
    let greedy = chosen.iter().all(|&index| sequences[index].is_greedy());
    let tokens: Vec<u32> = if greedy && !logits.device().is_cpu() {
        // Only the ids cross to the host, and with them whether any logit was not a number.
        let sums: Vec<f32> = logits.sum(1)?.to_vec1()?;
        if let Some(row) = sums.iter().position(|sum| sum.is_nan()) {
            return Err(sequences[chosen[row]].blamed(sampling::not_a_number()));
        }
        logits.argmax(1)?.to_vec1()?
    } else {
        let logits = logits.to_device(&candle_core::Device::Cpu)?;
        let width = logits.dim(1)?;
        host::with_slice(&logits, |logits| choose_tokens(sequences, &chosen, logits, width))??
    };
    let now = Instant::now();
    for (index, token) in chosen.into_iter().zip(tokens) {
        sequences[index].take(token, now, parts)?;
    }
    Ok(())
}

/// Chooses a token for each of the `chosen` sequences by its row of `logits`, `[chosen, width]`. The
/// threads share the rows, or one row where there is no other; what is chosen does not depend on them.
fn choose_tokens(
    sequences: &mut [Sequence],
    chosen: &[usize],
    logits: &[f32],
    width: usize,
) -> Result<Vec<u32>> {
    if let &[index] = chosen {
        return Ok(vec![sequences[index].choose(logits)?]);
    }
    /// A sequence, and the token that has been chosen for it. Only one thread ever asks for it.
    type Job<'a> = Mutex<(&'a mut Sequence, Result<u32>)>;
    let mut by_index: Vec<Option<&mut Sequence>> = sequences.iter_mut().map(Some).collect();
    let jobs: Vec<Job<'_>> = chosen
        .iter()
        .filter_map(|&index| Some(Mutex::new((by_index[index].take()?, Ok(0)))))
        .collect();
    share(logits.len(), jobs.len(), |range| {
        for row in range {
            let mut job = jobs[row].lock().unwrap_or_else(PoisonError::into_inner);
            job.1 = job.0.choose(&logits[row * width..(row + 1) * width]);
        }
    });
    let done = jobs.into_iter().map(|job| job.into_inner().unwrap_or_else(PoisonError::into_inner));
    done.map(|(_, token)| token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Sampling, kernels::parallel::Team};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn rows_chosen_together_are_those_chosen_one_after_another() {
        const WIDTH: usize = 10_000;
        let sampling =
            Sampling { temperature: 0.9, repetition_penalty: 1.2, ..Sampling::default() };
        let request = Request {
            prompts: Vec::new(),
            max_new_tokens: 4,
            ignore_eos: true,
            stop: Vec::new(),
            sampling,
            keep_logits: false,
            adapters: Default::default(),
            hold: false,
        };
        let began = Instant::now();
        let sequences = || {
            (0..7)
                .map(|index| {
                    Sequence::new(&request, vec![index as u32; 3], index, None, 64, [began; 2])
                })
                .collect::<Vec<_>>()
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        // Not in order, and not all.
        let chosen = [5, 0, 6, 2, 3];
        let logits: Vec<f32> =
            (0..chosen.len() * WIDTH).map(|_| 8.0 * random.random::<f32>()).collect();
        let (mut alone, mut together, mut one) = (sequences(), sequences(), sequences());
        for _ in 0..3 {
            let expected: Vec<u32> = (chosen.iter().zip(logits.chunks(WIDTH)))
                .map(|(&index, row)| one[index].choose(row).expect("no NaN"))
                .collect();
            let ours = choose_tokens(&mut together, &chosen, &logits, WIDTH).expect("no NaN");
            assert_eq!(ours, expected);
            let ours = Team::Alone.work(|| choose_tokens(&mut alone, &chosen, &logits, WIDTH));
            assert_eq!(ours.expect("no NaN"), expected);
        }
        let mut broken = logits;
        broken[3 * WIDTH] = f32::NAN;
        assert!(choose_tokens(&mut together, &chosen, &broken, WIDTH).is_err());
    }
}

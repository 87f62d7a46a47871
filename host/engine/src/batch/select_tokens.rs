//! Selects the tokens of sequences from the logits of a pass.
//!
//! ```text
//! rows of logits ─┬─ not taken       given tokens, or none to come: the device is waited for
//!                 ├─ most likely,    on a device only the ids cross to the host
//!                 │  or drawn
//!                 └─ whole row       to the host: sampled from, read for log-probabilities, or kept for the caller
//! ```

use super::sequence::{ModelParts, RowUse, Sequence};
use crate::{
    Result,
    cpu::threads::share,
    gpu::{DeviceLogits, Logits},
    layers::cpu_tensor,
    parallel::{Replica, rank_command::RankCommand},
    sampling,
};
use llem_compute::ops::logits::LogitSummary;
use std::sync::{Mutex, PoisonError};

/// Selects a token for each sequence whose last row was run, and records its time. `completed` are the indices of
/// these sequences, each with its row of the logits.
///
/// # Shapes
/// - `logits`: `[rows, vocab]`
pub(super) fn select_tokens(
    parts: ModelParts<'_>,
    replica: &mut Replica,
    sequences: &mut [Sequence],
    logits: &Logits,
    completed: &[(usize, u32)],
) -> Result<()> {
    let row_use = |index: usize| sequences[index].row_use(parts.eos);
    let (left, taken): (Vec<_>, Vec<_>) =
        completed.iter().partition(|&&(index, _)| row_use(index) == RowUse::Nothing);
    let stays = |&(index, _): &(usize, u32)| {
        matches!(logits, Logits::Device(_)) && row_use(index) != RowUse::Row
    };
    let (on_device, on_host): (Vec<_>, Vec<_>) = taken.into_iter().partition(stays);
    if on_device.is_empty() && on_host.is_empty() && !replica.is_on_cpu() {
        replica.all(&RankCommand::Synchronize)?;
    }
    let is_most_likely = on_device.iter().all(|&(index, _)| row_use(index) == RowUse::MostLikely);
    let mut tokens = Vec::new();
    if let Logits::Device(logits) = logits {
        let (chosen, rows): (Vec<usize>, Vec<u32>) = on_device.into_iter().unzip();
        tokens.extend(match is_most_likely {
            true => find_most_likely(sequences, &chosen, logits, &rows)?,
            false => draw_on_device(sequences, &chosen, logits, &rows)?,
        });
    }
    if !on_host.is_empty() {
        let (chosen, rows): (Vec<usize>, Vec<u32>) = on_host.into_iter().unzip();
        let (width, logits) = (logits.vocab()?, logits.to_cpu(&rows)?);
        let found = replica.work(|| {
            cpu_tensor::with_slice(&logits, |logits| {
                choose_on_host(sequences, &chosen, logits, width, parts.eos)
            })
        })??;
        tokens.extend(chosen.into_iter().zip(found));
    }
    let now = llem_clock::now();
    let given: Vec<_> =
        left.into_iter().map(|(index, _)| (index, sequences[index].given())).collect();
    for (index, token) in tokens.into_iter().chain(given) {
        let sequence = &mut sequences[index];
        match token {
            Some(token) => sequence.push_token(token, now, parts)?,
            None if sequence.awaits_choice() => {}
            None => sequence.end_at_limit(),
        }
    }
    Ok(())
}

/// A sequence's index and its token. The token is `None` if the caller chooses it.
type Chosen = (usize, Option<u32>);

/// Finds the most likely token of each of the `chosen` sequences from its row on a device.
fn find_most_likely(
    sequences: &[Sequence],
    chosen: &[usize],
    logits: &DeviceLogits,
    rows: &[u32],
) -> Result<Vec<Chosen>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let found = logits.find_most_likely(rows, None)?;
    let token = |(&index, found): (&usize, &LogitSummary)| match found.has_nan {
        0 => Ok((index, Some(found.token))),
        _ => Err(sequences[index].with_name(sampling::not_a_number())),
    };
    chosen.iter().zip(&found).map(token).collect()
}

/// Draws a token for each of the `chosen` sequences on a device, from its row and its own random numbers.
fn draw_on_device(
    sequences: &mut [Sequence],
    chosen: &[usize],
    logits: &DeviceLogits,
    rows: &[u32],
) -> Result<Vec<Chosen>> {
    let draws: Vec<_> = chosen.iter().map(|&index| sequences[index].draw(logits.vocab)).collect();
    let tokens = logits.draw(rows, &draws)?;
    let token = |(&index, token): (&usize, Option<u32>)| match token {
        Some(token) => Ok((index, Some(token))),
        None => Err(sequences[index].with_name(sampling::not_a_number())),
    };
    chosen.iter().zip(tokens).map(token).collect()
}

/// Selects a token for each of the `chosen` sequences from its row of logits. A token is `None` if the caller chooses
/// it. The threads divide the rows, or the only row. The tokens do not depend on the number of threads.
///
/// # Shapes
/// - `logits`: `[chosen, width]`
fn choose_on_host(
    sequences: &mut [Sequence],
    chosen: &[usize],
    logits: &[f32],
    width: usize,
    eos: &[u32],
) -> Result<Vec<Option<u32>>> {
    if let &[index] = chosen {
        return Ok(vec![sequences[index].choose(logits, eos)?]);
    }
    /// A sequence and the token that is selected for it. Only one thread locks it.
    type Task<'a> = Mutex<(&'a mut Sequence, Result<Option<u32>>)>;
    let mut by_index: Vec<Option<&mut Sequence>> = sequences.iter_mut().map(Some).collect();
    let tasks: Vec<Task<'_>> = chosen
        .iter()
        .filter_map(|&index| Some(Mutex::new((by_index[index].take()?, Ok(None)))))
        .collect();
    share(logits.len(), tasks.len(), |range| {
        for row in range {
            let mut task = tasks[row].lock().unwrap_or_else(PoisonError::into_inner);
            task.1 = task.0.choose(&logits[row * width..(row + 1) * width], eos);
        }
    });
    let done =
        tasks.into_iter().map(|task| task.into_inner().unwrap_or_else(PoisonError::into_inner));
    done.map(|(_, token)| token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Sampling, cpu::threads::Team};
    use llem_checkpoint::Preset;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn rows_chosen_together_are_those_chosen_one_after_another() {
        const WIDTH: usize = 10_000;
        let sampling =
            Sampling { temperature: 0.9, repetition_penalty: 1.2, ..Sampling::default() };
        let request =
            Request { max_new_tokens: 4, ignore_eos: true, sampling, ..Request::default() };
        let began = llem_clock::now();
        let (_, shape) = Preset::Named("tiny").config().expect("a preset");
        let sequences = || {
            (0..7)
                .map(|index| {
                    Sequence::new(&request, vec![index as u32; 3], index, None, &shape, [began; 2])
                })
                .collect::<Vec<_>>()
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        // The sequences are out of order, and some are left out.
        let chosen = [5, 0, 6, 2, 3];
        let logits: Vec<f32> =
            (0..chosen.len() * WIDTH).map(|_| 8.0 * random.random::<f32>()).collect();
        let (mut alone, mut together, mut one) = (sequences(), sequences(), sequences());
        for _ in 0..3 {
            let expected: Vec<Option<u32>> = (chosen.iter().zip(logits.chunks(WIDTH)))
                .map(|(&index, row)| one[index].choose(row, &[]).expect("no NaN"))
                .collect();
            let ours = choose_on_host(&mut together, &chosen, &logits, WIDTH, &[]).expect("no NaN");
            assert_eq!(ours, expected);
            let ours =
                Team::Alone.work(|| choose_on_host(&mut alone, &chosen, &logits, WIDTH, &[]));
            assert_eq!(ours.expect("no NaN"), expected);
        }
        let mut broken = logits;
        broken[3 * WIDTH] = f32::NAN;
        assert!(choose_on_host(&mut together, &chosen, &broken, WIDTH, &[]).is_err());
    }
}

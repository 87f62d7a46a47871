//! One forward pass: which rows take part, and what becomes of their logits.

use super::{
    choose,
    sequence::{Parts, Sequence},
};
use crate::{
    Result,
    adapters::{Adapted, AdapterId},
    cpu::parallel::Stop,
    gpu::Logits,
    layers::{Segment, host},
    parallel::{BatchRoom, Replica},
};
use std::{ops::Range, time::Instant};

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
    /// Positions of it whose logits were computed.
    pub logits: usize,
    /// Whether a token came of it. None comes where none is asked for, or where the caller has to choose it.
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
            let length = sequence.prompt_tokens().max(next.past + tokens.len());
            Segment { slot, past: next.past, tokens, length, adapter: next.attached() }
        })
        .collect();
    let wanted = wanted(sequences, &scheduled);
    let logits = replica.pass(room, &segments, &wanted.rows, stop)?;
    drop(segments);
    scheduled.iter().for_each(|tokens| sequences[tokens.sequence].ran(tokens.new));
    if let Some(logits) = logits {
        keep_logits(sequences, &logits, &wanted)?;
        if !wanted.completed.is_empty() {
            choose::run(parts, replica, sequences, &logits, &wanted.completed)?;
        }
    }
    Ok(scheduled)
}

/// The rows of a pass whose logits are needed, and what for.
struct Wanted {
    rows: Vec<u32>,
    /// Sequences that keep logits, and where theirs are among these rows.
    kept: Vec<(usize, Range<usize>)>,
    /// Sequences whose next token comes of the pass, and the row that it comes from among these.
    completed: Vec<(usize, u32)>,
}

fn wanted(sequences: &[Sequence], scheduled: &[ScheduledTokens]) -> Wanted {
    let mut wanted = Wanted { rows: Vec::new(), kept: Vec::new(), completed: Vec::new() };
    let mut end = 0;
    for tokens in scheduled {
        let sequence = &sequences[tokens.sequence];
        end += tokens.new as u32;
        let first = wanted.rows.len();
        wanted.rows.extend(end - tokens.logits as u32..end);
        if sequence.keeps_logits() {
            wanted.kept.push((tokens.sequence, first..wanted.rows.len()));
        }
        if sequence.completes_prompt(tokens.new) {
            wanted.completed.push((tokens.sequence, wanted.rows.len() as u32 - 1));
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
            let may_run = sequence.is_running() && !sequence.awaits_choice();
            if !may_run || sequence.is_prefilling() != prompt {
                continue;
            }
            // A step of every running sequence always fits.
            let new = sequence.next(if prompt { room } else { 1 }).len();
            if new > 0 {
                room = room.saturating_sub(new);
                let sampled = sequence.completes_prompt(new) && sequence.gets_token();
                scheduled.push(ScheduledTokens {
                    sequence: index,
                    name: sequence.name,
                    new,
                    past: sequence.past(),
                    prompt,
                    logits: sequence.logits_of(new),
                    sampled,
                    adapter: sequence.adapter.clone(),
                });
            }
        }
    }
    scheduled
}

/// Keeps logits with the sequences that want them.
fn keep_logits(sequences: &mut [Sequence], logits: &Logits, wanted: &Wanted) -> Result<()> {
    for (sequence, rows) in &wanted.kept {
        let rows: Vec<u32> = rows.clone().map(|row| row as u32).collect();
        host::with_slice(&logits.to_host(&rows)?, |rows| sequences[*sequence].keep(rows))?;
    }
    Ok(())
}

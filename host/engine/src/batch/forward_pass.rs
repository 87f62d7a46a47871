//! One forward pass: which rows it runs, and what happens with their logits.

use super::{
    select_tokens,
    sequence::{ModelParts, Sequence},
};
use crate::{
    Result,
    adapters::{ActiveAdapter, AdapterId},
    cpu::threads::StopCheck,
    gpu::Logits,
    layers::{PassSegment, cpu_tensor},
    parallel::{BatchMemory, Replica},
};
use std::ops::Range;

/// Which sequences take part in a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassKind {
    /// Sequences whose prompt has not been run completely.
    Prefill,
    /// Sequences that generate tokens.
    Decode,
    /// All sequences: those that generate first, and then as many prompt tokens as fit.
    Mixed,
}

/// The tokens of one sequence that a pass runs, which are the sequence's rows.
#[derive(Clone, Debug)]
pub struct ScheduledTokens {
    /// The sequence's index among the sequences of the pass.
    pub sequence: usize,
    /// The sequence's name in its batch.
    pub name: u64,
    /// Number of tokens that are run.
    pub new: usize,
    /// Number of the sequence's tokens that were in the KV cache before.
    pub past: usize,
    /// Whether the tokens are part of the prompt.
    pub prompt: bool,
    /// Number of positions whose logits are computed.
    pub logits: usize,
    /// Whether the pass yields a token. It does not if no token is requested, or if the caller chooses the token.
    pub sampled: bool,
    /// The adapter that the rows run with.
    pub adapter: Option<ActiveAdapter>,
}

impl ScheduledTokens {
    /// Returns the adapter whose factors are multiplied with the rows.
    fn attached(&self) -> Option<AdapterId> {
        Some(self.adapter.as_ref()?.attached()?.id)
    }
}

/// Runs one pass of at most `rows` rows, and returns the tokens that took part. The result is empty if there was
/// nothing to run. `memory` is the KV memory of a continuous batch, and `None` means the KV caches of static batches.
///
/// # Errors
/// [`crate::Error::Interrupted`] after `stop` has returned true.
pub(crate) fn run_pass(
    parts: ModelParts<'_>,
    replica: &mut Replica,
    memory: Option<&BatchMemory>,
    sequences: &mut [Sequence],
    kind: PassKind,
    rows: usize,
    stop: &StopCheck<'_>,
) -> Result<Vec<ScheduledTokens>> {
    let scheduled = schedule(sequences, kind, rows);
    if scheduled.is_empty() {
        return Ok(scheduled);
    }
    let began = llem_clock::now();
    scheduled.iter().for_each(|tokens| sequences[tokens.sequence].record_start(began));
    let segments: Vec<PassSegment<'_>> = scheduled
        .iter()
        .map(|next| {
            let sequence = &sequences[next.sequence];
            let (slot, tokens) = (sequence.slot, sequence.next_tokens(next.new));
            let length = sequence.prompt_tokens().max(next.past + tokens.len());
            let (past, adapter, is_prompt) = (next.past, next.attached(), next.prompt);
            PassSegment { slot, past, tokens, length, adapter, is_prompt }
        })
        .collect();
    let wanted = logits_rows(sequences, &scheduled);
    let logits = replica.pass(memory, &segments, &wanted.rows, stop)?;
    drop(segments);
    scheduled.iter().for_each(|tokens| sequences[tokens.sequence].record_run(tokens.new));
    if let Some(logits) = logits {
        keep_logits(sequences, &logits, &wanted)?;
        if !wanted.completed.is_empty() {
            select_tokens::select_tokens(parts, replica, sequences, &logits, &wanted.completed)?;
        }
    }
    Ok(scheduled)
}

/// The rows of a pass whose logits are needed, and which sequences need them.
struct LogitsRows {
    rows: Vec<u32>,
    /// Sequences that keep their logits, and the range of their rows among the needed rows.
    kept: Vec<(usize, Range<usize>)>,
    /// Sequences that get their next token from the pass, and the index of its row among the needed rows.
    completed: Vec<(usize, u32)>,
}

fn logits_rows(sequences: &[Sequence], scheduled: &[ScheduledTokens]) -> LogitsRows {
    let mut wanted = LogitsRows { rows: Vec::new(), kept: Vec::new(), completed: Vec::new() };
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

/// Divides the rows among the sequences. Decode rows come first, so that a long prompt never delays running
/// sequences.
fn schedule(sequences: &[Sequence], kind: PassKind, rows: usize) -> Vec<ScheduledTokens> {
    let mut scheduled = Vec::new();
    let mut room = rows;
    for prompt in [false, true] {
        if (prompt && kind == PassKind::Decode) || (!prompt && kind == PassKind::Prefill) {
            continue;
        }
        for (index, sequence) in sequences.iter().enumerate() {
            let may_run = sequence.is_running() && !sequence.awaits_choice();
            if !may_run || sequence.is_prefilling() != prompt {
                continue;
            }
            // One row of every running sequence always fits.
            let new = sequence.next_tokens(if prompt { room } else { 1 }).len();
            if new > 0 {
                room = room.saturating_sub(new);
                let sampled = sequence.completes_prompt(new) && sequence.gets_token();
                scheduled.push(ScheduledTokens {
                    sequence: index,
                    name: sequence.name,
                    new,
                    past: sequence.past(),
                    prompt,
                    logits: sequence.logits_count(new),
                    sampled,
                    adapter: sequence.adapter.clone(),
                });
            }
        }
    }
    scheduled
}

/// Adds the logits to the sequences that keep them.
fn keep_logits(sequences: &mut [Sequence], logits: &Logits, wanted: &LogitsRows) -> Result<()> {
    for (sequence, rows) in &wanted.kept {
        let rows: Vec<u32> = rows.clone().map(|row| row as u32).collect();
        cpu_tensor::with_slice(&logits.to_cpu(&rows)?, |rows| {
            sequences[*sequence].push_logits(rows)
        })?;
    }
    Ok(())
}

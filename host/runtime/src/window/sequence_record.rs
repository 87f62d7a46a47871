//! Converts sequences for the record.

use crate::run::RunContext;
use llem_engine::{Admission, Completion, Generation};
use llem_record::{SequenceEnergy, SequenceRecord, SequenceTimes, UsedAdapter};
use std::time::Instant;

/// The record entries of a static batch's sequences, with the energy of each.
pub(crate) fn sequences(
    run: &RunContext,
    generation: &Generation,
    energies: Vec<SequenceEnergy>,
) -> Vec<SequenceRecord> {
    let submitted = run.clock.at(generation.submitted);
    let pairs = generation.completions.iter().zip(energies);
    pairs
        .map(|(completion, energy)| sequence(run, completion, submitted, None, Some(energy)))
        .collect()
}

/// The record entry of a sequence that arrived at `arrival_ns` on the run's clock. `admission` is given for a sequence
/// of a continuous batch, whose energy is known only later.
pub(crate) fn sequence(
    run: &RunContext,
    completion: &Completion,
    arrival_ns: u64,
    admission: Option<&Admission>,
    energy: Option<SequenceEnergy>,
) -> SequenceRecord {
    SequenceRecord {
        prompt_tokens: completion.prompt_tokens as u32,
        tokens: completion.tokens.clone(),
        finish: completion.finish.to_string(),
        cached_tokens: completion.cached_tokens as u32,
        submitted_ns: arrival_ns,
        admitted_ns: admission.and_then(|one| one.admitted).map(|admitted| run.clock.at(admitted)),
        due_in_step: admission.is_some_and(|one| one.due_in_step),
        token_ns: completion.token_times.iter().map(|&time| run.clock.at(time)).collect(),
        times: sequence_times(run, completion, arrival_ns),
        adapter: completion.adapter.as_ref().map(|adapted| UsedAdapter {
            name: adapted.adapter.name.clone(),
            mode: adapted.mode.to_string(),
        }),
        energy,
    }
}

fn sequence_times(run: &RunContext, completion: &Completion, arrival_ns: u64) -> SequenceTimes {
    let at = |time: Instant| run.clock.at(time);
    let [submitted, tokenized] = [completion.submitted, completion.tokenized].map(at);
    let started = completion.started.map_or(tokenized, at);
    let first = completion.token_times.first().map_or(started, |&time| at(time));
    let last = completion.token_times.last().map_or(first, |&time| at(time));
    // A sequence that was submitted before its arrival may also have been tokenized before it.
    let [begun, ready] = [submitted, tokenized].map(|moment| moment.max(arrival_ns));
    SequenceTimes {
        tokenize_ns: ready - begun,
        queue_ns: submitted.saturating_sub(arrival_ns) + started.saturating_sub(ready),
        prefill_ns: first.saturating_sub(started),
        decode_ns: last - first,
        detokenize_ns: completion.detokenize_time.as_nanos() as u64,
    }
}

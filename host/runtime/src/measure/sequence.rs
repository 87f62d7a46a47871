//! A sequence as the record keeps it.

use crate::run::Run;
use llem_engine::{Completion, Generation};
use llem_record::event::{SequenceEnergy, SequenceRecord, SequenceTimes, UsedAdapter};
use std::time::Instant;

/// Sequences as the record keeps them, with the energy of each.
pub fn sequences(
    run: &Run,
    generation: &Generation,
    energies: Vec<SequenceEnergy>,
) -> Vec<SequenceRecord> {
    let submitted = run.clock.at(generation.submitted);
    let pairs = generation.completions.iter().zip(energies);
    pairs.map(|(completion, energy)| sequence(run, completion, submitted, Some(energy))).collect()
}

/// A sequence as the record keeps it; it arrived at `arrival_ns`. The energy of one of a continuous batch is known later.
pub fn sequence(
    run: &Run,
    completion: &Completion,
    arrival_ns: u64,
    energy: Option<SequenceEnergy>,
) -> SequenceRecord {
    SequenceRecord {
        prompt_tokens: completion.prompt_tokens as u32,
        tokens: completion.tokens.clone(),
        finish: completion.finish.to_string(),
        submitted_ns: arrival_ns,
        token_ns: completion.token_times.iter().map(|&time| run.clock.at(time)).collect(),
        times: sequence_times(run, completion, arrival_ns),
        adapter: completion.adapter.as_ref().map(|adapted| UsedAdapter {
            name: adapted.adapter.name.clone(),
            mode: adapted.mode.to_string(),
        }),
        energy,
    }
}

fn sequence_times(run: &Run, completion: &Completion, arrival_ns: u64) -> SequenceTimes {
    let at = |time: Instant| run.clock.at(time);
    let [submitted, tokenized] = [completion.submitted, completion.tokenized].map(at);
    let started = completion.started.map_or(tokenized, at);
    let first = completion.token_times.first().map_or(started, |&time| at(time));
    let last = completion.token_times.last().map_or(first, |&time| at(time));
    SequenceTimes {
        tokenize_ns: tokenized.saturating_sub(submitted),
        queue_ns: submitted.saturating_sub(arrival_ns) + started.saturating_sub(tokenized),
        prefill_ns: first.saturating_sub(started),
        decode_ns: last - first,
        detokenize_ns: completion.detokenize_time.as_nanos() as u64,
    }
}

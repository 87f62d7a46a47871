//! `engine.wit`: what came of a request, made of what the record keeps of it.

use super::types::recorded;
use crate::bindings::{
    engine::{self, FinishReason},
    types,
};
use llem_engine::{Completion, Generation};
use llem_record::event::{SequenceEnergy, SequenceRecord};

/// Sequences as the guest sees them.
pub fn completions(
    generation: &Generation,
    sequences: &[SequenceRecord],
) -> Vec<engine::Completion> {
    let pairs = generation.completions.iter().zip(sequences);
    pairs.map(|(completion, sequence)| self::completion(completion, sequence)).collect()
}

/// A sequence as the guest sees it.
pub fn completion(completion: &Completion, sequence: &SequenceRecord) -> engine::Completion {
    engine::Completion {
        prompt_tokens: sequence.prompt_tokens,
        tokens: sequence.tokens.clone(),
        text: completion.text.clone(),
        finish: completion.finish.into(),
        submitted: sequence.submitted_ns,
        token_times: sequence.token_ns.clone(),
        adapter: sequence.adapter.as_ref().map(|adapter| adapter.name.clone()),
        energy: share_seen(sequence.energy.as_ref()),
    }
}

fn share_seen(energy: Option<&SequenceEnergy>) -> types::Reading {
    let energy = energy.ok_or_else(|| "sequence-energy of its batch tells it".to_owned())?;
    recorded(&energy.share)
}

impl From<llem_engine::FinishReason> for FinishReason {
    fn from(reason: llem_engine::FinishReason) -> Self {
        use llem_engine::FinishReason as Reason;
        match reason {
            Reason::Eos => Self::Eos,
            Reason::Length => Self::Length,
            Reason::Stop => Self::Stop,
            Reason::Context => Self::Context,
            Reason::Interrupted => Self::Interrupted,
            Reason::Cancelled => Self::Cancelled,
        }
    }
}

//! Models and requests that the tests of this folder share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{Batch, BatchStep, Completion, EndedSequence};
use crate::{Control, LoadOptions, Model, Prompt, Request, Split};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, time::Instant};

/// Loads a model of the fixtures, or a synthetic one.
pub(super) fn model(name: &str, split: Split) -> Model {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"));
    let path = fixtures.join(name);
    let source = if name.starts_with("synthetic:") { name } else { path.to_str().unwrap() };
    Model::load(&LoadOptions { split, ..LoadOptions::new(source.parse().unwrap()) }).unwrap()
}

/// Returns `count` random tokens below 96, the smallest vocabulary of the fixtures.
pub(super) fn tokens(seed: u64, count: usize) -> Vec<u32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(3..96)).collect()
}

/// Returns a greedy request.
pub(super) fn request(prompts: &[impl AsRef<[u32]>], max_new_tokens: usize) -> Request {
    Request {
        prompts: prompts.iter().map(|one| Prompt::Tokens(one.as_ref().to_vec())).collect(),
        max_new_tokens,
        ignore_eos: true,
        ..Request::default()
    }
}

/// Returns the tokens of a static request, which reuses no KV cache.
pub(super) fn alone(model: &mut Model, request: Request) -> Vec<u32> {
    model.generate(request, &Control::default()).unwrap().completions.remove(0).tokens
}

/// Runs a batch until it is empty.
pub(super) fn drained(batch: &mut Batch, model: &mut Model) -> Vec<BatchStep> {
    let mut steps = Vec::new();
    batch.drain(model, &Control::default(), |step| steps.push(step)).unwrap();
    steps
}

/// Returns the sequences that ended in these steps, ordered by name.
pub(super) fn ended(steps: &mut [BatchStep]) -> Vec<EndedSequence> {
    let mut ended: Vec<EndedSequence> =
        steps.iter_mut().flat_map(|step| step.ended.drain(..)).collect();
    ended.sort_by_key(|one| one.sequence);
    ended
}

/// Submits one request and runs the batch until it is empty.
pub(super) fn served(batch: &mut Batch, model: &mut Model, request: &Request) -> (u64, Completion) {
    batch.submit(model, request, Instant::now(), None).unwrap();
    let one = ended(&mut drained(batch, model)).remove(0);
    (one.sequence, one.completion)
}

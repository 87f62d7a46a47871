//! How many kernels a decode step launches on a device, and how often it asks the host.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::{Batch, BatchOptions, DeviceId, LoadOptions, Model, Prompt, Request, Sampling};
use llem_compute::Counts;
use std::{path::Path, time::Instant};

/// Most kernel launches of one layer.
const LAYER_LAUNCHES: u64 = 10;

/// Most kernel launches of a step outside the layers: embedding, positions, last norm, LM head, softcap, and the
/// choice of tokens.
const STEP_LAUNCHES: u64 = 6;

fn model(name: &str) -> Model {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"));
    let source = fixtures.join(name).to_str().unwrap().parse().unwrap();
    Model::load(&LoadOptions { device: DeviceId::Emulated, ..LoadOptions::new(source) }).unwrap()
}

fn counts(model: &Model) -> Counts {
    model.replicas[0].leader.device.as_ref().unwrap().on_device.gpu.device.counts()
}

/// Returns the launches of one step of a batch of `count` sequences with about `length` tokens each, after a step of
/// the same kind.
fn count_decode(model: &mut Model, count: usize, length: u32, sampling: &Sampling) -> Counts {
    let options = BatchOptions { max_sequences: 8, max_tokens: Some(120), ..Default::default() };
    let mut batch = Batch::open(model, options).unwrap();
    let prompt = |index| (0..length + index).map(|at| 3 + (at * at + index) % 90).collect();
    let prompts = (0..count as u32).map(|index| Prompt::Tokens(prompt(index)));
    let request = Request {
        prompts: prompts.collect(),
        max_new_tokens: 16,
        ignore_eos: true,
        sampling: sampling.clone(),
        ..Request::default()
    };
    batch.submit(model, &request, Instant::now(), None).unwrap();
    let mut step = |model: &mut Model| batch.step(model, &|| false).unwrap().tokens.len();
    // The prompts, and the first decode.
    assert_eq!((step(model), step(model)), (count, count));
    let before = counts(model);
    assert_eq!(step(model), count);
    let after = counts(model);
    Counts {
        launches: after.launches - before.launches,
        allocations: after.allocations - before.allocations,
        uploads: after.uploads - before.uploads,
        downloads: after.downloads - before.downloads,
        synchronizations: after.synchronizations - before.synchronizations,
    }
}

#[test]
fn a_step_launches_few_kernels_and_asks_the_host_once() {
    for name in [
        "llama/untied-llama3",
        "llama/biased-mha",
        "families/mistral",
        "families/qwen2",
        "families/qwen3",
        "families/gemma2",
        "families/gemma3",
        "families/gpt2",
        "families/gpt-neox",
        "families/olmo2",
        "families/phi3",
    ] {
        let mut model = model(name);
        let layers = model.info().shape.layers as u64;
        // A few keys are one split of decode, and 90 are several, whose results a kernel more combines.
        for (count, length) in [(1, 3), (8, 3), (1, 90)] {
            let asked = count_decode(&mut model, count, length, &Sampling::default());
            assert!(asked.launches <= LAYER_LAUNCHES * layers + STEP_LAUNCHES, "{name}: {asked:?}");
            let others = Counts { launches: 0, ..asked };
            let once = Counts { uploads: 1, downloads: 1, ..Counts::default() };
            assert_eq!(others, once, "{name}, {count} sequences of {length} tokens");
        }
    }
}

/// A list of draws goes up, and the tokens come down.
#[test]
fn a_step_that_draws_tokens_asks_little_more() {
    let mut model = model("llama/untied-llama3");
    let sampling =
        Sampling { temperature: 0.8, top_k: Some(9), top_p: Some(0.9), ..Sampling::default() };
    for count in [1, 8] {
        let asked = count_decode(&mut model, count, 3, &sampling);
        assert_eq!((asked.allocations, asked.synchronizations), (0, 0), "{asked:?}");
        assert_eq!((asked.uploads, asked.downloads), (2, 1), "{asked:?}");
        assert!(asked.launches <= LAYER_LAUNCHES * 3 + STEP_LAUNCHES, "{asked:?}");
    }
}

//! Every way to split a model over ranks, measured one after another: tokens per second, joules per token,
//! and what communication takes (the comparison of TokenPowerBench, arXiv 2512.03024).

mod results;

use llem_sdk::{load::Parallelism, prelude::*};
use results::Results;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("parallel-grid", env!("CARGO_PKG_VERSION"), "Throughput and energy by split")
        .integer("ranks", 2, "most ranks of a split; grant as many with --max-ranks")
        .text("splits", "", "splits as TPxPP or TPxPPxDP, separated by commas; empty means all")
        .text("batch", "1,8", "batch sizes, separated by commas")
        .integer("prompt-tokens", 128, "length of each prompt")
        .integer(
            "new-tokens",
            32,
            "tokens generated for each prompt, end-of-sequence tokens ignored",
        )
        .integer("rounds", 5, "how often each batch size is measured in a pass")
        .integer("passes", 2, "passes over all splits, every other one in the opposite order")
}

fn run() -> Result<()> {
    let sizes = sizes("batch")?;
    let (rounds, passes): (usize, usize) = (parameter("rounds")?, parameter("passes")?);
    let mut splits = splits()?;
    let mut results = Results::default();
    for pass in 0..passes.max(1) {
        let mut measured = Vec::new();
        for split in splits {
            match Model::split(split) {
                Ok(model) => {
                    measure(&model, split, &sizes, rounds, &mut results)?;
                    measured.push(split);
                }
                // Heads or layers do not divide so, or the machine has not as many devices.
                Err(reason) => {
                    report::warn(&format!("{} is not measured: {reason}", results::name(split)));
                }
            }
        }
        if measured.is_empty() {
            return Err(format!("no split could be loaded in pass {}", pass + 1).into());
        }
        splits = measured;
        // What drifts while the splits are gone through falls on the last as on the first.
        splits.reverse();
    }
    let _phase = Phase::begin("derive")?;
    results.report(&sizes)
}

/// One split: warmed up with a batch of each size, then measured in turn. The model is let go of before
/// the next is loaded.
fn measure(
    model: &Model,
    split: Parallelism,
    sizes: &[usize],
    rounds: usize,
    results: &mut Results,
) -> Result<()> {
    let (length, new_tokens) = (parameter("prompt-tokens")?, parameter("new-tokens")?);
    let (random, vocabulary) = (Random::new("prompts"), model.info().vocab_size);
    let requests = sizes
        .iter()
        .map(|&size| {
            let prompts = (0..size).map(|_| Prompt::random(&random, vocabulary, length));
            let prompts = prompts.collect::<Result<Vec<_>>>()?;
            let label = format!("{} batch {size}", results::name(split));
            Ok(Request::of(prompts).label(label).max_new_tokens(new_tokens).ignore_eos())
        })
        .collect::<Result<Vec<Request>>>()?;
    let info = model.info();
    for round in 0..=rounds {
        let _phase = Phase::begin(if round == 0 { "warmup" } else { "measure" })?;
        for (request, &size) in requests.iter().zip(sizes) {
            let generation = model.generate(request)?;
            if round > 0 {
                results.add(split, size, &info, &generation);
            }
        }
    }
    Ok(())
}

/// The splits that were named, or all of at most so many ranks, those of few ranks first.
fn splits() -> Result<Vec<Parallelism>> {
    let named: String = parameter("splits")?;
    if !named.trim().is_empty() {
        return named.split(',').map(named_split).collect();
    }
    let most: u32 = parameter("ranks")?;
    let mut all = Vec::new();
    for data in 1..=most {
        for pipeline in 1..=most / data {
            for tensor in 1..=most / data / pipeline {
                all.push(Parallelism::of(tensor, pipeline, data));
            }
        }
    }
    all.sort_by_key(|split| (split.ranks(), split.data, split.pipeline));
    Ok(all)
}

fn named_split(text: &str) -> Result<Parallelism> {
    let count = |part: &str| part.trim().parse::<u32>().ok().filter(|&count| count > 0);
    let counts: Option<Vec<u32>> = text.trim().split('x').map(count).collect();
    match counts.as_deref() {
        Some(&[tensor, pipeline]) => Ok(Parallelism::of(tensor, pipeline, 1)),
        Some(&[tensor, pipeline, data]) => Ok(Parallelism::of(tensor, pipeline, data)),
        _ => Err(Error::invalid_argument(format!(
            "splits: '{text}' is not TPxPP or TPxPPxDP, such as 2x1"
        ))),
    }
}

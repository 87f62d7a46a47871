//! Measures every way to split a model over ranks, one after another: tokens per second, joules per token, and the time
//! in communication (the comparison of TokenPowerBench, arXiv 2512.03024).

mod results;

use llem_sdk::{Parallelism, prelude::*};
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
            match Model::load_split(split) {
                Ok(model) => {
                    measure(&model, split, &sizes, rounds, &mut results)?;
                    measured.push(split);
                }
                // The heads or layers cannot be split like this, or the machine has too few devices.
                Err(reason) => {
                    report::warn(&format!("{} is not measured: {reason}", results::name(split)));
                }
            }
        }
        if measured.is_empty() {
            return Err(format!("no split could be loaded in pass {}", pass + 1).into());
        }
        splits = measured;
        // The opposite order in the next pass makes drift affect all splits alike.
        splits.reverse();
    }
    let _phase = Phase::begin("derive")?;
    results.report(&sizes)
}

/// Measures one split: warms up with a batch of each size, then measures the sizes in turn. The caller drops the model
/// before it loads the next one.
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
            Ok(Request::from_prompts(prompts).label(label).max_new_tokens(new_tokens).ignore_eos())
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

/// Returns the splits that the user named, or all splits of at most `ranks` ranks, those with few ranks first.
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
                all.push(Parallelism::new(tensor, pipeline, data));
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
        Some(&[tensor, pipeline]) => Ok(Parallelism::new(tensor, pipeline, 1)),
        Some(&[tensor, pipeline, data]) => Ok(Parallelism::new(tensor, pipeline, data)),
        _ => Err(Error::invalid_argument(format!(
            "splits: '{text}' is not TPxPP or TPxPPxDP, such as 2x1"
        ))),
    }
}

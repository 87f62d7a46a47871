//! Measures prefill and decode rates by batch size, with prompts and outputs of fixed lengths: the numbers of
//! llama.cpp's `llama-bench` and `llama-batched-bench`, with uncertainties.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("throughput", env!("CARGO_PKG_VERSION"), "Prefill and decode rates by batch size")
        .text("batch", "1,8,32", "batch sizes, separated by commas")
        .integer("prompt-tokens", 256, "length of each prompt")
        .integer(
            "new-tokens",
            64,
            "tokens generated for each prompt, end-of-sequence tokens ignored",
        )
        .integer("rounds", 3, "how often each batch size is measured, in turn")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let (length, new_tokens) = (parameter("prompt-tokens")?, parameter("new-tokens")?);
    let (vocabulary, random) = (model.info().vocab_size, Random::new("prompts"));
    let prompt = || Prompt::random(&random, vocabulary, length);
    let mut requests = Vec::new();
    for size in sizes("batch")? {
        let prompts = (0..size).map(|_| prompt()).collect::<Result<Vec<_>>>()?;
        let request = Request::from_prompts(prompts).label(format!("batch {size}"));
        requests.push(request.max_new_tokens(new_tokens).ignore_eos());
    }
    let workload = RequestList::new(requests).fitting(&model)?.rounds(parameter("rounds")?);
    // Two runs are enough, because batches are long and each run touches all weights.
    let warmup = FixedCount { runs: 2, ..FixedCount::default() };
    Experiment::new(model).warmup(warmup).workload(workload).metrics(derive).run()
}

fn derive(_: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
    let mut metrics = Vec::new();
    for (label, group) in group_by_label(trials) {
        let mean = |name: &str, read: fn(&Trial) -> Option<Quantity>| {
            let values = group.iter().filter_map(|trial| read(trial));
            Quantity::mean_of(values).map(|mean| mean.into_metric(name).label("batch", label))
        };
        metrics.extend(mean("prefill_rate", Trial::prefill_rate));
        metrics.extend(mean("decode_rate", Trial::decode_rate));
        metrics
            .extend(mean("joules_per_output_token", |trial| trial.joules_per_output_token().ok()));
    }
    Ok(metrics)
}

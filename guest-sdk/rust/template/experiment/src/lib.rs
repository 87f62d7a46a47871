//! Measures prompts of random lengths: time to first token, speed and energy.

use llem_sdk::prelude::*;
use llem_sdk::statistics::percentile;

llem_sdk::experiment!(about, run);

const SENTENCE: &str = "The quick brown fox jumps over the lazy dog. ";

fn about() -> About {
    let summary = "Time to first token, speed and energy for prompts of random lengths";
    About::new("first-experiment", "0.1.0", summary)
        .integer("prompts", 8, "how many prompts are measured")
        .integer("new-tokens", 16, "tokens generated for each prompt")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let requests = requests(parameter("prompts")?, parameter("new-tokens")?);
    Experiment::new(model)
        .warmup(FixedCount::default())
        .workload(RequestList::new(requests))
        .metrics(derive)
        .run()
}

/// Returns prompts of one to four sentences, whose lengths are drawn from the run's seed.
fn requests(count: u32, new_tokens: u32) -> Vec<Request> {
    let random = Random::new("lengths");
    let request = |_| {
        let sentences = 1 + (4.0 * random.next_f64()) as usize;
        Request::from_text(SENTENCE.repeat(sentences))
            .label(format!("{sentences} sentences"))
            .max_new_tokens(new_tokens)
            .ignore_eos()
    };
    (0..count).map(request).collect()
}

fn derive(_: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
    let ttft: Vec<f64> = trials.iter().flat_map(Trial::ttft).collect();
    let rate = Quantity::mean_of(trials.iter().filter_map(Trial::decode_rate));
    let energies = trials
        .iter()
        .filter_map(|trial| trial.joules_per_output_token().ok());
    let energy = Quantity::mean_of(energies);
    let p90 = percentile(&ttft, 90.0).map(|p90| Quantity::exact(p90, "s", Source::Derived));
    let mut metrics = Vec::new();
    metrics.extend(Quantity::mean(&ttft, "s").map(|mean| mean.into_metric("ttft_mean")));
    metrics.extend(p90.map(|p90| p90.into_metric("ttft_p90")));
    metrics.extend(rate.map(|rate| rate.into_metric("decode_rate")));
    metrics.extend(energy.map(|energy| energy.into_metric("joules_per_output_token")));
    Ok(metrics)
}

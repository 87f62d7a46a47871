//! Warms up, measures prompts of several lengths, and derives joules per output token where energy
//! can be measured, and tokens per second always.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

/// Words of the built-in prompts: three lengths, each four times the last.
const WORDS: [usize; 3] = [16, 64, 256];

fn about() -> About {
    About::new(
        "quickstart",
        env!("CARGO_PKG_VERSION"),
        "Speed and energy for prompts of several lengths",
    )
    .integer("new-tokens", 32, "tokens generated for each prompt")
    .integer("rounds", 5, "how often each prompt is measured")
    .integer("prompts", 8, "how many prompts of the dataset are used, spread over their lengths")
    .dataset("prompts", "JSONL with a field 'prompt'; without it three built-in lengths are used")
}

fn run() -> Result<Vec<Trial>> {
    let (model, new_tokens) = (Model::granted()?, parameter("new-tokens")?);
    let requests = prompts()?.into_iter().map(|(label, prompt)| {
        Request::text(prompt).label(label).max_new_tokens(new_tokens).ignore_eos()
    });
    let workload = Requests::new(requests).fitting(&model)?.rounds(parameter("rounds")?);
    Experiment::new(model).warmup(FixedCount::default()).workload(workload).metrics(derive).run()
}

/// Labelled prompts: from the dataset, shortest to longest, or else the built-in ones.
fn prompts() -> Result<Vec<(String, String)>> {
    let Some(rows) = rows_if_granted("prompts")? else {
        let words = |count| vec!["measure"; count].join(" ");
        return Ok(WORDS.map(|count| (format!("{count} words"), words(count))).to_vec());
    };
    let mut all = rows.map(|row| row?.get("prompt")).collect::<Result<Vec<String>>>()?;
    all.sort_by_key(String::len);
    let count = parameter::<usize>("prompts")?.clamp(1, all.len().max(1));
    let evenly = (0..count).filter_map(|index| all.get(index * all.len() / count));
    Ok(evenly.map(|prompt| (format!("{} bytes", prompt.len()), prompt.clone())).collect())
}

fn derive(_: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
    let mut metrics = Vec::new();
    for (label, group) in by_label(trials) {
        let joules = group.iter().filter_map(|trial| trial.joules_per_output_token().ok());
        let rates = group.iter().filter_map(|trial| trial.decode_rate());
        let joules = Quantity::mean_of(joules).map(|mean| mean.named("joules_per_output_token"));
        let rate = Quantity::mean_of(rates).map(|mean| mean.named("decode_rate"));
        metrics.extend(joules.into_iter().chain(rate).map(|mean| mean.label("prompt", label)));
    }
    Ok(metrics)
}

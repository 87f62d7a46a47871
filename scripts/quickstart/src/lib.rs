//! Measures prompts of several lengths after a warm-up. Derives tokens per second, joules per output token if energy
//! can be measured, and the share of the device's peak rates if those are known.

use llem_sdk::efficiency::{find_model_device, peak_rate};
use llem_sdk::prelude::*;
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new(
        "quickstart",
        env!("CARGO_PKG_VERSION"),
        "Speed and energy for prompts of several lengths",
    )
    .integer("new-tokens", 32, "tokens generated for each prompt")
    .integer("rounds", 5, "how often each prompt is measured")
    .integer("baseline", 0, "seconds of rest first, for energy above idle; 0 for none")
    .integer("prompts", 8, "how many prompts of the dataset are used, spread over their lengths")
    .text("prompt-column", "prompt", "the dataset's column that prompts are read from")
    .dataset(
        "prompts",
        "rows with a text each, or ShareGPT; without it three built-in lengths are used",
    )
}

fn run() -> Result<()> {
    let (model, new_tokens) = (Model::load_granted()?, parameter("new-tokens")?);
    let requests = prompts()?.into_iter().map(|(label, prompt)| {
        Request::from_text(prompt).label(label).max_new_tokens(new_tokens).ignore_eos()
    });
    let workload = RequestList::new(requests).fitting(&model)?.rounds(parameter("rounds")?);
    Experiment::new(model)
        // A baseline of an earlier run is used for an hour.
        .baseline(Duration::from_secs(parameter("baseline")?), Duration::from_secs(3600))
        .workload(workload)
        .metrics(derive)
        .run()
}

/// Returns labels and prompts: from the dataset, ordered by length, or built-in ones if there is no dataset.
fn prompts() -> Result<Vec<(String, String)>> {
    let Some(texts) = texts_if_granted("prompts", "prompt-column")? else {
        let words = |count| vec!["measure"; count].join(" ");
        return Ok([16, 64, 256].map(|count| (format!("{count} words"), words(count))).to_vec());
    };
    let mut all = texts.collect::<Result<Vec<_>>>()?;
    if all.is_empty() {
        return Err(Error::invalid_argument("dataset 'prompts' has no prompts: add rows"));
    }
    all.sort_by_key(String::len);
    let count = parameter::<usize>("prompts")?.clamp(1, all.len());
    let evenly = (0..count).filter_map(|index| all.get(index * all.len() / count));
    Ok(evenly.map(|prompt| (format!("{} bytes", prompt.len()), prompt.clone())).collect())
}

fn derive(model: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
    let device = find_model_device(model);
    // Peaks that were measured on this device are better than those of its datasheet.
    let peaks = device.and_then(|device| device.measured_peaks.or(device.datasheet_peaks).ok());
    let mut metrics = Vec::new();
    for (label, group) in group_by_label(trials) {
        let mut mean = |name: &str, metric: &mut dyn FnMut(&Trial) -> Option<Quantity>| {
            let mean = Quantity::mean_of(group.iter().filter_map(|trial| metric(trial)));
            metrics.extend(mean.map(|mean| mean.into_metric(name).label("prompt", label)));
        };
        mean("joules_per_output_token", &mut |trial| trial.joules_per_output_token().ok());
        mean("decode_rate", &mut |trial| trial.decode_rate());
        if let Some(peaks) = &peaks {
            let rate = peak_rate(peaks, &model.dtype).ok();
            let bandwidth = peaks.bandwidth.as_ref().ok();
            mean("prefill_mfu", &mut |trial| trial.prefill_mfu(rate.as_ref()?, model.ranks.len()));
            mean("decode_mbu", &mut |trial| trial.decode_mbu(model, bandwidth?));
        }
    }
    Ok(metrics)
}

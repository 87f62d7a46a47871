//! What a LoRA adapter costs: the same batch on the base weights, with one adapter attached, with the
//! same adapter merged, and with several adapters at once, one round of each after another.

mod results;

use llem_sdk::{bindings::Prompt, prelude::*, types};
use results::{Results, Setting};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("lora-overhead", env!("CARGO_PKG_VERSION"), "What a LoRA adapter costs")
        .integer("rank", 8, "rank of the synthetic adapters; unused for one given with --adapter")
        .text("targets", "all-linear", "modules that they change: all-linear, or q_proj+v_proj")
        .text("batch", "1,8", "batch sizes, separated by commas")
        .integer(
            "adapters",
            8,
            "adapters in one batch, one synthetic adapter each but for the first",
        )
        .integer("prompt-tokens", 128, "length of each prompt")
        .integer(
            "new-tokens",
            32,
            "tokens generated for each prompt, end-of-sequence tokens ignored",
        )
        .integer("rounds", 10, "rounds; each measures every setting once")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let names = attach(&model)?;
    let sizes = batch_sizes()?;
    let prompts = prompts(&model, *sizes.iter().max().unwrap_or(&1))?;
    let new_tokens: u32 = parameter("new-tokens")?;
    let request = |setting: Setting, size: usize| {
        let request = Request::of(prompts[..size].to_vec())
            .label(format!("{} batch {size}", setting.name()))
            .max_new_tokens(new_tokens)
            .ignore_eos();
        match setting {
            Setting::Base => request.base_weights(),
            Setting::Attached | Setting::Merged => request.adapter(&names[0]),
            Setting::Several => {
                let each = names.iter().cycle().take(size);
                request.adapters(each.map(|name| Some(name.clone())))
            }
        }
    };
    let measure = |setting: Setting, size: usize| -> Result<Generation> {
        Ok(model.generate(&request(setting, size))?)
    };

    let mut settings = vec![Setting::Base, Setting::Attached, Setting::Merged, Setting::Several];
    match merge(&model, &names[0]) {
        Ok(()) => model.unmerge_adapter(&names[0]).map(|_| ())?,
        Err(reason) => {
            report::warn(&format!("the adapter is not measured merged: {reason}"));
            settings.retain(|setting| *setting != Setting::Merged);
        }
    }
    let rounds: usize = parameter("rounds")?;
    let mut results = Results::default();
    for round in 0..=rounds {
        // The first round warms up. Later ones begin with another setting each, so that drift and what
        // a setting leaves in the caches fall on all alike.
        let _phase = Phase::begin(if round == 0 { "warmup" } else { "measure" })?;
        for place in 0..settings.len() {
            let setting = settings[(round + place) % settings.len()];
            report::show_progress(round as u64, rounds as u64, setting.name());
            if setting == Setting::Merged {
                merge(&model, &names[0])?;
            }
            // One prompt cannot run with several adapters.
            let fits = |size: &&usize| setting != Setting::Several || **size > 1;
            for &size in sizes.iter().filter(fits) {
                let generation = measure(setting, size)?;
                if round > 0 {
                    results.add(setting, size, &generation);
                }
            }
            if setting == Setting::Merged {
                model.unmerge_adapter(&names[0])?;
            }
        }
    }
    let _phase = Phase::begin("derive")?;
    results.report(&sizes, &settings)
}

/// The adapter that was given, or a synthetic one; and as many others like it as share a batch.
fn attach(model: &Model) -> Result<Vec<String>> {
    let count: usize = parameter("adapters")?;
    let (rank, targets): (u32, String) = (parameter("rank")?, parameter("targets")?);
    let mut names: Vec<String> = model.adapters().into_iter().map(|adapter| adapter.name).collect();
    let mut seed = 0;
    while names.len() < count.max(1) {
        seed += 1;
        let source = format!("synthetic:rank={rank},targets={targets},seed={seed}");
        names.push(model.attach_adapter(&source)?.name);
    }
    Ok(names)
}

/// Merges, which takes time of its own and is in no measurement.
fn merge(model: &Model, name: &str) -> std::result::Result<(), types::Error> {
    model.merge_adapter(name).map(|_| ())
}

/// Prompts of random tokens.
fn prompts(model: &Model, count: usize) -> Result<Vec<Prompt>> {
    let length: usize = parameter("prompt-tokens")?;
    let vocabulary = u64::from(model.info().vocab_size);
    let random = Random::new("prompts");
    let prompt = || {
        let token = |_| (random.next_u64() % vocabulary) as u32;
        Prompt::Tokens((0..length).map(token).collect())
    };
    Ok((0..count).map(|_| prompt()).collect())
}

fn batch_sizes() -> Result<Vec<usize>> {
    let text: String = parameter("batch")?;
    let size = |part: &str| part.trim().parse().ok().filter(|&size| size > 0);
    text.split(',')
        .map(|part| size(part).ok_or_else(|| Error(format!("batch: '{part}' is no batch size"))))
        .collect()
}

//! Measures the overhead of a LoRA adapter: the same batch runs on the base weights, with one adapter attached, with
//! the same adapter merged, and with several adapters at once, in rounds.

mod results;

use llem_sdk::prelude::*;
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
    let model = Model::load_granted()?;
    let sizes = sizes("batch")?;
    let benchmark = Benchmark {
        adapters: attach(&model)?,
        prompts: prompts(&model, *sizes.iter().max().unwrap_or(&1))?,
        new_tokens: parameter("new-tokens")?,
        model,
    };
    let settings = benchmark.settings()?;
    let rounds: usize = parameter("rounds")?;
    let mut results = Results::default();
    for round in 0..=rounds {
        // Round 0 is the warm-up. Each later round begins with another setting, so that drift affects all settings
        // alike.
        let _phase = Phase::begin(if round == 0 { "warmup" } else { "measure" })?;
        for index in 0..settings.len() {
            let setting = settings[(round + index) % settings.len()];
            report::show_progress(round as u64, rounds as u64, setting.name());
            for (size, generation) in benchmark.measure(setting, &sizes)? {
                if round > 0 {
                    results.add(setting, size, &generation);
                }
            }
        }
    }
    let _phase = Phase::begin("derive")?;
    results.report(&sizes, &settings)
}

/// The model, adapters and prompts that all settings share.
struct Benchmark {
    model: Model,
    /// The names of the adapters. The first is the one that is measured alone and merged.
    adapters: Vec<String>,
    prompts: Vec<Prompt>,
    new_tokens: u32,
}

impl Benchmark {
    /// Returns the settings that can be measured. Adapters cannot be merged into quantised weights.
    fn settings(&self) -> Result<Vec<Setting>> {
        let mut settings = vec![Setting::Base, Setting::Attached];
        match self.model.merge_adapter(&self.adapters[0]) {
            Ok(_) => {
                self.model.unmerge_adapter(&self.adapters[0])?;
                settings.push(Setting::Merged);
            }
            Err(reason) => {
                report::warn(&format!("the adapter is not measured merged: {reason}"));
            }
        }
        settings.push(Setting::Several);
        Ok(settings)
    }

    /// Measures one batch of each size. For the setting `Merged` the adapter is merged before and unmerged after.
    /// Merging is a phase of its own and not part of a measurement.
    fn measure(&self, setting: Setting, sizes: &[usize]) -> Result<Vec<(usize, Generation)>> {
        if setting == Setting::Merged {
            self.model.merge_adapter(&self.adapters[0])?;
        }
        let settle = Phase::begin("settle")?;
        // The first request after another setting, or after a merge, finds its weights in no cache.
        let short = self.request(setting, sizes[0]).label("settle").max_new_tokens(2);
        self.model.generate(&short)?;
        Phase::end(settle)?;
        // One prompt cannot run with several adapters.
        let fits = |size: &&usize| setting != Setting::Several || **size > 1;
        let measured = sizes
            .iter()
            .filter(fits)
            .map(|&size| Ok((size, self.model.generate(&self.request(setting, size))?)))
            .collect();
        if setting == Setting::Merged {
            self.model.unmerge_adapter(&self.adapters[0])?;
        }
        measured
    }

    fn request(&self, setting: Setting, size: usize) -> Request {
        let request = Request::from_prompts(self.prompts[..size].to_vec())
            .label(format!("{} batch {size}", setting.name()))
            .max_new_tokens(self.new_tokens)
            .ignore_eos();
        match setting {
            Setting::Base => request.base_weights(),
            Setting::Attached | Setting::Merged => request.adapter(&self.adapters[0]),
            Setting::Several => {
                let names = self.adapters.iter().cycle().take(size);
                request.adapters(names.map(|name| Some(name.clone())))
            }
        }
    }
}

/// Attaches synthetic adapters until there are as many as the parameter `adapters` says, and returns the names of all.
/// Adapters given with `--adapter` come first.
fn attach(model: &Model) -> Result<Vec<String>> {
    for adapter in model.adapters().into_iter().filter(|adapter| adapter.is_merged) {
        // An adapter given with --merge is already merged, but the base weights are measured first.
        model.unmerge_adapter(&adapter.name)?;
    }
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

/// Draws prompts of random tokens.
fn prompts(model: &Model, count: usize) -> Result<Vec<Prompt>> {
    let length = parameter("prompt-tokens")?;
    let (random, vocabulary) = (Random::new("prompts"), model.info().vocab_size);
    (0..count).map(|_| Prompt::random(&random, vocabulary, length)).collect()
}

//! What a LoRA adapter costs: the same batch on the base weights, with one adapter attached, with the
//! same adapter merged, and with several adapters at once, one round of each after another.

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
    let model = Model::granted()?;
    let sizes = sizes("batch")?;
    let bench = Bench {
        names: attach(&model)?,
        prompts: prompts(&model, *sizes.iter().max().unwrap_or(&1))?,
        new_tokens: parameter("new-tokens")?,
        model,
    };
    let settings = bench.settings()?;
    let rounds: usize = parameter("rounds")?;
    let mut results = Results::default();
    for round in 0..=rounds {
        // The first round warms up. Later ones begin with another setting each, so that drift falls on
        // all alike.
        let _phase = Phase::begin(if round == 0 { "warmup" } else { "measure" })?;
        for place in 0..settings.len() {
            let setting = settings[(round + place) % settings.len()];
            report::show_progress(round as u64, rounds as u64, setting.name());
            for (size, generation) in bench.measure(setting, &sizes)? {
                if round > 0 {
                    results.add(setting, size, &generation);
                }
            }
        }
    }
    let _phase = Phase::begin("derive")?;
    results.report(&sizes, &settings)
}

/// What all settings share.
struct Bench {
    model: Model,
    /// The adapters; the first is the one that is attached alone, and merged.
    names: Vec<String>,
    prompts: Vec<Prompt>,
    new_tokens: u32,
}

impl Bench {
    /// The settings that can be measured: nothing is merged into quantised weights.
    fn settings(&self) -> Result<Vec<Setting>> {
        let mut settings = vec![Setting::Base, Setting::Attached];
        match self.model.merge_adapter(&self.names[0]) {
            Ok(_) => {
                self.model.unmerge_adapter(&self.names[0])?;
                settings.push(Setting::Merged);
            }
            Err(reason) => {
                report::warn(&format!("the adapter is not measured merged: {reason}"));
            }
        }
        settings.push(Setting::Several);
        Ok(settings)
    }

    /// One batch of each size, with the adapter merged meanwhile where that is the setting. Merging is a
    /// phase of its own and in no measurement.
    fn measure(&self, setting: Setting, sizes: &[usize]) -> Result<Vec<(usize, Generation)>> {
        if setting == Setting::Merged {
            self.model.merge_adapter(&self.names[0])?;
        }
        let settle = Phase::begin("settle")?;
        // What comes first after another setting, or after a merge, finds its weights in no cache.
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
            self.model.unmerge_adapter(&self.names[0])?;
        }
        measured
    }

    fn request(&self, setting: Setting, size: usize) -> Request {
        let request = Request::of(self.prompts[..size].to_vec())
            .label(format!("{} batch {size}", setting.name()))
            .max_new_tokens(self.new_tokens)
            .ignore_eos();
        match setting {
            Setting::Base => request.base_weights(),
            Setting::Attached | Setting::Merged => request.adapter(&self.names[0]),
            Setting::Several => {
                let names = self.names.iter().cycle().take(size);
                request.adapters(names.map(|name| Some(name.clone())))
            }
        }
    }
}

/// The adapter that was given, or a synthetic one; and as many others like it as share a batch.
fn attach(model: &Model) -> Result<Vec<String>> {
    for adapter in model.adapters().into_iter().filter(|adapter| adapter.merged) {
        // Given with --merge; every setting is measured in its turn.
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

/// Prompts of random tokens.
fn prompts(model: &Model, count: usize) -> Result<Vec<Prompt>> {
    let length = parameter("prompt-tokens")?;
    let (random, vocabulary) = (Random::new("prompts"), model.info().vocab_size);
    (0..count).map(|_| Prompt::random(&random, vocabulary, length)).collect()
}

//! `llem exec`: run an experiment.

use super::{MeterArgs, ModelArgs, cache, compiled_cache, parse, read_component};
use crate::{build_info, signals, summary, watch};
use llem_engine::ModelSource;
use llem_meter::Clock;
use llem_runtime::{
    Error, Limits, Metering, Options, Script, Stop,
    exec::exec,
    grants::{AdapterGrant, ModelGrant},
    inspect::Role,
    plan::Given,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// How long an interrupted engine may take until other processes are told that the run is over.
const LEAVE: Duration = Duration::from_secs(10);

/// Run an experiment, or policies through the standard runner.
#[derive(clap::Args)]
pub struct Args {
    /// Components: one experiment, or policies; `quickstart` is the one that ships with llem
    #[arg(required_unless_present = "workload")]
    components: Vec<String>,
    /// A component whose warm-up policy is used
    #[arg(long, value_name = "FILE")]
    warmup: Option<String>,
    /// A component whose workload is used
    #[arg(long, value_name = "FILE")]
    workload: Option<String>,
    /// A component whose metrics are used
    #[arg(long, value_name = "FILE")]
    metrics: Option<String>,

    /// The model that may be loaded: a folder, a .gguf file, a Hub id (org/name[@revision]) or synthetic:PRESET
    #[arg(long, default_value = "synthetic:tiny", value_parser = parse::<ModelSource>)]
    model: ModelSource,
    #[command(flatten)]
    model_args: ModelArgs,
    #[command(flatten)]
    meter_args: MeterArgs,
    /// Leave out the timeline of power, clocks and temperatures beside the record
    #[arg(long, help_heading = "Metering")]
    no_timeline: bool,
    /// Rest so long before the warm-up, unless a baseline of the last hour is known: energy above idle of runs of
    /// policies (experiments rest when they say so)
    #[arg(long, value_name = "SECONDS", help_heading = "Metering")]
    baseline: Option<f64>,
    #[command(flatten)]
    watchers: watch::Watchers,
    /// Ranks that the experiment may split the model over [default: those of --tp, --pp and --dp]
    #[arg(long, value_name = "COUNT", help_heading = "Parallelism")]
    max_ranks: Option<usize>,
    /// A LoRA adapter of the model: a folder as PEFT saves it, a Hub id, or synthetic:rank=8; may be
    /// given several times, and requests run with the first unless they name another
    #[arg(long = "adapter", value_name = "[NAME=]SOURCE", value_parser = parse::<AdapterGrant>, help_heading = "Adapters")]
    adapters: Vec<AdapterGrant>,
    /// Merge the first adapter into the weights, after loading
    #[arg(long, requires = "adapters", help_heading = "Adapters")]
    merge: bool,
    /// Set a parameter that the experiment declares
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = pair, help_heading = "Parameters and datasets")]
    parameters: Vec<(String, String)>,
    /// Grant a file under a name that the experiment declares: .jsonl, .csv or .txt
    #[arg(long = "dataset", value_name = "NAME=FILE", value_parser = pair, help_heading = "Parameters and datasets")]
    datasets: Vec<(String, String)>,

    /// Folder of the run's record [default: runs/<time>-<name>]
    #[arg(long, value_name = "FOLDER", help_heading = "Record")]
    out: Option<PathBuf>,
    /// Record prompts themselves, rather than their digests alone
    #[arg(long, help_heading = "Record")]
    keep_prompts: bool,
    /// Print the run record as JSON instead of a summary
    #[arg(long, help_heading = "Record")]
    json: bool,

    /// End the run after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().deadline.as_secs_f64(), help_heading = "Limits")]
    deadline: f64,
    /// Memory that a component may use, MiB
    #[arg(long, value_name = "MIB", default_value_t = (Limits::default().memory >> 20) as u32, help_heading = "Limits")]
    max_memory: u32,
    /// Host resources that a component may hold at a time
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().resources as u32, help_heading = "Limits")]
    max_resources: u32,
    /// What a component may write into the record, MiB
    #[arg(long, value_name = "MIB", default_value_t = (Limits::default().output >> 20) as u32, help_heading = "Limits")]
    max_output: u32,
}

impl Args {
    /// Runs it and shows what came of it.
    pub fn run(self) -> anyhow::Result<()> {
        let json = self.json;
        let watchers = self.watchers.clone();
        // Of several processes, only the one that leads comes back from here: before, none may bind a port.
        let options = self.options()?;
        let world = options.model.world.clone();
        let clock = Clock::start();
        let observers = watch::all(&watchers, clock)?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let stop = Arc::new(Stop::default());
        let outcome = runtime.block_on(async {
            signals::watch(Arc::clone(&stop))?;
            anyhow::Ok(exec(options, clock, Box::new(observers), stop).await)
        })?;
        // An engine that is still loading is not waited for.
        runtime.shutdown_background();
        if let Some(world) = world {
            world.leave(LEAVE);
        }
        // From here on a closed pipe ends the program, as it does every other; before, it must not
        // end a run.
        sigpipe::reset();
        if let Some(record) = &outcome.record {
            if json {
                println!("{}", serde_json::to_string_pretty(record)?);
            } else {
                summary::print(record, outcome.folder.as_deref());
            }
        }
        outcome.error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn options(self) -> anyhow::Result<Options> {
        if !(self.deadline > 0.0 && self.deadline <= 1e9) {
            return Err(Error::Input(format!(
                "--deadline {} must be above 0 and at most 1e9 s",
                self.deadline
            ))
            .into());
        }
        let given = [
            (Some(Role::Warmup), self.warmup),
            (Some(Role::Workload), self.workload),
            (Some(Role::Metrics), self.metrics),
        ];
        let files = self.components.into_iter().map(|file| (None, Some(file))).chain(given);
        let scripts = files
            .filter_map(|(role, file)| Some((role, file?)))
            .map(|(role, file)| Ok(Script { bytes: read_component(&file)?, file, role }))
            .collect::<Result<Vec<_>, Error>>()?;
        let datasets = unique("dataset", self.datasets)?;
        let split = self.model_args.split.split();
        Ok(Options {
            scripts,
            given: Given {
                parameters: unique("parameter", self.parameters)?,
                datasets: datasets
                    .into_iter()
                    .map(|(name, file)| (name, PathBuf::from(file)))
                    .collect(),
            },
            model: ModelGrant {
                source: self.model,
                dtype: self.model_args.dtype,
                device: self.model_args.device,
                split,
                max_ranks: self.max_ranks.unwrap_or(split.ranks()),
                rank_timeout: self.model_args.split.rank_timeout()?,
                world: self.model_args.world()?,
                digests: self.model_args.digests(),
                adapters: self.adapters,
                merge: self.merge,
            },
            seed: self.model_args.seed,
            limits: Limits {
                deadline: Duration::from_secs_f64(self.deadline),
                memory: (self.max_memory as usize) << 20,
                resources: self.max_resources as usize,
                output: u64::from(self.max_output) << 20,
                ..Limits::default()
            },
            metering: Metering {
                options: self.meter_args.options()?,
                timeline: !self.no_timeline,
                baseline: self.baseline.map(seconds).transpose()?,
                kept: cache(),
            },
            keep_prompts: self.keep_prompts,
            out: self.out,
            cache: compiled_cache(),
            command: std::env::args().collect(),
            build: build_info::build(),
        })
    }
}

fn seconds(length: f64) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(length)
        .map_err(|error| Error::Input(format!("--baseline {length}: {error}")))
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

fn unique(what: &str, pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Error> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        if map.insert(name.clone(), value).is_some() {
            return Err(Error::Input(format!("{what} '{name}' is given twice")));
        }
    }
    Ok(map)
}

//! The commands.

mod doctor;
mod exec;
mod flops;
mod generate;
mod inspect;
mod limits;
mod models;
mod output;
mod recover;
mod schema;
mod tokenize;

use crate::{signals::Signals, untrusted::line};
use etcetera::{BaseStrategy, choose_base_strategy};
use llem_checkpoint::digest::Coverage;
use llem_engine::{
    DType, Device, DigestOptions, LoadOptions, ModelSource, Split, cpu::simd::Path,
    load::RANK_TIMEOUT, parallel::World,
};
use llem_meter::{PowerModel, SAMPLE_PERIOD};
use std::{ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

/// More often costs more than it tells; less often, a counter may wrap in between. ms.
const SAMPLE_PERIODS: RangeInclusive<f64> = 1.0..=10_000.0;

/// What an option takes that is a time, s: thirty years stand for ever.
const TIMES: RangeInclusive<f64> = 1e-3..=1e9;

/// What llem can do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Run an experiment, or policies through the standard runner
    Exec(exec::Args),
    /// Generate text or tokens with a model, without an experiment
    Generate(generate::Args),
    /// Show the tokens of a text, or of a conversation rendered by the model's chat template
    Tokenize(tokenize::Args),
    /// Show what a component is: exports, imports, parameters, digest
    Inspect(inspect::Args),
    /// Count a model's floating-point operations, from its shape
    Flops(flops::Args),
    /// Show devices, energy sources, and what is missing with its remedy
    Doctor(doctor::Args),
    /// Rebuild the record of a run that was killed, from its journal
    Recover(recover::Args),
    /// Print the JSON Schema of run.json, or of a line of events.jsonl
    Schema(schema::Args),
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<()> {
        if !matches!(self, Self::Exec(_)) {
            // `llem schema | head` is no failure.
            sigpipe::reset();
        }
        // What the environment asks of the engine is refused before any work.
        Path::check().map_err(llem_engine::Error::from)?;
        match self {
            Self::Exec(args) => args.run(),
            Self::Generate(args) => args.run(),
            Self::Tokenize(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Flops(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::Recover(args) => args.run(),
            Self::Schema(args) => args.run(),
        }
    }
}

/// How any model is loaded.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Seed of everything random: synthetic weights, sampling, the script's random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Identify a model by config, tensor names, shapes and the first kilobyte of each weight file, rather than by all
    /// of their bytes: its digest says `blake3-headers` and does not tell fine-tunes of one model apart
    #[arg(long)]
    quick_digest: bool,
    #[command(flatten)]
    split: SplitArgs,
}

/// How the model is split over ranks: GPUs from the device on, or threads of the CPU.
#[derive(clap::Args)]
#[command(next_help_heading = "Parallelism")]
pub struct SplitArgs {
    /// Tensor-parallel ranks, which share every product
    #[arg(long = "tp", value_name = "RANKS", default_value_t = 1, value_parser = positive)]
    tensor: usize,
    /// Pipeline stages, which share the layers
    #[arg(long = "pp", value_name = "STAGES", default_value_t = 1, value_parser = positive)]
    pipeline: usize,
    /// Replicas, which share the requests
    #[arg(long = "dp", value_name = "REPLICAS", default_value_t = 1, value_parser = positive)]
    data: usize,
    /// Deal whole experts out among the tensor ranks, rather than cutting each
    #[arg(long = "ep")]
    experts: bool,
    /// Cut both factors of a LoRA adapter among the tensor ranks, rather than one
    #[arg(long)]
    sharded_adapters: bool,
    /// Parts that a pass is cut into, so that stages work at the same time [default: as many as stages,
    /// where there are rows enough]
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    microbatches: Option<usize>,
    /// How long ranks wait for one that does not come before the run fails
    #[arg(long, value_name = "SECONDS", default_value_t = RANK_TIMEOUT.as_secs_f64(), value_parser = within(TIMES, "s"))]
    rank_timeout: f64,
}

/// How energy is metered.
#[derive(clap::Args)]
#[command(next_help_heading = "Metering")]
pub struct MeterArgs {
    /// What the processor draws with all and with no threads busy, for a machine where nothing measures it; its
    /// results are marked `modelled`
    #[arg(long, value_name = "tdp=W,idle=W[,uncertainty=%]")]
    power_model: Option<PowerModel>,
    /// How often counters, power, clocks and temperatures are read
    #[arg(long, value_name = "MS", default_value_t = SAMPLE_PERIOD.as_secs_f64() * 1e3, value_parser = within(SAMPLE_PERIODS, "ms"))]
    sample_period: f64,
    /// Open and close windows at ticks of the energy counters: more exact, and slower by up to 100 ms each
    #[arg(long)]
    align_windows: bool,
}

impl MeterArgs {
    fn options(&self) -> llem_meter::Options {
        llem_meter::Options {
            power_model: self.power_model,
            period: Duration::from_secs_f64(self.sample_period * 1e-3),
            align: self.align_windows,
            ..Default::default()
        }
    }
}

impl SplitArgs {
    fn split(&self) -> Split {
        Split {
            tensor: self.tensor,
            pipeline: self.pipeline,
            data: self.data,
            experts: self.experts,
            sharded_adapters: self.sharded_adapters,
            microbatches: self.microbatches,
        }
    }

    fn rank_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.rank_timeout)
    }
}

impl ModelArgs {
    /// The processes that were launched together to be the model's ranks, if they are processes. Those
    /// that do not lead serve here until the run is over, and then end.
    fn world(&self, device: Device) -> anyhow::Result<Option<Arc<World>>> {
        let (split, timeout) = (self.split.split(), self.split.rank_timeout());
        let world = World::join(&split, timeout, device, llem_meter::sources::nvml::identities)?;
        let Some(world) = world.as_ref().filter(|world| !world.leads()) else { return Ok(world) };
        // A launcher signals every rank; when the run ends is for the one that leads to say.
        let _signals = Signals::watch(Arc::default())?;
        world.serve()?;
        std::process::exit(0);
    }

    /// What to load.
    fn load_options(
        &self,
        source: ModelSource,
        dtype: Option<DType>,
        device: Device,
    ) -> anyhow::Result<LoadOptions> {
        Ok(LoadOptions {
            dtype,
            device,
            seed: self.seed,
            split: self.split.split(),
            rank_timeout: self.split.rank_timeout(),
            world: self.world(device)?,
            digests: self.digests(),
            ..LoadOptions::new(source)
        })
    }

    /// How it is identified. Hashes of large files are kept, so that each is read for that once.
    fn digests(&self) -> DigestOptions {
        let coverage = if self.quick_digest { Coverage::Headers } else { Coverage::Whole };
        DigestOptions { coverage, cache: cache().map(|folder| folder.join("digests.json")) }
    }
}

/// What is kept from run to run, compiled components among it: `LLEM_CACHE`, or the user's cache folder.
fn cache() -> Option<PathBuf> {
    match std::env::var_os("LLEM_CACHE").filter(|folder| !folder.is_empty()) {
        Some(folder) => Some(folder.into()),
        None => Some(choose_base_strategy().ok()?.cache_dir().join("llem")),
    }
}

/// Where compiled components are kept.
fn compiled_cache() -> Option<PathBuf> {
    cache().map(|folder| folder.join("compiled"))
}

/// A component by its file, or the one that ships with this program by its name.
fn read_component(name: &str) -> Result<Vec<u8>, llem_runtime::Error> {
    if name == "quickstart" {
        return Ok(include_bytes!("../../../../scripts/quickstart/quickstart.wasm").to_vec());
    }
    std::fs::read(name).map_err(|error| {
        llem_runtime::Error::Input(format!(
            "cannot read {name}: {error}; give a .wasm file, or quickstart"
        ))
    })
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| line(&error.to_string()))
}

/// Reads a number of an option that takes those from one to another.
fn within(
    range: RangeInclusive<f64>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("give a number from {} to {} {unit}", range.start(), range.end())
        })
    }
}

/// Reads how many of something there are to be.
fn positive(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "give a whole number, at least 1".to_owned())
}

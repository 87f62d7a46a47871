//! The commands of the program.

mod build;
mod bundle;
mod bundle_inputs;
mod compare;
mod doctor;
mod exec;
mod export;
mod flops;
mod generate;
mod given_component;
mod grant_args;
mod inspect;
mod limit_args;
mod migrate;
mod new;
mod number_args;
mod output;
mod recover;
mod replay;
mod report;
mod schema;
mod sdk;
mod test;
mod tokenize;
mod verify;
mod watch;

use self::{
    given_component::read_component,
    number_args::{positive, within},
};
use crate::{env, signals::Signals, untrusted::line};
use etcetera::{BaseStrategy, choose_base_strategy};
use llem_checkpoint::Coverage;
use llem_engine::{
    DType, DeviceId, DigestOptions, LoadOptions, ModelSource, RANK_TIMEOUT, Split, World,
    cpu::InstructionSet,
};
use llem_meter::{PowerModel, SAMPLE_PERIOD};
use std::{
    fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, sync::Arc, time::Duration,
};

/// The allowed sample periods in milliseconds. A shorter one costs more than it tells, and with a longer one a counter
/// may wrap unseen.
const SAMPLE_PERIODS: RangeInclusive<f64> = 1.0..=10_000.0;

/// The allowed values of an option that is a time, in seconds. The longest, thirty years, means for ever.
const TIMES: RangeInclusive<f64> = 1e-3..=1e9;

/// The commands. The first line of each doc is its help.
#[derive(clap::Subcommand)]
pub(crate) enum CliCommand {
    /// Run an experiment, or policies through the standard runner
    Exec(Box<exec::ExecArgs>),
    /// Repeat a run from its record, and report what moved
    ///
    /// The exit code is 0 if method and tokens are those of the record, 1 if they are not, and 2 if the run cannot be
    /// repeated, because a component, dataset, model or adapter is not the one of the record, for example.
    Replay(Box<replay::ReplayArgs>),
    /// Compare two runs: tokens, method, numbers and environment
    ///
    /// The exit code is 0 if method and tokens are the same, and 1 if they are not.
    Compare(compare::CompareArgs),
    /// Generate text or tokens with a model, without an experiment
    Generate(generate::GenerateArgs),
    /// Show the tokens of a text, or of a conversation rendered by the model's chat template
    Tokenize(tokenize::TokenizeArgs),
    /// Make a project: an experiment or a policy in Rust, Python, JavaScript, TypeScript or C
    New(new::NewArgs),
    /// Build a component from a project or a script
    Build(build::BuildArgs),
    /// Run the unit tests of a project, without a model
    Test(test::TestArgs),
    /// Unpack the SDK of a language, and print its folder
    Sdk(sdk::SdkArgs),
    /// Show what a component is: exports, imports, parameters, digest
    Inspect(inspect::InspectArgs),
    /// Count a model's floating-point operations, from its shape
    Flops(flops::FlopsArgs),
    /// Show devices, energy sources, and what is missing with its remedy
    Doctor(doctor::DoctorArgs),
    /// Rebuild the record of a run that was killed, from its journal
    Recover(recover::RecoverArgs),
    /// Make a page, tables or a terminal view of one run, or of several side by side
    Report(report::ReportArgs),
    /// Pack a run and what took part in it into one file, which others verify and repeat
    Bundle(bundle::BundleArgs),
    /// Verify a bundle: each file, the record against its journal and its inputs, and the signature
    Verify(verify::VerifyArgs),
    /// Write runs in the format of MLflow, Weights & Biases, CodeCarbon or LLenergyMeasure
    Export(export::ExportArgs),
    /// Print the command of llem for a command of vLLM, llama-bench, lm-eval, guidellm and other tools
    ///
    /// The exit code is 2 if the tool would not take the command either.
    Migrate(migrate::MigrateArgs),
    /// Show a run of another process while it goes on, from its journal
    Watch(watch::WatchArgs),
    /// Print the JSON Schema of run.json, or of a line of events.jsonl
    Schema(schema::SchemaArgs),
}

impl CliCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if !matches!(self, Self::Exec(_) | Self::Replay(_)) {
            // A closed pipe, as in `llem schema | head`, is not an error.
            sigpipe::reset();
        }
        // A wrong environment variable of the engine is refused before any work.
        InstructionSet::check().map_err(llem_engine::Error::from)?;
        match self {
            Self::Exec(args) => args.run(),
            Self::Replay(args) => args.run(),
            Self::Compare(args) => args.run(),
            Self::Generate(args) => args.run(),
            Self::Tokenize(args) => args.run(),
            Self::New(args) => args.run(),
            Self::Build(args) => args.run(),
            Self::Test(args) => args.run(),
            Self::Sdk(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Flops(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::Recover(args) => args.run(),
            Self::Report(args) => args.run(),
            Self::Bundle(args) => args.run(),
            Self::Verify(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Migrate(args) => args.run(),
            Self::Watch(args) => args.run(),
            Self::Schema(args) => args.run(),
        }
    }
}

/// The options that all commands which load a model have.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
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

/// The options that split a model over ranks, which are GPUs (from the given device on) or threads of the CPU.
#[derive(clap::Args)]
#[command(next_help_heading = "Parallelism")]
pub(crate) struct SplitArgs {
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

/// The options of the meter.
#[derive(clap::Args)]
#[command(next_help_heading = "Metering")]
pub(crate) struct MeterArgs {
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
    fn options(&self) -> llem_meter::MeterOptions {
        llem_meter::MeterOptions {
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
    /// Joins the processes that were launched together to be the model's ranks, if there are any. All processes but the
    /// leading one serve here until the run is over, and then exit.
    fn join_world(&self, device: DeviceId) -> anyhow::Result<Option<Arc<World>>> {
        let (split, timeout) = (self.split.split(), self.split.rank_timeout());
        let world = World::join(&split, timeout, device, llem_meter::cuda_device_uuids)?;
        let Some(world) = world.as_ref().filter(|world| !world.is_leader()) else {
            return Ok(world);
        };
        // A launcher sends signals to every rank, but only the leading rank ends the run.
        let _signals = Signals::watch(Arc::default())?;
        world.serve()?;
        std::process::exit(0);
    }

    fn load_options(
        &self,
        source: ModelSource,
        dtype: Option<DType>,
        device: DeviceId,
    ) -> anyhow::Result<LoadOptions> {
        Ok(LoadOptions {
            dtype,
            device,
            seed: self.seed,
            split: self.split.split(),
            rank_timeout: self.split.rank_timeout(),
            world: self.join_world(device)?,
            digests: self.digests(),
            ..LoadOptions::new(source)
        })
    }

    /// The options of digests, which identify models. Digests of large files are cached, so that each file is hashed once.
    fn digests(&self) -> DigestOptions {
        let coverage = if self.quick_digest { Coverage::Headers } else { Coverage::Whole };
        DigestOptions { coverage, cache: cache().map(|folder| folder.join("digests.json")) }
    }
}

/// The folder for what later runs reuse, such as compiled components: `LLEM_CACHE`, otherwise `llem` in the user's
/// cache folder.
pub(crate) fn cache() -> Option<PathBuf> {
    match env::cache() {
        Some(folder) => Some(folder.into()),
        None => Some(choose_base_strategy().ok()?.cache_dir().join("llem")),
    }
}

/// The folder of compiled components.
fn compiled_cache() -> Option<PathBuf> {
    cache().map(|folder| folder.join("compiled"))
}

/// An option's value cannot be parsed. The sentence is the cause's, made safe to print, because it may quote the option.
#[derive(Debug, thiserror::Error)]
#[error("{}", line(&.0.to_string()))]
struct ValueError<E: Display>(E);

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, ValueError<T::Err>> {
    text.parse().map_err(ValueError)
}

//! The commands.

mod doctor;
mod exec;
mod generate;
mod inspect;
mod schema;
mod tokenize;

use std::path::PathBuf;

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
    /// Show devices, energy sources, and what is missing with its remedy
    Doctor(doctor::Args),
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
        match self {
            Self::Exec(args) => args.run(),
            Self::Generate(args) => args.run(),
            Self::Tokenize(args) => args.run(),
            Self::Inspect(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::Schema(args) => args.run(),
        }
    }
}

/// Which model, in which number format, where.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Number format of weights and activations: f32, bf16, f16 [default: the checkpoint's own]
    #[arg(long, value_parser = parse::<llem_engine::DType>)]
    dtype: Option<llem_engine::DType>,
    /// Device that the model runs on: cpu, cuda:N
    #[arg(long, default_value = "cpu", value_parser = parse::<llem_engine::Device>)]
    device: llem_engine::Device,
    /// Seed of everything random: synthetic weights, sampling, the script's random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Where compiled components are kept: `LLEM_CACHE`, or the user's cache folder.
fn compiled_cache() -> Option<PathBuf> {
    let variable =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("LLEM_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("llem")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/llem")))
        .map(|folder| folder.join("compiled"))
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

fn parse<T: std::str::FromStr<Err = llem_engine::Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: llem_engine::Error| error.to_string())
}

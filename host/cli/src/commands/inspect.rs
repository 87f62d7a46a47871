//! `llem inspect`: what a component is.

use super::{compiled_cache, read_component};
use crate::watch::Console;
use llem_engine::{Device, DigestOptions, ModelSource, Split, load::RANK_TIMEOUT};
use llem_meter::Clock;
use llem_runtime::{
    Error, Limits, Metering, Script, Stop,
    bindings::{description::About, types::Value},
    component::Compiler,
    exec::start,
    grants::{ModelGrant, Settings},
    inspect::{Border, Member},
    limits::Watchdog,
    output::Output,
    run::Run,
};
use serde_json::json;
use std::sync::Arc;

/// Show what a component is: exports, imports, parameters, digest.
#[derive(clap::Args)]
pub struct Args {
    /// A component, or `quickstart`
    component: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Asks the component and prints what it says.
    pub fn run(self) -> anyhow::Result<()> {
        let Member { digest, border, about, .. } = start_alone(&self.component)?;
        if self.json {
            println!("{}", to_object(&digest, &border, &about));
        } else {
            print(&digest, &border, &about);
        }
        Ok(())
    }
}

/// Instantiates a component without granting it anything, and asks it what it is.
fn start_alone(file: &str) -> Result<Member, Error> {
    let script = Script { file: file.to_owned(), bytes: read_component(file)?, role: None };
    let compiler = Compiler::new(compiled_cache())?;
    let limits = Limits::default();
    let clock = Clock::start();
    let output = Arc::new(Output::new(clock, Box::new(Console::new()), limits.output));
    let nothing = "synthetic:tiny"
        .parse::<ModelSource>()
        .map_err(|error| Error::Failed(error.to_string()))?;
    let grant = ModelGrant {
        source: nothing,
        dtype: None,
        device: Device::Cpu,
        split: Split::default(),
        max_ranks: 1,
        rank_timeout: RANK_TIMEOUT,
        world: None,
        digests: DigestOptions::nothing(),
        adapters: Vec::new(),
        merge: false,
    };
    let stop = Arc::new(Stop::default());
    let metering = Metering::default();
    let settings = Settings { model: grant, seed: 0, limits, metering, keep_prompts: false };
    let run = Arc::new(Run::new(clock, Arc::clone(&stop), output, settings));
    let _watchdog = Watchdog::start(compiler.engine(), stop, limits.deadline);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(error.to_string()))?;
    let members = runtime.block_on(start(&compiler, &[script], &run, &limits))?;
    members.into_iter().next().ok_or_else(|| Error::Failed("nothing was started".to_owned()))
}

fn to_object(digest: &str, border: &Border, about: &About) -> serde_json::Value {
    let roles: Vec<_> = border.roles.iter().map(|role| role.name()).collect();
    let parameters = about.parameters.iter().map(
        |parameter| json!({ "name": parameter.name, "default": llem_runtime::value::Value::from(parameter.default.clone()).to_json(), "summary": parameter.summary }),
    );
    let datasets = about.datasets.iter().map(
        |dataset| json!({ "name": dataset.name, "required": dataset.required, "summary": dataset.summary }),
    );
    json!({
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "roles": roles,
        "digest": digest,
        "imports": border.imports,
        "exports": border.exports,
        "parameters": parameters.collect::<Vec<_>>(),
        "datasets": datasets.collect::<Vec<_>>(),
    })
}

fn print(digest: &str, border: &Border, about: &About) {
    let head = |text: &str| println!("{}", console::style(text).bold());
    let list = |name: &str, items: &[String]| {
        head(name);
        for item in items {
            println!("  {item}");
        }
    };
    head(&format!("{} {}", about.name, about.version));
    println!("  {}", about.summary);
    let roles: Vec<_> = border.roles.iter().map(|role| role.name()).collect();
    println!("  {}, {digest}", roles.join(" + "));
    if !about.parameters.is_empty() {
        head("parameters (-p name=value)");
    }
    for parameter in &about.parameters {
        println!("  {} = {}  {}", parameter.name, default(&parameter.default), parameter.summary);
    }
    if !about.datasets.is_empty() {
        head("datasets (--dataset name=file)");
    }
    for dataset in &about.datasets {
        let need = if dataset.required { "required" } else { "optional" };
        println!("  {} ({need})  {}", dataset.name, dataset.summary);
    }
    list("imports", &border.imports);
    list("exports", &border.exports);
}

fn default(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
    }
}

//! `llem inspect`: what a component is.

use super::{compiled_cache, read_component};
use crate::watch::Console;
use llem_meter::Clock;
use llem_runtime::{
    Error, Limits, Script, Stop,
    bindings::{
        description::{About, Parameter},
        types::Value,
    },
    border::Border,
    component::Compiler,
    compose,
    encode::encode,
    inspect::{Member, Prepared},
    limits::Watchdog,
    output::Output,
    plan::to_json,
};
use serde_json::json;
use std::sync::Arc;

/// Show what a component is: exports, imports, parameters, digest; and what a policy is composed with.
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
        let bytes = read_component(&self.component)?;
        let members = prepare(Script { file: self.component.clone(), bytes, role: None })?;
        let (given, others): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|member| !member.part.is_shipped);
        for member in given {
            let border =
                Border::new(&self.component, &encode(&self.component, &member.part.bytes)?)?;
            if self.json {
                println!("{}", to_object(&member, &border, &others));
            } else {
                print(&member, &border, &others);
            }
        }
        Ok(())
    }
}

/// Asks a component what it is, and what it would be composed with. Nothing is granted.
fn prepare(script: Script) -> Result<Vec<Member>, Error> {
    let parts = compose::parts(vec![script])?;
    let compiler = Compiler::new(compiled_cache().as_deref())?;
    let (limits, stop) = (Limits::default(), Arc::new(Stop::default()));
    let output = Arc::new(Output::new(Clock::start(), Box::new(Console::new()), limits.output));
    let _watchdog = Watchdog::start(compiler.engine(), Arc::clone(&stop), limits.deadline);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(error.to_string()))?;
    let prepared = Prepared::new(&compiler, parts, &output, &limits, &stop);
    Ok(runtime.block_on(prepared)?.members)
}

fn to_object(member: &Member, border: &Border, others: &[Member]) -> serde_json::Value {
    let Member { part, about } = member;
    let roles: Vec<_> = part.roles.iter().map(|role| role.name()).collect();
    let parameters = |about: &About| {
        let parameters = about.parameters.iter().map(
            |parameter| json!({ "name": parameter.name, "default": to_json(&parameter.default), "summary": parameter.summary }),
        );
        parameters.collect::<Vec<_>>()
    };
    let datasets = about.datasets.iter().map(
        |dataset| json!({ "name": dataset.name, "required": dataset.required, "summary": dataset.summary }),
    );
    let others = others.iter().map(|Member { part, about }| {
        json!({
            "role": part.role_names(),
            "name": about.name,
            "version": about.version,
            "digest": part.digest(),
            "parameters": parameters(about),
        })
    });
    json!({
        "name": about.name,
        "version": about.version,
        "summary": about.summary,
        "roles": roles,
        "digest": part.digest(),
        "imports": border.imports,
        "exports": border.exports,
        "parameters": parameters(about),
        "datasets": datasets.collect::<Vec<_>>(),
        "composed_with": others.collect::<Vec<_>>(),
    })
}

fn print(member: &Member, border: &Border, others: &[Member]) {
    let head = |text: &str| println!("{}", console::style(text).bold());
    let list = |name: &str, items: &[String]| {
        head(name);
        for item in items {
            println!("  {item}");
        }
    };
    let Member { part, about } = member;
    head(&format!("{} {}", about.name, about.version));
    println!("  {}", about.summary);
    let roles: Vec<_> = part.roles.iter().map(|role| role.name()).collect();
    println!("  {}, {}", roles.join(" + "), part.digest());
    if !about.parameters.is_empty() {
        head("parameters (-p name=value)");
    }
    for parameter in &about.parameters {
        println!("  {}", line(parameter));
    }
    if !about.datasets.is_empty() {
        head("datasets (--dataset name=file)");
    }
    for dataset in &about.datasets {
        let need = if dataset.required { "required" } else { "optional" };
        println!("  {} ({need})  {}", dataset.name, dataset.summary);
    }
    if !others.is_empty() {
        head("composed with");
    }
    for Member { part, about } in others {
        println!("  {}: {} {}", part.role_names(), about.name, about.version);
        for parameter in &about.parameters {
            println!("    {}", line(parameter));
        }
    }
    list("imports", &border.imports);
    list("exports", &border.exports);
}

fn line(Parameter { name, summary, default }: &Parameter) -> String {
    format!("{name} = {}  {summary}", shown(default))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
    }
}

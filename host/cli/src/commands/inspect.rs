//! `llem inspect`: what a component is.

use super::{
    compiled_cache,
    output::{print, print_json},
    read_component,
};
use crate::{
    untrusted::{cell, line},
    watch::Console,
};
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
    value,
};
use serde_json::json;
use std::{
    io::{self, Write},
    sync::Arc,
};

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
            match self.json {
                true => print_json(&to_object(&member, &border, &others).to_string())?,
                false => print(|out| tell(&member, &border, &others, out))?,
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
            |parameter| json!({ "name": parameter.name, "default": value::Value::from(parameter.default.clone()).to_json(), "summary": parameter.summary }),
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

fn tell(
    member: &Member,
    border: &Border,
    others: &[Member],
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = |text: &str| console::style(line(text)).bold();
    let Member { part, about } = member;
    writeln!(out, "{}", head(&format!("{} {}", about.name, about.version)))?;
    let roles: Vec<_> = part.roles.iter().map(|role| role.name()).collect();
    writeln!(out, "  {}\n  {}, {}", line(&about.summary), roles.join(" + "), part.digest())?;
    let datasets = about.datasets.iter().map(|dataset| {
        let need = if dataset.required { "required" } else { "optional" };
        format!("{} ({need})  {}", cell(&dataset.name), dataset.summary)
    });
    let others = others.iter().flat_map(|Member { part, about }| {
        let name = format!("{}: {} {}", part.role_names(), about.name, about.version);
        let parameters = about.parameters.iter().map(|one| format!("  {}", described(one)));
        std::iter::once(name).chain(parameters)
    });
    for (name, items) in [
        ("parameters (-p name=value)", about.parameters.iter().map(described).collect::<Vec<_>>()),
        ("datasets (--dataset name=file)", datasets.collect()),
        ("composed with", others.collect()),
        ("imports", border.imports.clone()),
        ("exports", border.exports.clone()),
    ] {
        if !items.is_empty() {
            writeln!(out, "{}", head(name))?;
        }
        for item in items {
            writeln!(out, "  {}", line(&item))?;
        }
    }
    Ok(())
}

fn described(Parameter { name, summary, default }: &Parameter) -> String {
    let default = match default {
        Value::Text(text) => format!("\"{text}\""),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
    };
    format!("{} = {}  {summary}", cell(name), cell(&default))
}

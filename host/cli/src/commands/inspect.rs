//! The command `llem inspect`: what a component is.

use super::{
    compiled_cache,
    output::{print, print_json},
    read_component,
};
use crate::{
    untrusted::{cell, line},
    watch::Console,
};
use llem_runtime::{
    About, ComponentInterface, DescribedComponent, Error, InputValue, Parameter, Script,
    encode_component, inspect,
};
use serde_json::json;
use std::io::{self, Write};

/// Show what a component is: exports, imports, parameters, digest; and what a policy is composed with.
#[derive(clap::Args)]
pub(crate) struct InspectArgs {
    /// A component, its source code, or `quickstart`
    component: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InspectArgs {
    /// Describes the component and prints it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let components = describe(read_component(&self.component, None)?)?;
        let (given, others): (Vec<_>, Vec<_>) =
            components.into_iter().partition(|component| !component.component.is_shipped);
        for member in given {
            let interface = ComponentInterface::new(
                &self.component,
                &encode_component(&self.component, &member.component.bytes)?,
            )?;
            match self.json {
                true => print_json(&to_object(&member, &interface, &others).to_string())?,
                false => print(|out| print_component(&member, &interface, &others, out))?,
            }
        }
        Ok(())
    }
}

/// Describes a component, and the components that it would be composed with. Nothing is granted.
fn describe(script: Script) -> Result<Vec<DescribedComponent>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(error.to_string()))?;
    let cache = compiled_cache();
    runtime.block_on(inspect(script, cache.as_deref(), Box::new(Console::new())))
}

fn to_object(
    member: &DescribedComponent,
    interface: &ComponentInterface,
    others: &[DescribedComponent],
) -> serde_json::Value {
    let DescribedComponent { component: part, about } = member;
    let roles: Vec<_> = part.roles.iter().map(|role| role.name()).collect();
    let parameters = |about: &About| {
        let parameters = about.parameters.iter().map(
            |parameter| json!({ "name": parameter.name, "default": InputValue::from(parameter.default.clone()).to_json(), "summary": parameter.summary }),
        );
        parameters.collect::<Vec<_>>()
    };
    let datasets = about.datasets.iter().map(
        |dataset| json!({ "name": dataset.name, "required": dataset.required, "summary": dataset.summary }),
    );
    let others = others.iter().map(|DescribedComponent { component: part, about }| {
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
        "imports": interface.imports,
        "exports": interface.exports,
        "parameters": parameters(about),
        "datasets": datasets.collect::<Vec<_>>(),
        "composed_with": others.collect::<Vec<_>>(),
    })
}

fn print_component(
    member: &DescribedComponent,
    interface: &ComponentInterface,
    others: &[DescribedComponent],
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = |text: &str| console::style(line(text)).bold();
    let DescribedComponent { component: part, about } = member;
    writeln!(out, "{}", head(&format!("{} {}", about.name, about.version)))?;
    let roles: Vec<_> = part.roles.iter().map(|role| role.name()).collect();
    writeln!(out, "  {}\n  {}, {}", line(&about.summary), roles.join(" + "), part.digest())?;
    let datasets = about.datasets.iter().map(|dataset| {
        let need = if dataset.required { "required" } else { "optional" };
        format!("{} ({need})  {}", cell(&dataset.name), dataset.summary)
    });
    let others = others.iter().flat_map(|DescribedComponent { component: part, about }| {
        let name = format!("{}: {} {}", part.role_names(), about.name, about.version);
        let parameters = about.parameters.iter().map(|one| format!("  {}", described(one)));
        std::iter::once(name).chain(parameters)
    });
    for (name, items) in [
        ("parameters (-p name=value)", about.parameters.iter().map(described).collect::<Vec<_>>()),
        ("datasets (--dataset name=file)", datasets.collect()),
        ("composed with", others.collect()),
        ("imports", interface.imports.clone()),
        ("exports", interface.exports.clone()),
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
    let default = match InputValue::from(default.clone()) {
        InputValue::Text(text) => format!("\"{text}\""),
        InputValue::Integer(integer) => integer.to_string(),
        InputValue::Number(number) => number.to_string(),
        InputValue::Boolean(boolean) => boolean.to_string(),
    };
    format!("{} = {}  {summary}", cell(name), cell(&default))
}

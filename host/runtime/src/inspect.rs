//! What is going to run, before anything of it does: compiled, its imports checked, and what it says of itself.

use crate::{
    Error, Limits, Result, Stop,
    about::{self, About},
    component::{Compiler, last},
    compose::{self, Part, Role},
    describe::{self, Described},
    host,
    output::Output,
    package::{self, PACKAGE},
    state::State,
};
use llem_record::Event;
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// A part of a run with what it says of itself.
pub struct Member {
    /// Its file and its roles.
    pub part: Part,
    /// What it says of itself, its policies' words merged.
    pub about: About,
}

/// What is ready to run: an experiment, or policies composed with the runner.
pub struct Prepared {
    /// What was given, for messages.
    pub file: String,
    /// What the whole says of itself.
    pub about: About,
    /// Who takes part: an experiment alone, or policies and the runner.
    pub members: Vec<Member>,
    /// The whole, with its imports resolved.
    pub linked: InstancePre<State>,
}

impl Prepared {
    /// Compiles and links what `parts` are together, and asks it what it is. Nothing is granted.
    pub async fn new(
        compiler: &Compiler,
        parts: Vec<Part>,
        output: &Arc<Output>,
        limits: &Limits,
        stop: &Arc<Stop>,
    ) -> Result<Self> {
        let (file, parts) = (compose::name(&parts), Arc::new(parts));
        let compiling = || {
            let message = format!("compiling {file} (kept for the next run)");
            output.observer().event(&Event::Log { level: "info".to_owned(), message });
        };
        let component = compiler.load(&parts, stop, compiling).await?;
        let engine = compiler.engine();
        let linker = host::linker(engine).map_err(|error| {
            Error::Failed(format!("the host's own interfaces do not link: {error}"))
        })?;
        let linked =
            linker.instantiate_pre(&component).map_err(|error| refuse_import(&file, &error))?;
        let is_composed = compose::is_composed(&parts);
        let described =
            describe::describe(&file, &component, engine, is_composed, output, limits, stop)
                .await?;
        let members = members(&parts, &described)?;
        let about = described.about;
        about::check(&file, &about)?;
        Ok(Self { file, about, members, linked })
    }

    /// Whether it is policies with the runner.
    pub fn is_composed(&self) -> bool {
        self.members.len() > 1
    }

    /// What was given, by its own names.
    pub fn name(&self) -> String {
        let given = self.members.iter().filter(|member| !member.part.is_shipped);
        given.map(|member| member.about.name.as_str()).collect::<Vec<_>>().join("-")
    }
}

/// The parts with what each says of itself.
fn members(parts: &[Part], described: &Described) -> Result<Vec<Member>> {
    let policies = Role::POLICIES.into_iter().zip(&described.policies);
    let of_part = |part: &Part| {
        let own = policies.clone().filter(|(role, _)| part.roles.contains(role));
        own.map(|(_, about)| about).collect::<Vec<_>>()
    };
    let mut members = Vec::with_capacity(parts.len());
    for part in parts {
        let abouts = of_part(part);
        abouts.iter().try_for_each(|about| about::check(&part.file, about))?;
        let about = match &abouts[..] {
            [] => without(&described.about, &described.policies),
            [first, more @ ..] => merged(first, more),
        };
        members.push(Member { part: part.clone(), about });
    }
    let called = policies.clone().filter_map(|(role, about)| {
        let part = parts.iter().find(|part| part.roles.contains(&role))?;
        let called = format!("the {} policy {} ({})", role.name(), about.name, part.file);
        Some((called, about))
    });
    about::check_agreement(&described.about, &called.collect::<Vec<_>>())?;
    Ok(members)
}

/// What the whole says of itself without what it has from its policies.
fn without(whole: &About, policies: &[About]) -> About {
    let mut own = whole.clone();
    for policy in policies {
        own.parameters.retain(|one| policy.parameters.iter().all(|other| other.name != one.name));
        own.datasets.retain(|one| policy.datasets.iter().all(|other| other.name != one.name));
    }
    own
}

/// What a component says of itself in all its roles, the first of which names it.
fn merged(first: &About, more: &[&About]) -> About {
    let mut all = first.clone();
    for about in more {
        let new = without(about, std::slice::from_ref(&all));
        all.parameters.extend(new.parameters);
        all.datasets.extend(new.datasets);
    }
    all
}

/// wasmtime names the import in backquotes, in a sentence about its linker; people want the name.
fn refuse_import(file: &str, error: &wasmtime::Error) -> Error {
    let outer = error.to_string();
    let name = outer.split('`').nth(1).unwrap_or(&outer).to_owned();
    if name.starts_with(PACKAGE) || name.starts_with("wasi:") {
        let cause = last(error);
        return Error::Input(format!(
            "{file} imports {name} in a form that llem does not provide: {cause}"
        ));
    }
    Error::Input(format!(
        "{file} imports {name}, which llem does not provide; scripts get {PACKAGE}*@{} and an empty \
         WASI 0.2 world",
        package::version()
    ))
}

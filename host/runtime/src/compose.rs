//! What is run: an experiment by itself, or policies composed with the runner that ships with llem.
//!
//! ```text
//! --workload prompts.wasm ──┐
//! count + usual (shipped) ──┤ by role
//! runner (shipped) ─────────┴──► one component with describe and run, which is run like any experiment
//! ```

use crate::{
    Error, Result,
    border::Border,
    encode::{self, without_panic},
    package,
    sha256::sha256,
};
use std::{borrow::Cow, iter, panic::AssertUnwindSafe};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};

const RUNNER: &[u8] = include_bytes!("../../../guest-sdk/runner/runner.wasm");
const DEFAULTS: &[u8] = include_bytes!("../../../guest-sdk/defaults/defaults.wasm");

/// What a component takes part in a run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It drives everything.
    Experiment,
    /// It drives the policies.
    Runner,
    /// It decides how to warm up.
    Warmup,
    /// It decides what to ask.
    Workload,
    /// It derives metrics.
    Metrics,
}

impl Role {
    /// The policies, in the order in which the runner names them.
    pub const POLICIES: [Self; 3] = [Self::Warmup, Self::Workload, Self::Metrics];

    /// The world's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Runner => "runner",
            Self::Warmup => "warmup",
            Self::Workload => "workload",
            Self::Metrics => "metrics",
        }
    }

    /// The interface whose export tells it.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Experiment => "script",
            Self::Runner => "policies",
            Self::Warmup => "warmup-policy",
            Self::Workload => "workload-policy",
            Self::Metrics => "metrics-policy",
        }
    }
}

/// A component as it was given.
pub struct Script {
    /// Where it is from, for messages and the record.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it was given as; none means whatever it can be.
    pub role: Option<Role>,
}

/// A component that takes part in a run.
#[derive(Clone)]
pub struct Part {
    /// What it is run as; never empty.
    pub roles: Vec<Role>,
    /// The file as it was given, or the name of one that ships with llem.
    pub file: String,
    /// Its bytes: a component, or a core module.
    pub bytes: Cow<'static, [u8]>,
    /// Whether it takes part without having been given.
    pub is_shipped: bool,
}

impl Part {
    fn shipped(roles: Vec<Role>, file: &str, bytes: &'static [u8]) -> Self {
        Self { roles, file: file.to_owned(), bytes: bytes.into(), is_shipped: true }
    }

    fn is_runner(&self) -> bool {
        self.roles == [Role::Runner]
    }

    /// Its roles' names, joined by `+`.
    pub fn role_names(&self) -> String {
        self.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join("+")
    }

    /// `sha256:` and the digest of its bytes.
    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }
}

/// What is given, for messages: the files.
pub fn name(parts: &[Part]) -> String {
    let given = parts.iter().filter(|part| !part.is_shipped);
    given.map(|part| part.file.as_str()).collect::<Vec<_>>().join(" + ")
}

/// Whether they are policies with the runner.
pub fn is_composed(parts: &[Part]) -> bool {
    parts.iter().any(Part::is_runner)
}

/// The parts of a run: one experiment, or the policies that were given, the runner, and shipped policies for the rest.
pub fn parts(scripts: Vec<Script>) -> Result<Vec<Part>> {
    let is_alone = scripts.len() == 1;
    let mut parts: Vec<Part> = Vec::with_capacity(scripts.len() + 2);
    for Script { file, bytes, role } in scripts {
        let roles = roles(&file, &bytes, role)?;
        let part = Part { roles, file, bytes: bytes.into(), is_shipped: false };
        match part.roles[..] {
            [Role::Experiment] if is_alone => return Ok(vec![part]),
            [Role::Experiment] => {
                return Err(Error::Input(format!(
                    "{} is an experiment, which drives everything itself: give it alone",
                    part.file
                )));
            }
            // A file is instantiated once, for all that it is given for.
            _ => match parts.iter_mut().find(|known| known.file == part.file) {
                Some(known) => {
                    known.roles.extend(part.roles);
                    known.roles.sort_unstable();
                    known.roles.dedup();
                }
                None => parts.push(part),
            },
        }
    }
    let mut missing = Vec::new();
    for role in Role::POLICIES {
        let mut of_role = parts.iter().filter(|part| part.roles.contains(&role));
        match (of_role.next(), of_role.next()) {
            (None, _) => missing.push(role),
            (Some(_), None) => {}
            (Some(one), Some(other)) => {
                let (one, other, name) = (&one.file, &other.file, role.name());
                return Err(Error::Input(format!(
                    "{one} and {other} both export a {name} policy: choose one with --{name} FILE"
                )));
            }
        }
    }
    parts.push(Part::shipped(vec![Role::Runner], "runner", RUNNER));
    if !missing.is_empty() {
        parts.push(Part::shipped(missing, "defaults", DEFAULTS));
    }
    Ok(parts)
}

/// What a component is run as: what it was given as, or else all that it can be.
fn roles(file: &str, bytes: &[u8], given: Option<Role>) -> Result<Vec<Role>> {
    let border = Border::new(file, bytes)?;
    package::refuse_other(file, border.imports.iter().chain(&border.exports))?;
    let has = |role: &Role| border.exported(role.interface()).is_some();
    match given {
        Some(role) if has(&role) => Ok(vec![role]),
        Some(role) => {
            let name = role.name();
            Err(Error::Input(format!(
                "{file} was given as --{name}, but exports no {name} policy: give one that does"
            )))
        }
        None if has(&Role::Experiment) => Ok(vec![Role::Experiment]),
        None => {
            let roles: Vec<Role> = Role::POLICIES.into_iter().filter(has).collect();
            if roles.is_empty() {
                let exports = match &border.exports[..] {
                    [] => "nothing".to_owned(),
                    exports => exports.join(", "),
                };
                let wanted = [Role::Experiment].into_iter().chain(Role::POLICIES);
                let wanted: Vec<_> = wanted.map(|role| package::named(role.interface())).collect();
                return Err(Error::Input(format!(
                    "{file} is a component for another world: it exports {exports}, and none of {}",
                    wanted.join(", ")
                )));
            }
            Ok(roles)
        }
    }
}

/// One component of all parts.
pub fn encode(parts: &[Part]) -> Result<Cow<'_, [u8]>> {
    if let [part] = parts {
        return encode::encode(&part.file, &part.bytes);
    }
    let composed = without_panic(AssertUnwindSafe(|| compose(parts)));
    let refuse = || Error::Input(unfit(&name(parts), "their types cannot be read"));
    composed.ok_or_else(refuse)?.map(Into::into)
}

/// Plugs the policies into the runner's imports. What else they import is imported by the whole.
fn compose(parts: &[Part]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let (runner, policies): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_runner());
    let [runner] = runner[..] else {
        return Err(Error::Input(unfit(&name(parts), "it is missing")));
    };
    let (whole, own) = instantiate(&mut graph, runner)?;
    for part in policies {
        let (policy, border) = instantiate(&mut graph, part)?;
        for role in &part.roles {
            // Either may be of an earlier version than the other.
            let [wanted, offered] =
                [own.imported(role.interface()), border.exported(role.interface())];
            let (Some(wanted), Some(offered)) = (wanted, offered) else {
                return Err(Error::Input(unfit(&part.file, "it is no such policy")));
            };
            let export = graph.alias_instance_export(policy, offered);
            let export = export.map_err(|error| refuse(&part.file, &error))?;
            let plugged = graph.set_instantiation_argument(whole, wanted, export);
            plugged.map_err(|error| refuse(&part.file, &error))?;
        }
    }
    for role in [Role::Experiment, Role::Runner] {
        let Some(name) = own.exported(role.interface()) else {
            return Err(Error::Input(unfit(&runner.file, "it is no runner")));
        };
        let interface = graph.alias_instance_export(whole, name);
        let interface = interface.map_err(|error| refuse(&runner.file, &error))?;
        graph.export(interface, name).map_err(|error| refuse(&runner.file, &error))?;
    }
    graph.encode(EncodeOptions::default()).map_err(|error| refuse(&name(parts), &error))
}

/// An instance of a part within the whole, and the names at its border.
fn instantiate(graph: &mut CompositionGraph, part: &Part) -> Result<(NodeId, Border)> {
    let component = encode::encode(&part.file, &part.bytes)?.into_owned();
    let border = Border::new(&part.file, &component)?;
    // Packages are told apart by name; one part is there once.
    let name = format!("llem:{}", part.role_names().replace('+', "-"));
    let package = Package::from_bytes(&name, None, component, graph.types_mut());
    let package = package.map_err(|error| {
        Error::Input(format!("{} is not a valid component: {error:#}", part.file))
    })?;
    let package = graph.register_package(package).map_err(|error| refuse(&part.file, &error))?;
    Ok((graph.instantiate(package), border))
}

fn refuse(file: &str, error: &dyn std::error::Error) -> Error {
    let causes = iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(|error| error.to_string().replace('\n', " ")).collect();
    Error::Input(unfit(file, &causes.join(": ")))
}

fn unfit(file: &str, reason: &str) -> String {
    format!("{file} does not fit the runner of this llem: {reason}; build it against its wit/")
}

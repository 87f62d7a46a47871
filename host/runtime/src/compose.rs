//! Chooses and composes what is run: an experiment alone, or policies with the runner that ships with llem.
//!
//! ```text
//! --workload prompts.wasm ──┐
//! count + usual (shipped) ──┤ by role
//! runner (shipped) ─────────┴──► one component with describe and run, which is run like any experiment
//! ```

use crate::{
    Error, Result,
    component_interface::ComponentInterface,
    encode::{self, without_panic},
    package,
    sha256::sha256,
};
use llem_record::ComponentSource;
use std::{borrow::Cow, collections::BTreeMap, iter, panic::AssertUnwindSafe};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};

const RUNNER: &[u8] = include_bytes!("../../../guest-sdk/runner/runner.wasm");
const DEFAULTS: &[u8] = include_bytes!("../../../guest-sdk/defaults/defaults.wasm");
/// What the record calls the runner.
const RUNNER_NAME: &str = "runner";
/// What the record calls the shipped policies.
const DEFAULTS_NAME: &str = "defaults";

/// The role of a component in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentRole {
    /// It drives the whole run.
    Experiment,
    /// It drives the policies.
    Runner,
    /// It decides how to warm up.
    Warmup,
    /// It decides which requests to send.
    Workload,
    /// It derives metrics from the results.
    Metrics,
}

impl ComponentRole {
    /// The policy roles, in the order in which the runner names them.
    pub const POLICIES: [Self; 3] = [Self::Warmup, Self::Workload, Self::Metrics];

    /// The name of the role's WIT world.
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Runner => "runner",
            Self::Warmup => "warmup",
            Self::Workload => "workload",
            Self::Metrics => "metrics",
        }
    }

    /// The interface that a component of this role exports.
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

/// A component as the user gave it.
#[derive(Clone)]
pub struct Script {
    /// The file name, for messages and the record.
    pub file: String,
    /// The bytes of a component, or of a core module with a component type.
    pub bytes: Vec<u8>,
    /// The role that it was given for. `None` means every role that it exports.
    pub role: Option<ComponentRole>,
    /// What the bytes were built from, if `file` is source code.
    pub source: Option<ComponentSource>,
}

/// A component that takes part in a run.
#[derive(Clone)]
pub struct RunComponent {
    /// The roles that it has in the run. The list is never empty.
    pub roles: Vec<ComponentRole>,
    /// The file as it was given, or the name of a component that ships with llem.
    pub file: String,
    /// The bytes of a component or of a core module.
    pub bytes: Cow<'static, [u8]>,
    /// Whether the component ships with llem and was not given by the user.
    pub is_shipped: bool,
    /// What the bytes were built from, if `file` is source code.
    pub source: Option<ComponentSource>,
}

/// Bytes that take the place of components that ship with llem, by name: `runner`, `defaults`. A replay has those of the llem
/// that made the record.
pub(crate) type ShippedComponents = BTreeMap<String, Vec<u8>>;

impl RunComponent {
    /// Creates a component that ships with llem, with other bytes if `replaced` has them.
    fn shipped(
        roles: Vec<ComponentRole>,
        file: &str,
        bytes: &'static [u8],
        replaced: &ShippedComponents,
    ) -> Self {
        let bytes = replaced.get(file).map_or(bytes.into(), |bytes| bytes.clone().into());
        Self { roles, file: file.to_owned(), bytes, is_shipped: true, source: None }
    }

    fn is_runner(&self) -> bool {
        self.roles == [ComponentRole::Runner]
    }

    /// The names of the roles, joined by `+`.
    pub fn role_names(&self) -> String {
        self.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join("+")
    }

    /// The SHA-256 digest of the bytes, as `sha256:` and hexadecimal digits.
    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }
}

/// Returns the bytes of a component that ships with llem and joins the policies of a run, by its name in the record. Returns
/// `None` if there is no such component.
pub fn shipped_component(file: &str) -> Option<&'static [u8]> {
    [(RUNNER_NAME, RUNNER), (DEFAULTS_NAME, DEFAULTS)]
        .into_iter()
        .find_map(|(name, bytes)| (name == file).then_some(bytes))
}

/// The files that the user gave, joined by ` + `, for messages.
pub(crate) fn given_files(parts: &[RunComponent]) -> String {
    let given = parts.iter().filter(|part| !part.is_shipped);
    given.map(|part| part.file.as_str()).collect::<Vec<_>>().join(" + ")
}

/// Returns true if the parts are policies that are composed with the runner.
pub(crate) fn is_composed(parts: &[RunComponent]) -> bool {
    parts.iter().any(RunComponent::is_runner)
}

/// Returns the components of a run: one experiment, or the given policies, the runner, and shipped policies for the
/// other roles. `replaced` has bytes that take the place of shipped ones.
pub(crate) fn resolve_parts(
    scripts: Vec<Script>,
    replaced: &ShippedComponents,
) -> Result<Vec<RunComponent>> {
    let is_alone = scripts.len() == 1;
    let mut parts: Vec<RunComponent> = Vec::with_capacity(scripts.len() + 2);
    for Script { file, bytes, role, source } in scripts {
        let roles = find_roles(&file, &bytes, role)?;
        let part = RunComponent { roles, file, bytes: bytes.into(), is_shipped: false, source };
        match part.roles[..] {
            [ComponentRole::Experiment] if is_alone => return Ok(vec![part]),
            [ComponentRole::Experiment] => {
                return Err(Error::Input(format!(
                    "{} is an experiment, which drives everything itself: give it alone",
                    part.file
                )));
            }
            // A file is instantiated once, even if it is given for several roles.
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
    for role in ComponentRole::POLICIES {
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
    parts.push(RunComponent::shipped(vec![ComponentRole::Runner], RUNNER_NAME, RUNNER, replaced));
    if !missing.is_empty() {
        parts.push(RunComponent::shipped(missing, DEFAULTS_NAME, DEFAULTS, replaced));
    }
    Ok(parts)
}

/// The roles of a component: the one that it was given for, or all that it exports.
fn find_roles(
    file: &str,
    bytes: &[u8],
    given: Option<ComponentRole>,
) -> Result<Vec<ComponentRole>> {
    encode::require_component_type(file, bytes)?;
    let interface = ComponentInterface::new(file, bytes)?;
    package::refuse_incompatible(file, interface.imports.iter().chain(&interface.exports))?;
    let has = |role: &ComponentRole| interface.exported(role.interface()).is_some();
    match given {
        Some(role) if has(&role) => Ok(vec![role]),
        Some(role) => {
            let name = role.name();
            Err(Error::Input(format!(
                "{file} was given as --{name}, but exports no {name} policy: give one that does"
            )))
        }
        None if has(&ComponentRole::Experiment) => Ok(vec![ComponentRole::Experiment]),
        None => {
            let roles: Vec<ComponentRole> =
                ComponentRole::POLICIES.into_iter().filter(has).collect();
            if roles.is_empty() {
                let exports = match &interface.exports[..] {
                    [] => "nothing".to_owned(),
                    exports => exports.join(", "),
                };
                let wanted = [ComponentRole::Experiment].into_iter().chain(ComponentRole::POLICIES);
                let wanted: Vec<_> =
                    wanted.map(|role| package::full_name(role.interface())).collect();
                let is_what = match encode::is_core_module(bytes) {
                    true => "core module",
                    false => "component",
                };
                return Err(Error::Input(format!(
                    "{file} is a {is_what} for another world: it exports {exports}, and none of {}; `llem new` makes a project that does",
                    wanted.join(", ")
                )));
            }
            Ok(roles)
        }
    }
}

/// Encodes all parts as one component.
pub(crate) fn encode(parts: &[RunComponent]) -> Result<Cow<'_, [u8]>> {
    if let [part] = parts {
        return encode::encode_component(&part.file, &part.bytes);
    }
    let composed = without_panic(AssertUnwindSafe(|| compose(parts)));
    let refuse = || Error::Input(unfit(&given_files(parts), "their types cannot be read"));
    composed.ok_or_else(refuse)?.map(Into::into)
}

/// Connects the policies to the runner's imports. All other imports of a policy become imports of the result.
fn compose(parts: &[RunComponent]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let (runner, policies): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_runner());
    let [runner] = runner[..] else {
        return Err(Error::Input(unfit(&given_files(parts), "it is missing")));
    };
    let (whole, own) = instantiate(&mut graph, runner)?;
    for part in policies {
        let (policy, interface) = instantiate(&mut graph, part)?;
        for role in &part.roles {
            // The runner or the policy may have been built for an earlier version of the package.
            let [wanted, offered] =
                [own.imported(role.interface()), interface.exported(role.interface())];
            let (Some(wanted), Some(offered)) = (wanted, offered) else {
                return Err(Error::Input(unfit(&part.file, "it is no such policy")));
            };
            let export = graph.alias_instance_export(policy, offered);
            let export = export.map_err(|error| refuse(&part.file, &error))?;
            let plugged = graph.set_instantiation_argument(whole, wanted, export);
            plugged.map_err(|error| refuse(&part.file, &error))?;
        }
    }
    for role in [ComponentRole::Experiment, ComponentRole::Runner] {
        let Some(name) = own.exported(role.interface()) else {
            return Err(Error::Input(unfit(&runner.file, "it is no runner")));
        };
        let interface = graph.alias_instance_export(whole, name);
        let interface = interface.map_err(|error| refuse(&runner.file, &error))?;
        graph.export(interface, name).map_err(|error| refuse(&runner.file, &error))?;
    }
    graph.encode(EncodeOptions::default()).map_err(|error| refuse(&given_files(parts), &error))
}

/// Instantiates a part in the graph, and returns its node with its imports and exports.
fn instantiate(
    graph: &mut CompositionGraph,
    part: &RunComponent,
) -> Result<(NodeId, ComponentInterface)> {
    let component = encode::encode_component(&part.file, &part.bytes)?.into_owned();
    let interface = ComponentInterface::new(&part.file, &component)?;
    // The graph tells packages apart by name, and each part is registered once.
    let name = format!("llem:{}", part.role_names().replace('+', "-"));
    let package = Package::from_bytes(&name, None, component, graph.types_mut());
    let package = package.map_err(|error| {
        Error::Input(format!("{} is not a valid component: {error:#}", part.file))
    })?;
    let package = graph.register_package(package).map_err(|error| refuse(&part.file, &error))?;
    Ok((graph.instantiate(package), interface))
}

fn refuse(file: &str, error: &dyn std::error::Error) -> Error {
    let causes = iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(|error| error.to_string().replace('\n', " ")).collect();
    Error::Input(unfit(file, &causes.join(": ")))
}

fn unfit(file: &str, reason: &str) -> String {
    format!("{file} does not fit the runner of this llem: {reason}; build it against its wit/")
}

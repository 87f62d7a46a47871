//! What a component is: its imports and exports, and what it says of itself.

use crate::{
    Error, Result,
    bindings::{
        description::{About, Clocks},
        experiment::Experiment,
        metrics::Metrics,
        warmup::Warmup,
        workload::Workload,
    },
    component::{Loaded, last},
    error::{Halt, explain},
    run::Run,
    state::State,
};
use std::{sync::Arc, time::Duration};
use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Instance, Linker, types::ComponentItem},
};

/// A component has this long to start and to say what it is, which takes a moment even in interpreted languages.
const PATIENCE: Duration = Duration::from_secs(10);

/// The WIT package's version, as import and export names spell it.
const VERSION: &str = "@0.1.0";
const PACKAGE: &str = "llem:experiment/";

/// What a component can be run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It drives everything.
    Experiment,
    /// It decides how to warm up.
    Warmup,
    /// It decides what to ask.
    Workload,
    /// It derives metrics.
    Metrics,
}

impl Role {
    const ALL: [Self; 4] = [Self::Experiment, Self::Warmup, Self::Workload, Self::Metrics];

    /// The world's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Warmup => "warmup",
            Self::Workload => "workload",
            Self::Metrics => "metrics",
        }
    }

    /// The export that tells it.
    fn export(self) -> String {
        match self {
            Self::Experiment => "run".to_owned(),
            policy => format!("{PACKAGE}{}-policy{VERSION}", policy.name()),
        }
    }
}

/// The names at a component's border.
#[derive(Clone, Debug)]
pub struct Border {
    /// What it needs.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// What it can be run as.
    pub roles: Vec<Role>,
}

/// Reads a component's border without running anything of it.
fn border(loaded: &Loaded, engine: &Engine) -> Border {
    let component = loaded.component.component_type();
    // A type import is not a capability.
    let imports = component
        .imports(engine)
        .filter(|(_, item)| {
            matches!(item.ty, ComponentItem::ComponentInstance(_) | ComponentItem::ComponentFunc(_))
        })
        .map(|(name, _)| name.to_owned());
    let exports: Vec<String> = component.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let roles = Role::ALL.into_iter().filter(|role| exports.contains(&role.export())).collect();
    Border { imports: imports.collect(), exports, roles }
}

/// A component at work: its store and what it can be run as.
pub struct Member {
    /// The file, for messages.
    pub file: String,
    /// Digest of the file.
    pub digest: String,
    /// Its names at the border.
    pub border: Border,
    /// What it is run as; never empty.
    pub roles: Vec<Role>,
    /// What it says of itself, its policies' words merged.
    pub about: About,
    /// Its memory and host state.
    pub store: Store<State>,
    /// It.
    pub instance: Instance,
}

impl Member {
    /// Links, instantiates and asks a component what it is.
    pub async fn start(linker: &Linker<State>, loaded: Loaded, state: State) -> Result<Self> {
        let engine = linker.engine().clone();
        let border = border(&loaded, &engine);
        if border.roles.is_empty() {
            let exports = if border.exports.is_empty() {
                "nothing".to_owned()
            } else {
                border.exports.join(", ")
            };
            return Err(Error::Input(format!(
                "{} is a component for another world: it exports {exports}, and none of run, {}",
                loaded.file,
                Role::ALL[1..].iter().map(|role| role.export()).collect::<Vec<_>>().join(", ")
            )));
        }
        let linked = linker
            .instantiate_pre(&loaded.component)
            .map_err(|error| refuse_import(&loaded.file, &error))?;
        let mut store = Store::new(&engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(store.data().run.settings.limits.call);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            store.data().run.check_stop()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let roles = border.roles.clone();
        let run = Arc::clone(&store.data().run);
        let asked = async {
            let instance = linked
                .instantiate_async(&mut store)
                .await
                .map_err(|error| explain(&loaded.file, &error))?;
            let about = describe(&loaded.file, &mut store, &instance, &roles).await?;
            Ok((instance, about))
        };
        let (instance, about) = in_time(&loaded.file, &run, asked).await?;
        store.data().wasi_clock.follow_host(about.clocks == Clocks::Monotonic);
        Ok(Self { file: loaded.file, digest: loaded.digest, border, roles, about, store, instance })
    }

    /// Its roles' names, joined by `+`.
    pub fn role_names(&self) -> String {
        self.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join("+")
    }
}

/// What a component answers before it runs, unless that takes too long or the run is to end.
async fn in_time<T>(file: &str, run: &Run, asked: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        answer = asked => answer,
        _ = tokio::time::sleep(PATIENCE) => Err(Error::Input(format!(
            "{file} has not said what it is within {} s: describe must only do that; wait and compute in run",
            PATIENCE.as_secs()
        ))),
        reason = run.stop.requested() => Err(explain(file, &Halt::Stopped(reason).trap())),
    }
}

async fn describe(
    file: &str,
    store: &mut Store<State>,
    instance: &Instance,
    roles: &[Role],
) -> Result<About> {
    let mut merged: Option<About> = None;
    for role in roles {
        let about =
            describe_as(*role, store, instance).await.map_err(|error| explain(file, &error))?;
        match &mut merged {
            None => merged = Some(about),
            Some(merged) => {
                add_new(&mut merged.parameters, about.parameters, |parameter| &parameter.name);
                add_new(&mut merged.datasets, about.datasets, |dataset| &dataset.name);
            }
        }
    }
    merged.ok_or_else(|| Error::Input(format!("{file} has no role")))
}

/// Adds those items of `more` whose names are not among `known`.
fn add_new<T>(known: &mut Vec<T>, more: Vec<T>, name: impl Fn(&T) -> &String) {
    for item in more {
        if !known.iter().any(|known| name(known) == name(&item)) {
            known.push(item);
        }
    }
}

async fn describe_as(
    role: Role,
    store: &mut Store<State>,
    instance: &Instance,
) -> wasmtime::Result<About> {
    match role {
        Role::Experiment => Experiment::new(&mut *store, instance)?.call_describe(store).await,
        Role::Warmup => {
            let policy = Warmup::new(&mut *store, instance)?;
            policy.llem_experiment_warmup_policy().call_describe(store).await
        }
        Role::Workload => {
            let policy = Workload::new(&mut *store, instance)?;
            policy.llem_experiment_workload_policy().call_describe(store).await
        }
        Role::Metrics => {
            let policy = Metrics::new(&mut *store, instance)?;
            policy.llem_experiment_metrics_policy().call_describe(store).await
        }
    }
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
        "{file} imports {name}, which llem does not provide; scripts get {PACKAGE}*{VERSION} and an empty \
         WASI 0.2 world"
    ))
}

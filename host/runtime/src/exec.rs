//! One run, from components to record.

use crate::{
    Error, Observer, Result, Stop,
    bindings::{description::Clocks, types},
    component::Compiler,
    compose::{self, Role, Script},
    environment,
    error::explain,
    exports::exported,
    grants::{ModelGrant, Settings},
    inspect::{Member, Prepared},
    limits::Watchdog,
    output::Output,
    plan::{self, Given},
    run::Run,
    secrets, sha256,
    state::{Inputs, State},
};
use llem_meter::Clock;
use llem_record::{
    Build, Event, Plan, Recorder, RunRecord, Status,
    plan::{ComponentRecord, Dataset, GrantedModel, Grants},
};
use sha2::Sha256;
use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use wasmtime::{Store, UpdateDeadline};

/// The runner's parameter for how long it rests first.
const BASELINE: &str = "baseline";

/// All that decides a run.
pub struct Options {
    /// One experiment, or policies.
    pub scripts: Vec<Script>,
    /// Parameters and datasets.
    pub given: Given,
    /// How long the runner rests before the warm-up; none means what its parameter says.
    pub baseline: Option<Duration>,
    /// What the run may do.
    pub settings: Settings,
    /// The run's folder; none means a new one below `runs/`.
    pub out: Option<PathBuf>,
    /// Where compiled code is kept; none means nowhere.
    pub cache: Option<PathBuf>,
    /// The command line, for the record, which leaves secrets out.
    pub command: Vec<String>,
    /// How this program was built, for the record.
    pub build: Build,
}

/// What became of a run.
pub struct Outcome {
    /// The run's folder; none where it ended before there was one.
    pub folder: Option<PathBuf>,
    /// The whole record, as far as the run came.
    pub record: Option<RunRecord>,
    /// Why it did not complete.
    pub error: Option<Error>,
}

/// Executes a run to its end, whatever that is. It began when `clock` was started.
pub async fn exec(
    options: Options,
    clock: Clock,
    observer: Box<dyn Observer>,
    stop: Arc<Stop>,
) -> Outcome {
    let settings = options.settings.clone();
    let output = Arc::new(Output::new(clock, observer, settings.limits.output));
    let run = Arc::new(Run::new(clock, stop, Arc::clone(&output), settings));
    let mut folder = None;
    let result = execute(options, &run, &mut folder).await;
    let error = result.err().map(|error| blamed(&run, error));
    let status = match &error {
        None => Status::Completed,
        Some(Error::Interrupted) => Status::Interrupted,
        Some(_) => Status::Failed,
    };
    // A phase that an error cut short ends here, so that the record's phases add up.
    let closed = run.work.finish().and(run.phases.end(0)).and(run.finish_metering());
    // The record is written even where an event before it could not be.
    let finished = output.finish(status, error.as_ref().map(ToString::to_string));
    let ended = closed.and(finished.map_err(wasmtime::Error::from));
    match ended {
        Ok(record) => Outcome { folder, record, error },
        Err(unwritten) => {
            let unwritten =
                Error::Failed(format!("the record could not be completed: {unwritten}"));
            if error.is_some() {
                tracing::warn!("{unwritten}");
            }
            Outcome { folder, record: None, error: error.or(Some(unwritten)) }
        }
    }
}

async fn execute(mut options: Options, run: &Arc<Run>, folder: &mut Option<PathBuf>) -> Result<()> {
    let compiler = Compiler::new(options.cache.as_deref())?;
    let _watchdog =
        Watchdog::start(compiler.engine(), Arc::clone(&run.stop), run.settings.limits.deadline);
    let parts = compose::parts(std::mem::take(&mut options.scripts))?;
    let (output, limits) = (&run.output, &run.settings.limits);
    let prepared = Prepared::new(&compiler, parts, output, limits, &run.stop).await?;
    if let Some(length) = options.baseline {
        rest(length, &prepared, &mut options.given)?;
    }
    let inputs = plan::resolve(&options.given, &prepared.about)?;
    let parameters = inputs.parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.clone(), value.recorded(name))).collect();
    let plan = Plan {
        llem_version: options.build.version.clone(),
        command: secrets::recorded_command(&options.command),
        components: prepared.members.iter().map(component_record).collect(),
        parameters,
        grants: grants(&options)?,
        seed: options.settings.seed,
        date: Some(options.settings.date.to_string()),
        limits: limits.record(),
        build: options.build.clone(),
        host: environment::host(&options.settings.metering.options.roots),
        environment: environment::variables(env::vars_os()),
        metering: Some(options.settings.metering.record()),
    };
    run.is_surrounded_by(plan.build.clone(), plan.host.clone());
    let warnings = environment::warnings(&plan);
    let out = options.out.as_deref();
    let recorder =
        Recorder::create(out, &folder_name(&prepared.name()), run.clock.unix_ns(), plan)?;
    *folder = Some(recorder.folder().to_path_buf());
    run.output.record_to(recorder)?;
    for message in warnings {
        run.output.keep(Event::Warning { message }).map_err(|error| explain("the run", &error))?;
    }

    call(&prepared, inputs, run).await
}

/// Sets the runner's parameter for `--baseline`.
fn rest(length: Duration, prepared: &Prepared, given: &mut Given) -> Result<()> {
    if !prepared.is_composed() {
        return Err(Error::Input(format!(
            "--baseline is for policies, and {} is an experiment, which says itself when it rests: see its parameters with llem inspect",
            prepared.file
        )));
    }
    crate::measure::baseline::check(length)
        .map_err(|error| Error::Input(format!("--baseline: {}", error)))?;
    let seconds = length.as_secs_f64().to_string();
    match given.parameters.insert(BASELINE.to_owned(), seconds) {
        None => Ok(()),
        Some(_) => Err(Error::Input(format!(
            "the baseline is given twice, with --baseline and with -p {BASELINE}: give one"
        ))),
    }
}

/// Instantiates what was prepared, and runs it to its end.
async fn call(prepared: &Prepared, inputs: Inputs, run: &Arc<Run>) -> Result<()> {
    let mut state = State::new(run);
    state.inputs = inputs;
    state.wasi_clock.follow_host(prepared.about.clocks == Clocks::Monotonic);
    let mut store = Store::new(prepared.linked.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(run.settings.limits.call);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().run.check_stop()?;
        Ok(UpdateDeadline::Yield(1))
    });
    let ended = async {
        let instance = prepared.linked.instantiate_async(&mut store).await?;
        let run = exported(&instance, &mut store, Role::Experiment.interface(), "run")?;
        let run = instance
            .get_typed_func::<(), (std::result::Result<(), types::Error>,)>(&mut store, run)?;
        run.call_async(&mut store, ()).await
    };
    let (ended,) =
        run.unless_stopped(ended).await.map_err(|error| explain(&prepared.file, &error))?;
    ended.map_err(Into::into)
}

/// A failure that the script explained with its last words is told in them.
fn blamed(run: &Run, error: Error) -> Error {
    let last_words = run.output.take_last_words();
    match error {
        Error::Aborted { component, .. } => {
            Error::Aborted { component, last_words: last_words.text() }
        }
        error => error,
    }
}

fn component_record(member: &Member) -> ComponentRecord {
    let Member { part, about } = member;
    ComponentRecord {
        role: part.role_names(),
        name: about.name.clone(),
        version: about.version.clone(),
        digest: part.digest(),
        file: part.file.clone(),
        is_shipped: part.is_shipped,
    }
}

fn grants(options: &Options) -> Result<Grants> {
    let datasets = options.given.datasets.iter().map(|(name, file)| {
        let digest = file_digest(file).map_err(|error| {
            Error::Input(format!("dataset '{name}', {}: {error}", file.display()))
        })?;
        Ok(Dataset { name: name.clone(), file: file.display().to_string(), digest })
    });
    let models = &options.settings.models;
    let model = models.default();
    let adapters = |grant: &ModelGrant| {
        grant.adapters.iter().map(|adapter| adapter.source.to_string()).collect()
    };
    let granted = |grant: &Arc<ModelGrant>| GrantedModel {
        name: grant.name.clone(),
        source: grant.source.to_string(),
        adapters: adapters(grant),
        dtype: grant.dtype.map(|dtype| dtype.to_string()),
        device: grant.device.to_string(),
    };
    Ok(Grants {
        model: model.source.to_string(),
        adapters: adapters(model),
        dtype: model.dtype.map(|dtype| dtype.to_string()),
        device: model.device.to_string(),
        models: models.all().iter().map(granted).collect(),
        datasets: datasets.collect::<Result<_>>()?,
    })
}

fn file_digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::default();
    io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(sha256::finished(hash))
}

/// The script's name as far as a file system takes it.
fn folder_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.chars().take(60).map(plain).collect()
}

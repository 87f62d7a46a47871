//! Executes one run, from components to its record.

use crate::{
    Error, ExecOptions, Observer, Result, StopSignal,
    bindings::{description::Clocks, types},
    component_compiler::ComponentCompiler,
    compose::{self, ComponentRole},
    environment,
    error::explain,
    exports::find_export,
    grants::ModelGrant,
    limits::Watchdog,
    output::Output,
    prepared_run::{DescribedComponent, PreparedRun},
    redaction,
    resolved_inputs::{self, GivenInputs, ResolvedInputs},
    run::RunContext,
    sha256,
    store_data::StoreData,
};
use llem_meter::Clock;
use llem_record::{
    ComponentRecord, Event, GrantedDataset, GrantedModel, Grants, Recorder, RunPlan, RunRecord,
    RunStatus,
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

/// The runner's parameter that sets how long it rests before the warm-up.
const BASELINE: &str = "baseline";

/// How a run ended.
pub struct ExecOutcome {
    /// The run's folder, or `None` if the run ended before it was made.
    pub folder: Option<PathBuf>,
    /// The record, as far as the run came.
    pub record: Option<RunRecord>,
    /// Why the run did not complete, or `None` if it did.
    pub error: Option<Error>,
}

/// Executes a run until it ends, and completes its record even if it fails. The run began when `clock` was started.
///
/// # Example
/// An experiment that does nothing, written as WebAssembly text:
///
/// ```
/// use llem_meter::Clock;
/// use llem_record::RunStatus;
/// use llem_runtime::{
///     ExecOptions, ModelGrant, ModelGrants, Observer, RunSettings, Script, StopSignal, exec,
/// };
/// use std::sync::Arc;
///
/// let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/minimal.wat"));
/// let (file, bytes) = ("minimal.wasm".to_owned(), wat::parse_str(text)?);
/// let script = Script { file, bytes, role: None, source: None };
/// let models = ModelGrants::new(vec![ModelGrant::new("default", "synthetic:tiny".parse()?)])?;
/// let folder = tempfile::tempdir()?;
/// let options = ExecOptions::new(vec![script], RunSettings::new(models))
///     .folder(folder.path().join("run"));
///
/// let observers: Vec<Box<dyn Observer>> = Vec::new();
/// let run = exec(options, Clock::start(), Box::new(observers), Arc::new(StopSignal::default()));
/// let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run);
///
/// assert!(outcome.error.is_none());
/// let record = outcome.record.expect("the run has begun");
/// assert_eq!(record.status, RunStatus::Completed);
/// assert_eq!(record.plan.components[0].name, "minimal");
/// assert!(folder.path().join("run/run.json").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn exec(
    options: ExecOptions,
    clock: Clock,
    observer: Box<dyn Observer>,
    stop: Arc<StopSignal>,
) -> ExecOutcome {
    let settings = options.settings.clone();
    let output = Arc::new(Output::new(clock, observer, settings.limits.output));
    let run = Arc::new(RunContext::new(clock, stop, Arc::clone(&output), settings));
    let mut folder = None;
    let result = execute(options, &run, &mut folder).await;
    let error = result.err().map(|error| with_last_error(&run, error));
    let status = match &error {
        None => RunStatus::Completed,
        Some(Error::Interrupted) => RunStatus::Interrupted,
        Some(_) => RunStatus::Failed,
    };
    // Phases that an error cut short end here, so that the phases in the record add up.
    let closed = run.work.finish().and(run.phases.end(0)).and(run.finish_metering());
    // The record is written even if an event before it could not be.
    let finished = output.finish(status, error.as_ref().map(ToString::to_string));
    let ended = closed.and(finished.map_err(wasmtime::Error::from));
    match ended {
        Ok(record) => ExecOutcome { folder, record, error },
        Err(unwritten) => {
            let unwritten =
                Error::Failed(format!("the record could not be completed: {unwritten}"));
            if error.is_some() {
                tracing::warn!("{unwritten}");
            }
            ExecOutcome { folder, record: None, error: error.or(Some(unwritten)) }
        }
    }
}

async fn execute(
    mut options: ExecOptions,
    run: &Arc<RunContext>,
    folder: &mut Option<PathBuf>,
) -> Result<()> {
    let compiler = ComponentCompiler::new(options.cache.as_deref())?;
    let _watchdog =
        Watchdog::start(compiler.engine(), Arc::clone(&run.stop), run.settings.limits.deadline);
    let parts = compose::resolve_parts(std::mem::take(&mut options.scripts), &options.shipped)?;
    let (output, limits) = (&run.output, &run.settings.limits);
    let prepared = PreparedRun::new(&compiler, parts, output, limits, &run.stop).await?;
    if let Some(length) = options.baseline {
        set_baseline(length, &prepared, &mut options.given)?;
    }
    let inputs = resolved_inputs::resolve(&options.given, &prepared.about)?;
    let parameters = inputs.parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.clone(), value.redacted(name))).collect();
    let plan = RunPlan {
        llem_version: options.build.version.clone(),
        command: redaction::redact_command(&options.command),
        components: prepared.components.iter().map(component_record).collect(),
        parameters,
        grants: grants_record(&options)?,
        seed: options.settings.seed,
        date: Some(options.settings.date.to_string()),
        limits: limits.record(),
        build: options.build.clone(),
        host: environment::host(&options.settings.meter.options.roots),
        environment: environment::variables(env::vars_os()),
        metering: Some(options.settings.meter.record()),
        synthetic_host: options.settings.synthetic.as_ref().map(|(host, _)| host.record().clone()),
    };
    run.set_surroundings(plan.build.clone(), plan.host.clone());
    let warnings = environment::warnings(&plan);
    let out = options.folder.as_deref();
    let recorder =
        Recorder::create(out, &folder_name(&prepared.name()), run.clock.unix_ns(), plan)?;
    *folder = Some(recorder.folder().to_path_buf());
    run.output.record_to(recorder)?;
    for message in warnings {
        run.output
            .write_host_event(Event::Warning { message })
            .map_err(|error| explain("the run", &error))?;
    }

    run_component(&prepared, inputs, run).await
}

/// Sets the runner's parameter for `--baseline`.
fn set_baseline(length: Duration, prepared: &PreparedRun, given: &mut GivenInputs) -> Result<()> {
    if !prepared.is_composed() {
        return Err(Error::Input(format!(
            "--baseline is for policies, and {} is an experiment, which says itself when it rests: see its parameters with llem inspect",
            prepared.file
        )));
    }
    crate::window::baseline::check_length(length)
        .map_err(|error| Error::Input(format!("--baseline: {}", error)))?;
    let seconds = length.as_secs_f64().to_string();
    match given.parameters.insert(BASELINE.to_owned(), seconds) {
        None => Ok(()),
        Some(_) => Err(Error::Input(format!(
            "the baseline is given twice, with --baseline and with -p {BASELINE}: give one"
        ))),
    }
}

/// Instantiates the prepared component and runs it to its end.
async fn run_component(
    prepared: &PreparedRun,
    inputs: ResolvedInputs,
    run: &Arc<RunContext>,
) -> Result<()> {
    let mut state = StoreData::new(run);
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
        let run = find_export(&instance, &mut store, ComponentRole::Experiment.interface(), "run")?;
        let run = instance
            .get_typed_func::<(), (std::result::Result<(), types::Error>,)>(&mut store, run)?;
        run.call_async(&mut store, ()).await
    };
    let (ended,) =
        run.unless_stopped(ended).await.map_err(|error| explain(&prepared.file, &error))?;
    ended.map_err(Into::into)
}

/// If the script aborted, adds the last error that it reported to the message.
fn with_last_error(run: &RunContext, error: Error) -> Error {
    let reported = run.output.take_last_error();
    match error {
        Error::Aborted { component, .. } => {
            Error::Aborted { component, last_error: reported.text() }
        }
        error => error,
    }
}

fn component_record(member: &DescribedComponent) -> ComponentRecord {
    let DescribedComponent { component: part, about } = member;
    ComponentRecord {
        role: part.role_names(),
        name: about.name.clone(),
        version: about.version.clone(),
        digest: part.digest(),
        file: part.file.clone(),
        is_shipped: part.is_shipped,
        source: part.source.clone(),
    }
}

fn grants_record(options: &ExecOptions) -> Result<Grants> {
    let datasets = options.given.datasets.iter().map(|(name, file)| {
        let digest = file_digest(file).map_err(|error| {
            Error::Input(format!("dataset '{name}', {}: {error}", file.display()))
        })?;
        Ok(GrantedDataset { name: name.clone(), file: file.display().to_string(), digest })
    });
    let models = &options.settings.models;
    let model = models.default_model();
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

/// Makes a folder name from a script's name: only plain characters, at most 60.
fn folder_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.chars().take(60).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compose::Script,
        grants::{ModelGrants, RunSettings},
    };

    #[test]
    fn each_host_call_is_a_span() {
        let bytes = wat::parse_str(include_str!("../examples/minimal.wat")).expect("a component");
        let script = Script { file: "minimal.wasm".to_owned(), bytes, role: None, source: None };
        let source = "synthetic:tiny".parse().expect("a source");
        let models = ModelGrants::new(vec![ModelGrant::new("default", source)]).expect("models");
        let folder = tempfile::tempdir().expect("a folder");
        let options = ExecOptions::new(vec![script], RunSettings::new(models))
            .folder(folder.path().join("run"));
        let observers: Vec<Box<dyn Observer>> = Vec::new();
        let run = exec(options, Clock::start(), Box::new(observers), Arc::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let log = crate::test_log::captured(|| {
            let outcome = runtime.block_on(run);
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
        });
        let span = r#"{module="description" function="[constructor]about"}"#;
        assert!(log.contains(span), "{log}");
    }

    #[test]
    fn a_folder_name_is_short_and_plain() {
        assert_eq!(folder_name("quick-start_1.0"), "quick-start_1.0");
        assert_eq!(folder_name("../a b\u{e9}"), "..-a-b-");
        assert_eq!(folder_name(&"a".repeat(100)).len(), 60);
    }
}

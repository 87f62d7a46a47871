//! One run, from components to record.

use crate::{
    Error, Limits, Observer, Result, Stop,
    bindings::experiment::Experiment,
    component::Compiler,
    environment,
    error::explain,
    grants::{ModelGrant, Settings},
    host,
    inspect::{Member, Role},
    limits::Watchdog,
    output::Output,
    plan::{self, Given},
    run::{Metering, Run},
    runner, secrets, sha256,
    state::{Stage, State},
};
use llem_meter::Clock;
use llem_record::{
    Build, Event, Plan, Recorder, RunRecord, Status,
    plan::{ComponentRecord, Dataset, Grants},
};
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Characters of the sentence with which a script may end.
const SENTENCE: usize = 2_000;

/// A component as it was given.
pub struct Script {
    /// Where it is from, for messages and the record.
    pub file: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it was given as; none means whatever it can be.
    pub role: Option<Role>,
}

/// All that decides a run.
pub struct Options {
    /// One experiment, or policies.
    pub scripts: Vec<Script>,
    /// Parameters and datasets.
    pub given: Given,
    /// The model that may be loaded.
    pub model: ModelGrant,
    /// The seed of everything random.
    pub seed: u64,
    /// What the components may use.
    pub limits: Limits,
    /// How to meter.
    pub metering: Metering,
    /// Whether prompts themselves are recorded, rather than their digests alone.
    pub keep_prompts: bool,
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
    let output = Arc::new(Output::new(clock, observer, options.limits.output));
    let settings = Settings {
        model: options.model.clone(),
        seed: options.seed,
        limits: options.limits,
        metering: options.metering.clone(),
        keep_prompts: options.keep_prompts,
    };
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

async fn execute(options: Options, run: &Arc<Run>, folder: &mut Option<PathBuf>) -> Result<()> {
    let compiler = Compiler::new(options.cache.clone())?;
    let _watchdog =
        Watchdog::start(compiler.engine(), Arc::clone(&run.stop), options.limits.deadline);
    let mut members = start(&compiler, &options.scripts, run, &options.limits).await?;
    let abouts: Vec<_> = members.iter().map(|member| member.about.clone()).collect();
    let inputs = plan::resolve(&options.given, &abouts)?;
    let mut parameters = BTreeMap::new();
    for (member, inputs) in members.iter_mut().zip(inputs) {
        parameters.extend(
            inputs.parameters.iter().map(|(name, value)| (name.clone(), value.recorded(name))),
        );
        let state = member.store.data_mut();
        state.inputs = inputs;
        state.stage = Stage::Running;
    }
    let name =
        members.iter().map(|member| member.about.name.as_str()).collect::<Vec<_>>().join("-");
    let plan = Plan {
        llem_version: options.build.version.clone(),
        command: secrets::recorded_command(&options.command),
        components: members.iter().map(component_record).collect(),
        parameters,
        grants: grants(&options)?,
        seed: options.seed,
        limits: options.limits.record(),
        build: options.build.clone(),
        host: environment::host(&options.metering.options.roots),
        environment: environment::variables(env::vars_os()),
        metering: Some(options.metering.record()),
    };
    let warnings = environment::warnings(&plan);
    let out = options.out.as_deref();
    let recorder = Recorder::create(out, &folder_name(&name), run.clock.unix_ns(), plan)?;
    *folder = Some(recorder.folder().to_path_buf());
    run.output.record_to(recorder)?;
    for message in warnings {
        run.output.keep(Event::Warning { message }).map_err(|error| explain("the run", &error))?;
    }

    match &mut members[..] {
        [member] if member.roles.contains(&Role::Experiment) => match options.metering.baseline {
            None => experiment(member, run).await,
            Some(_) => Err(Error::Input(format!(
                "--baseline is for policies, and {} is an experiment, which says itself when it rests: see its parameters with llem inspect",
                member.file
            ))),
        },
        members => runner::run(members, run, &options.limits).await,
    }
}

/// Loads, links and instantiates every script, and asks each what it is.
pub async fn start(
    compiler: &Compiler,
    scripts: &[Script],
    run: &Arc<Run>,
    limits: &Limits,
) -> Result<Vec<Member>> {
    let linker = host::linker(compiler.engine()).map_err(|error| {
        Error::Failed(format!("the host's own interfaces do not link: {error}"))
    })?;
    let mut members = Vec::with_capacity(scripts.len());
    for script in scripts {
        let compiling = || {
            let message = format!("compiling {} (kept for the next run)", script.file);
            run.output.observer().event(&Event::Log { level: "info".to_owned(), message });
        };
        let loaded = compiler.load(&script.file, &script.bytes, compiling)?;
        let mut member =
            Member::start(&linker, loaded, State::new(run, limits, Stage::Describing)).await?;
        if let Some(role) = script.role {
            if !member.roles.contains(&role) {
                let (file, name) = (&script.file, role.name());
                return Err(Error::Input(format!(
                    "{file} was given as --{name}, but exports no {name} policy"
                )));
            }
            member.roles = vec![role];
        }
        members.push(member);
    }
    Ok(members)
}

async fn experiment(member: &mut Member, run: &Run) -> Result<()> {
    let world = Experiment::new(&mut member.store, &member.instance)
        .map_err(|error| explain(&member.file, &error))?;
    let ended = run
        .unless_stopped(world.call_run(&mut member.store))
        .await
        .map_err(|error| explain(&member.file, &error))?;
    ended.map_err(Error::Script)
}

/// A failure that follows from something given to the run is the giver's to mend, and one that the script explained
/// with its last words is told in them.
fn blamed(run: &Run, error: Error) -> Error {
    let last_words = run.output.take_last_words();
    match error {
        Error::Script(sentence) if last_words.is_refusal(&sentence) => Error::Input(sentence),
        Error::Script(sentence) => Error::Script(short(sentence)),
        Error::Aborted { component, .. } => {
            Error::Aborted { component, last_words: last_words.text() }
        }
        error => error,
    }
}

/// A script's sentence, if need be cut.
fn short(mut sentence: String) -> String {
    if let Some((end, _)) = sentence.char_indices().nth(SENTENCE) {
        sentence.truncate(end);
        sentence.push('…');
    }
    sentence
}

fn component_record(member: &Member) -> ComponentRecord {
    ComponentRecord {
        role: member.role_names(),
        name: member.about.name.clone(),
        version: member.about.version.clone(),
        digest: member.digest.clone(),
        file: member.file.clone(),
    }
}

fn grants(options: &Options) -> Result<Grants> {
    let datasets = options.given.datasets.iter().map(|(name, file)| {
        let digest = file_digest(file).map_err(|error| {
            Error::Input(format!("dataset '{name}', {}: {error}", file.display()))
        })?;
        Ok(Dataset { name: name.clone(), file: file.display().to_string(), digest })
    });
    Ok(Grants {
        model: options.model.source.to_string(),
        adapters: options.model.adapters.iter().map(|grant| grant.source.to_string()).collect(),
        dtype: options.model.dtype.map(|dtype| dtype.to_string()),
        device: options.model.device.to_string(),
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

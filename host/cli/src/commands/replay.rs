//! The command `llem replay`: repeats a run from its record, and reports what moved.

use super::{
    exec::{self, ExecArgs, pair, unique},
    output::{print, print_json},
};
use crate::{
    replay::{
        BundleFiles, RecordPaths, RecordedCommand, RecordedFiles, Replacements, ReplayError,
        adapter_names, check_components, check_limits, check_replayable, locate, pin,
    },
    summary::comparison,
    untrusted::line,
    watch::ObserverArgs,
};
use anyhow::Context;
use clap::{Args, FromArgMatches};
use llem_compare::{ComparedRun, Comparison};
use llem_record::{AdapterChange, RunRecord};
use llem_runtime::{Error, ErrorKind, ExecOptions, ExpectedDigests};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The file of the comparison, beside the replay's record.
const COMPARISON: &str = "replay.json";

/// Repeat a run from its record, and report what moved.
///
/// Components, datasets, adapters and models must have the digests of the record. Seed, date, parameters and limits are those
/// of the record.
#[derive(clap::Args)]
pub(crate) struct ReplayArgs {
    /// The folder of a run, its run.json, or a bundle, which is verified first
    run: PathBuf,
    /// Folder of the replay's record [default: runs/<time>-<name>]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print the comparison as JSON instead of a report
    #[arg(long)]
    json: bool,
    /// Give again a parameter that the record does not have, because it may be a secret
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
    /// Give the present file of a component, by its role: experiment, warmup, workload or metrics
    #[arg(long = "component", value_name = "ROLE=FILE", value_parser = pair, help_heading = "Files")]
    components: Vec<(String, String)>,
    /// Give the present file of a dataset
    #[arg(long = "dataset", value_name = "NAME=FILE", value_parser = pair, help_heading = "Files")]
    datasets: Vec<(String, String)>,
    /// Give the present source of a model; a model without a name is `default`
    #[arg(long = "model", value_name = "NAME=SOURCE", value_parser = pair, help_heading = "Files")]
    models: Vec<(String, String)>,
    /// Give the present source of an adapter
    #[arg(long = "adapter", value_name = "NAME=SOURCE", value_parser = pair, help_heading = "Files")]
    adapters: Vec<(String, String)>,
    /// Give the present file of a synthetic host's figures
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    synthetic_host: Option<String>,
    /// Run although this component (by its role), dataset, model or adapter is not the one of the record
    #[arg(long = "allow-changed", value_name = "NAME", help_heading = "Files")]
    changed: Vec<String>,
    /// Accept limits of the record that are higher than those of llem exec
    #[arg(long)]
    allow_limits: bool,
    #[command(flatten)]
    other: OtherSettings,
}

/// Settings of the run that a replay may change. They are reported as differences.
#[derive(clap::Args)]
#[command(next_help_heading = "Other settings than the record's")]
struct OtherSettings {
    /// Another device, as for llem exec
    #[arg(long = "device", value_name = "[NAME=]DEVICE")]
    devices: Vec<String>,
    /// Another number format, as for llem exec
    #[arg(long = "dtype", value_name = "[NAME=]DTYPE")]
    dtypes: Vec<String>,
    /// Another number of tensor-parallel ranks
    #[arg(long = "tp", value_name = "RANKS")]
    tensor: Option<String>,
    /// Another number of pipeline stages
    #[arg(long = "pp", value_name = "STAGES")]
    pipeline: Option<String>,
    /// Another number of replicas
    #[arg(long = "dp", value_name = "REPLICAS")]
    data: Option<String>,
    /// Another date for chat templates
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

/// Two runs differ in what decides that they are the same. The text says in what.
#[derive(Debug, thiserror::Error)]
#[error("the runs differ: {0}")]
struct RunsDiffer(String);

impl ReplayArgs {
    /// Repeats the run, compares the two, and prints the comparison.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if BundleFiles::is_bundle(&self.run) {
            let files = BundleFiles::unpack(&self.run)?;
            let first = open(files.run())?;
            return self.repeat(&first, &files);
        }
        let first = open(&self.run)?;
        self.repeat(&first, &RecordPaths::new(first.folder()))
    }

    fn repeat(self, first: &ComparedRun, files: &dyn RecordedFiles) -> anyhow::Result<()> {
        let (json, out) = (self.json, self.out.clone());
        let given = self.replacements()?;
        let mut notes = check_replayable(first)?;
        notes.extend(given.changed.iter().map(|name| {
            format!("--allow-changed {name}: it was not compared with the record before the replay")
        }));
        let Repeated { options, watchers } = Repeated::new(first, &given, files)?;
        for note in &notes {
            eprintln!("{}", line(note));
        }
        let outcome = exec::execute(options.folder(out), &watchers)?;
        let (folder, error) = match (outcome.folder, outcome.error) {
            // Another model or adapter than the record's, for example: there is nothing to compare.
            (_, Some(error)) if error.kind() == ErrorKind::Input => return Err(error.into()),
            (None, Some(error)) => return Err(error.into()),
            (Some(folder), error) => (folder, error),
            (None, None) => anyhow::bail!("the replay has no folder"),
        };
        let comparison = Comparison::new(first, &open(&folder)?, notes);
        let text = serde_json::to_string_pretty(&comparison)?;
        let path = folder.join(COMPARISON);
        llem_files::write(&path, text.as_bytes())
            .with_context(|| format!("{} cannot be written", path.display()))?;
        match json {
            true => print_json(&text)?,
            false => print(|out| comparison::print(&comparison, Some(&folder), out))?,
        }
        match error {
            Some(error) => Err(error.into()),
            None => same(&comparison),
        }
    }

    fn replacements(self) -> anyhow::Result<Replacements> {
        let OtherSettings { devices, dtypes, tensor, pipeline, data, date } = self.other;
        let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
        let options = [
            ("device", devices),
            ("dtype", dtypes),
            ("tp", one(tensor)),
            ("pp", one(pipeline)),
            ("dp", one(data)),
            ("date", one(date)),
        ];
        Ok(Replacements {
            parameters: unique("parameter", self.parameters)?,
            datasets: unique("dataset", self.datasets)?,
            components: unique("component", self.components)?,
            models: unique("model", self.models)?,
            adapters: unique("adapter", self.adapters)?,
            synthetic_host: self.synthetic_host,
            options: options.into_iter().filter(|(_, values)| !values.is_empty()).collect(),
            changed: BTreeSet::from_iter(self.changed),
            allows_limits: self.allow_limits,
        })
    }
}

/// Reads a run that is to be compared.
pub(super) fn open(path: &Path) -> Result<ComparedRun, Error> {
    ComparedRun::open(path).map_err(|error| Error::Input(error.to_string()))
}

/// Returns an error with the lines of the verdict that differ, unless the runs are the same.
pub(super) fn same(comparison: &Comparison) -> anyhow::Result<()> {
    if comparison.verdict.is_same {
        return Ok(());
    }
    let verdict = &comparison.verdict;
    let deciding =
        [("method", &verdict.method), ("requests", &verdict.requests), ("tokens", &verdict.tokens)];
    let deciding =
        deciding.into_iter().chain(verdict.scores.iter().map(|scores| ("scores", scores)));
    let moved = deciding.filter(|(_, finding)| finding.is_same != Some(true));
    let moved = moved.map(|(name, finding)| format!("{name}: {}", finding.text));
    Err(RunsDiffer(moved.collect::<Vec<_>>().join("; ")).into())
}

/// The run of a record, ready to be executed.
struct Repeated {
    options: ExecOptions,
    watchers: ObserverArgs,
}

impl Repeated {
    /// Makes the options of `llem exec` that repeat a run, and checks every file that is known before it begins.
    fn new(
        run: &ComparedRun,
        given: &Replacements,
        files: &dyn RecordedFiles,
    ) -> anyhow::Result<Self> {
        let record = run.record();
        let (plan, version) = (&record.plan, &record.plan.llem_version);
        let definition = || ExecArgs::augment_args(clap::Command::new("llem exec"));
        let mut command = RecordedCommand::parse(&plan.command, definition(), version)?;
        given.check_names(plan, &adapter_names(&command))?;
        pin(&mut command, record, given)?;
        locate(&mut command, plan, given, files)?;
        command.check_secrets()?;
        let words = [vec!["llem".to_owned()], command.words()].concat();
        let matches = definition().try_get_matches_from(words.iter().skip(1));
        let args = matches.and_then(|matches| ExecArgs::from_arg_matches(&matches));
        let args = args.map_err(|error| ReplayError::options(&error, version))?;
        let watchers = args.watchers.clone();
        let options = args.options(words)?;
        if !given.allows_limits {
            check_limits(&options.settings().limits)?;
        }
        let options = check_components(options, plan, given, files)?;
        Ok(Self { options: options.expect(digests(record, given)), watchers })
    }
}

/// Returns the digests that models and adapters must have.
fn digests(record: &RunRecord, given: &Replacements) -> ExpectedDigests {
    let attached = record.adapters.iter().filter(|one| one.change == AdapterChange::Attached);
    ExpectedDigests {
        models: record.models.iter().map(|model| model.digest.clone()).collect(),
        adapters: attached.map(|adapter| adapter.digest.clone()).collect(),
        changed: given.changed.clone(),
    }
}

//! The command `llem exec`: runs an experiment.

use super::{
    MeterArgs, ModelArgs, TIMES, cache, compiled_cache, grant_args::GrantArgs,
    limit_args::LimitArgs, output::print_record, read_component, within,
};
use crate::{build_info, signals::Signals, watch};
use llem_checkpoint::chat;
use llem_meter::Clock;
use llem_runtime::{
    ComponentRole, Error, ExecOptions, ExecOutcome, GivenInputs, MeterSetup, RunSettings,
    StopSignal, SyntheticHost, exec,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// How long an interrupted engine may take before the other processes are told that the run is over.
const LEAVE: Duration = Duration::from_secs(10);

/// The date that chat templates are told on a synthetic host, unless `--date` gives one.
const SYNTHETIC_DATE: &str = "2026-01-01";

/// Run an experiment, or policies through the standard runner.
#[derive(clap::Args)]
pub(crate) struct ExecArgs {
    /// Components, or their source code (a script or a project's folder, which is built first): one experiment
    /// (`quickstart` ships with llem), or policies; shipped ones stand in for those that are not given
    #[arg(required_unless_present_any = ["warmup", "workload", "metrics"])]
    components: Vec<String>,
    /// A component whose warm-up policy is used
    #[arg(long, value_name = "FILE")]
    warmup: Option<String>,
    /// A component whose workload is used
    #[arg(long, value_name = "FILE")]
    workload: Option<String>,
    /// A component whose metrics are used
    #[arg(long, value_name = "FILE")]
    metrics: Option<String>,

    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    model_args: ModelArgs,
    #[command(flatten)]
    meter_args: MeterArgs,
    /// Run without a model and without waiting: virtual time, seeded tokens, and given delays and energies, of which FILE
    /// (JSON) may set some; the run.json of an earlier run gives its mean figures. Nothing is measured then
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, help_heading = "Synthetic host")]
    synthetic_host: Option<Option<PathBuf>>,
    /// Leave out the timeline of power, clocks and temperatures beside the record
    #[arg(long, help_heading = "Metering")]
    no_timeline: bool,
    /// Rest so long before the warm-up, unless a baseline of the last hour is known: the runner's parameter `baseline`
    /// (experiments rest when they say so)
    #[arg(long, value_name = "SECONDS", value_parser = within(TIMES, "s"), help_heading = "Metering")]
    baseline: Option<f64>,
    #[command(flatten)]
    pub(super) watchers: watch::ObserverArgs,
    /// Set a parameter that the experiment declares
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE", value_parser = pair, help_heading = "Parameters and datasets")]
    parameters: Vec<(String, String)>,
    /// Grant a file under a name that the experiment declares: .jsonl, .json, .csv, .tsv or .txt (each also .gz or .zst),
    /// or .parquet
    #[arg(long = "dataset", value_name = "NAME=FILE", value_parser = pair, help_heading = "Parameters and datasets")]
    datasets: Vec<(String, String)>,
    /// The date that chat templates are told, as 2026-03-05 or 2026-03-05T09:07 [default: now]
    #[arg(long, value_name = "DATE", help_heading = "Parameters and datasets")]
    date: Option<chat::DateTime>,

    /// Folder of the run's record [default: runs/<time>-<name>]
    #[arg(long, value_name = "FOLDER", help_heading = "Record")]
    out: Option<PathBuf>,
    /// Record prompts themselves, rather than their digests alone
    #[arg(long, help_heading = "Record")]
    keep_prompts: bool,
    /// Print the run record as JSON instead of a summary
    #[arg(long, help_heading = "Record")]
    json: bool,

    #[command(flatten)]
    limits: LimitArgs,
}

impl ExecArgs {
    /// Executes the run and prints its result.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let json = self.json;
        let watchers = self.watchers.clone();
        // If several processes form the run, only the leading one returns from here. Ports must not be bound before.
        let options = self.options(std::env::args().collect())?;
        let outcome = execute(options, &watchers)?;
        if let Some(record) = &outcome.record {
            print_record(record, outcome.folder.as_deref(), json)?;
        }
        outcome.error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Reads the components, and returns the options of the run. `command` is the command line for the record.
    pub(super) fn options(self, command: Vec<String>) -> anyhow::Result<ExecOptions> {
        let given = [
            (Some(ComponentRole::Warmup), self.warmup),
            (Some(ComponentRole::Workload), self.workload),
            (Some(ComponentRole::Metrics), self.metrics),
        ];
        let files = self.components.into_iter().map(|file| (None, Some(file))).chain(given);
        let scripts = files
            .filter_map(|(role, file)| Some((role, file?)))
            .map(|(role, file)| read_component(&file, role))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let datasets = unique("dataset", self.datasets)?;
        let models = self.grants.models(&self.model_args)?;
        let mut settings = RunSettings::new(models);
        settings.seed = self.model_args.seed;
        settings.date = match self.date {
            Some(date) => date,
            // The date may reach prompts through a chat template, and a synthetic run is the same on every day.
            None if self.synthetic_host.is_some() => SYNTHETIC_DATE.parse()?,
            None => chat::local_now(),
        };
        settings.limits = self.limits.limits();
        settings.meter = MeterSetup {
            options: self.meter_args.options(),
            timeline: !self.no_timeline,
            kept: cache(),
        };
        settings.keep_prompts = self.keep_prompts;
        if let Some(file) = self.synthetic_host {
            let host = match file {
                Some(file) => SyntheticHost::from_file(&file)?,
                None => SyntheticHost::default(),
            };
            settings = settings.on_synthetic_host(host)?;
        }
        let given = GivenInputs {
            parameters: unique("parameter", self.parameters)?,
            datasets: datasets
                .into_iter()
                .map(|(name, file)| (name, PathBuf::from(file)))
                .collect(),
        };
        Ok(ExecOptions::new(scripts, settings)
            .inputs(given)
            .baseline(self.baseline.map(Duration::from_secs_f64))
            .folder(self.out)
            .cache(compiled_cache())
            .command(command)
            .build(build_info::build()))
    }
}

/// Executes a run until it ends.
pub(super) fn execute(
    options: ExecOptions,
    watchers: &watch::ObserverArgs,
) -> anyhow::Result<ExecOutcome> {
    let world = options.settings().models.default_model().world.clone();
    let clock = Clock::start();
    let stop = Arc::new(StopSignal::default());
    let observers = watch::observers(watchers, clock, &stop)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let signals = Signals::watch(Arc::clone(&stop))?;
    let outcome = runtime.block_on(exec(options, clock, Box::new(observers), stop));
    // The program does not wait for an engine that is still loading.
    runtime.shutdown_background();
    if let Some(world) = world {
        world.leave(LEAVE);
    }
    // From here on, a closed pipe or a signal ends the program as usual. Before, it must not end a run.
    sigpipe::reset();
    signals.end_the_program();
    Ok(outcome)
}

/// An option is not a name with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as NAME=VALUE")]
pub(super) struct PairError;

/// Parses `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), PairError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(PairError),
    }
}

/// Converts pairs into a map, and refuses a name that is given twice.
pub(super) fn unique(
    what: &str,
    pairs: Vec<(String, String)>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        if map.insert(name.clone(), value).is_some() {
            return Err(Error::Input(format!("{what} '{name}' is given twice")));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_name_and_a_value() {
        let pair = |text| pair(text).map(|(name, value)| format!("{name} {value}"));
        assert_eq!(pair("a=b=c"), Ok("a b=c".to_owned()));
        assert_eq!(pair("a="), Ok("a ".to_owned()));
        assert!(pair("=b").is_err() && pair("ab").is_err());
    }

    #[test]
    fn a_name_is_given_once() {
        let text = |text: &str| text.to_owned();
        let given = unique("parameter", vec![(text("a"), text("1")), (text("b"), text("2"))]);
        assert_eq!(given.expect("two names").len(), 2);
        let twice = unique("parameter", vec![(text("a"), text("1")), (text("a"), text("2"))]);
        assert_eq!(twice.expect_err("one name").to_string(), "parameter 'a' is given twice");
    }
}

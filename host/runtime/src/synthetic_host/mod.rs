//! A synthetic host: a run without a model, without waiting and without a measurement. Its times and energies are given,
//! its tokens are seeded, and its clock is virtual.
//!
//! ```text
//! file ─► figures ─┬─► passes   advance the clock, draw energy, make seeded logits
//!                  ├─► meter    power at rest × virtual time + what the passes drew
//!                  └─► record   every figure with its origin
//! ```
//!
//! Everything else is as in a real run: limits, checks of arguments, batches, sampling, policies, and the record.

mod replayed_figures;

use crate::{Error, Result, sha256};
use llem_engine::SyntheticPasses;
use llem_meter::SyntheticPower;
use llem_record::{FigureOrigin, FigureRecord, ReplayedRun, RunRecord, SyntheticHostRecord};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

/// The highest value of a figure. A pass of a million tokens at this value still fits the clock's 584 years.
const HIGHEST: f64 = 1e4;

/// The shortest time of a token or a step, s: one tick of the clock. Tokens that took no time would have no rate.
const SHORTEST: f64 = 1e-9;

/// The figures of a synthetic host, and the file that they come from.
///
/// ```
/// use llem_runtime::SyntheticHost;
///
/// let host = SyntheticHost::from_json(r#"{"decode_s_per_step": 0.01}"#)?;
/// assert_eq!(host.record().figures["decode_s_per_step"].value, 0.01);
/// assert_eq!(host.record().figures["idle_watts"].value, 50.0);
/// let error = SyntheticHost::from_json(r#"{"idle_watts": -1}"#).unwrap_err();
/// assert_eq!(error.to_string(), "idle_watts is -1: give a number from 0 to 10000");
/// # Ok::<(), llem_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyntheticHost {
    figures: Figures,
    record: SyntheticHostRecord,
}

/// The fields of the file. Each has a default.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenFigures {
    seed: Option<u64>,
    load_s: Option<f64>,
    prefill_s_per_token: Option<f64>,
    decode_s_per_step: Option<f64>,
    idle_watts: Option<f64>,
    prefill_joules_per_token: Option<f64>,
    decode_joules_per_token: Option<f64>,
}

/// All figures, with the defaults for those that were not given.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    seed: u64,
    load_s: f64,
    prefill_s_per_token: f64,
    decode_s_per_step: f64,
    idle_watts: f64,
    prefill_joules_per_token: f64,
    decode_joules_per_token: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            seed: 1,
            load_s: 1.0,
            prefill_s_per_token: 1e-4,
            decode_s_per_step: 5e-3,
            idle_watts: 50.0,
            prefill_joules_per_token: 0.01,
            decode_joules_per_token: 0.5,
        }
    }
}

/// A synthetic host with the default figures.
impl Default for SyntheticHost {
    fn default() -> Self {
        Self::new(GivenFigures::default(), FigureOrigin::Default)
    }
}

impl SyntheticHost {
    /// Reads the figures from a JSON file: an object with some of the figures, or the `run.json` of an earlier run, whose
    /// mean figures are used.
    ///
    /// # Errors
    /// The file cannot be read, is neither of the two, or has a figure out of range.
    pub fn from_file(file: &Path) -> Result<Self> {
        let named =
            |reason: &dyn std::fmt::Display| Error::Input(format!("{}: {reason}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| named(&error))?;
        let mut host = Self::from_json(&text).map_err(|error| named(&error))?;
        host.record.file = Some(file.display().to_string());
        host.record.digest = Some(sha256::sha256(text.as_bytes()));
        Ok(host)
    }

    /// Reads the figures from the text of such a file.
    ///
    /// # Errors
    /// The text is neither figures nor a record, or a figure is out of range.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| Error::Input(error.to_string()))?;
        if value.get("schema_version").is_none() {
            let given: GivenFigures = serde_json::from_value(value).map_err(|error| {
                Error::Input(format!("{error}: give some of the figures of a synthetic host, or the run.json of an earlier run"))
            })?;
            let host = Self::new(given, FigureOrigin::File);
            return host.figures.check().map(|()| host);
        }
        let record: RunRecord = serde_json::from_value(value)
            .map_err(|error| Error::Input(format!("it is no record that can be read: {error}")))?;
        let default = Figures::default();
        let given = replayed_figures::from_record(&record, default.idle_watts);
        let mut host = Self::new(given, FigureOrigin::Record);
        host.record.run = Some(ReplayedRun {
            id: record.id,
            models: record.models.into_iter().map(|model| model.source).collect(),
        });
        host.figures.check().map(|()| host)
    }

    fn new(given: GivenFigures, origin: FigureOrigin) -> Self {
        let default = Figures::default();
        let mut records = BTreeMap::new();
        let mut figure = |name: &str, unit: &str, given: Option<f64>, default: f64| {
            let value = given.unwrap_or(default);
            let origin = if given.is_some() { origin } else { FigureOrigin::Default };
            records.insert(name.to_owned(), FigureRecord { value, unit: unit.to_owned(), origin });
            value
        };
        let figures = Figures {
            seed: given.seed.unwrap_or(default.seed),
            load_s: figure("load_s", "s", given.load_s, default.load_s),
            prefill_s_per_token: figure(
                "prefill_s_per_token",
                "s/{token}",
                given.prefill_s_per_token,
                default.prefill_s_per_token,
            ),
            decode_s_per_step: figure(
                "decode_s_per_step",
                "s/{step}",
                given.decode_s_per_step,
                default.decode_s_per_step,
            ),
            idle_watts: figure("idle_watts", "W", given.idle_watts, default.idle_watts),
            prefill_joules_per_token: figure(
                "prefill_joules_per_token",
                "J/{token}",
                given.prefill_joules_per_token,
                default.prefill_joules_per_token,
            ),
            decode_joules_per_token: figure(
                "decode_joules_per_token",
                "J/{token}",
                given.decode_joules_per_token,
                default.decode_joules_per_token,
            ),
        };
        let (seed, file, digest, run) = (figures.seed, None, None, None);
        let record = SyntheticHostRecord { seed, figures: records, file, digest, run };
        Self { figures, record }
    }

    /// The figures for the record, each with its origin.
    pub fn record(&self) -> &SyntheticHostRecord {
        &self.record
    }

    /// Makes the process use a virtual clock, and returns what replaces the engine's passes and the machine's meter. It is
    /// called before the run's clock is started.
    pub(crate) fn start(&self) -> (SyntheticPasses, SyntheticPower) {
        let Figures { seed, idle_watts, .. } = self.figures;
        let power = SyntheticPower { idle_watts, work: llem_clock::WorkLedger::default() };
        let passes = SyntheticPasses {
            clock: llem_clock::start_virtual(),
            work: power.work.clone(),
            seed,
            load: Duration::from_secs_f64(self.figures.load_s),
            prefill_s_per_token: self.figures.prefill_s_per_token,
            decode_s_per_step: self.figures.decode_s_per_step,
            prefill_joules_per_token: self.figures.prefill_joules_per_token,
            decode_joules_per_token: self.figures.decode_joules_per_token,
        };
        (passes, power)
    }
}

impl Figures {
    /// Refuses figures that no machine has.
    fn check(&self) -> Result<()> {
        let figures = [
            ("load_s", self.load_s, 0.0),
            ("prefill_s_per_token", self.prefill_s_per_token, SHORTEST),
            ("decode_s_per_step", self.decode_s_per_step, SHORTEST),
            ("idle_watts", self.idle_watts, 0.0),
            ("prefill_joules_per_token", self.prefill_joules_per_token, 0.0),
            ("decode_joules_per_token", self.decode_joules_per_token, 0.0),
        ];
        let bad = figures.iter().find(|(_, value, least)| !(*least..=HIGHEST).contains(value));
        bad.map_or(Ok(()), |(name, value, least)| {
            Err(Error::Input(format!("{name} is {value}: give a number from {least} to {HIGHEST}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        SyntheticHost::from_json(text).expect_err("refused").to_string()
    }

    #[test]
    fn each_figure_has_a_default_and_its_origin() {
        let host = SyntheticHost::from_json(r#"{"seed": 7, "idle_watts": 20}"#).expect("a host");
        assert_eq!(host.figures, Figures { seed: 7, idle_watts: 20.0, ..Figures::default() });
        let record = host.record();
        assert_eq!((record.seed, record.figures.len()), (7, 6));
        assert_eq!(record.figures["idle_watts"].origin, FigureOrigin::File);
        assert_eq!(record.figures["load_s"].origin, FigureOrigin::Default);
        assert_eq!(SyntheticHost::default().figures, Figures::default());
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_field() {
        assert!(refusal(r#"{"watts": 1}"#).contains("unknown field `watts`"));
        assert!(refusal(r#"{"load_s": -0.5}"#).starts_with("load_s is -0.5: "));
        assert!(refusal(r#"{"decode_s_per_step": 0}"#).starts_with("decode_s_per_step is 0: "));
        assert!(refusal(r#"{"prefill_s_per_token": 1e300}"#).contains("to 10000"));
        assert!(refusal(r#"{"schema_version": "3.0"}"#).contains("no record"));
        assert!(refusal("[").contains("EOF"));
    }
}

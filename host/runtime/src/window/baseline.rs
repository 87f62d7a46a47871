//! Idle power: measured in this run, or read from an earlier one.

use crate::{error::Refusal, run::RunContext};
use llem_meter::{
    BASELINE_PARTS, DomainId, IdlePower, StoredBaseline, compute_idle_power, unix_seconds,
};
use llem_quantity::Source;
use llem_record::{BaselineRecord, Event, IdlePowerRecord};
use std::{ops::RangeInclusive, time::Duration};

/// The allowed lengths. A shorter baseline is not meaningful, and a longer one is a mistake.
const LENGTH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// Returns true if idle power from this source is useful to later runs. Declared power is not.
fn is_worth_storing(source: Source) -> bool {
    source != Source::Modelled
}

struct BaselineDomain {
    id: DomainId,
    /// The key of the device in the store of baselines.
    key: String,
    /// Whether a model is on the device.
    holds_model: bool,
    source: Source,
}

/// An idle baseline with its date.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct DatedBaseline {
    /// The idle power of each domain.
    pub power: Vec<IdlePower>,
    /// When it was measured, in seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// How long the machine rested.
    pub length: Duration,
    /// Whether an earlier run measured it.
    pub from_earlier_run: bool,
}

/// Refuses a length that is not meaningful.
pub(crate) fn check_length(length: Duration) -> Result<(), Refusal> {
    match LENGTH.contains(&length) {
        true => Ok(()),
        false => Err(Refusal::InvalidArgument(format!(
            "a baseline of {} s is outside 0.1 to 600 s",
            length.as_secs_f64()
        ))),
    }
}

impl RunContext {
    /// Rests for this long, in parts, and stores what the machine drew.
    pub(crate) async fn measure_baseline(
        &self,
        length: Duration,
    ) -> wasmtime::Result<DatedBaseline> {
        let (measured_at, started) = (unix_seconds(), llem_clock::now());
        let mut parts = Vec::new();
        for _ in 0..BASELINE_PARTS {
            let window = self.meter().open();
            self.sleep(length / BASELINE_PARTS).await?;
            parts.push(self.meter().close(window));
        }
        let length = llem_clock::elapsed(started);
        let power = compute_idle_power(&parts, &self.engines.current_usage().devices);
        self.store_baseline(&power, measured_at, length)?;
        self.use_baseline(DatedBaseline { power, measured_at, length, from_earlier_run: false })
    }

    /// Returns a baseline that earlier runs measured at most `lifetime` ago, or `None` if a domain has none.
    pub(crate) fn known_baseline(
        &self,
        lifetime: Duration,
    ) -> wasmtime::Result<Option<DatedBaseline>> {
        let Some(store) = self.settings.meter.baselines() else { return Ok(None) };
        let mut power = Vec::new();
        let (mut measured_at, mut length) = (u64::MAX, Duration::ZERO);
        for BaselineDomain { id, key, holds_model, source } in self.metered_domains() {
            let kept = store.find(&key, &id.domain, holds_model, lifetime);
            // A baseline from another instrument is not comparable.
            let Some(kept) = kept.filter(|kept| kept.power.source == source) else {
                return Ok(None);
            };
            measured_at = measured_at.min(kept.measured_at);
            length = length.max(Duration::try_from_secs_f64(kept.length).unwrap_or_default());
            let power_kept = Ok(kept.power);
            power.push(IdlePower { id, power: power_kept, unsteady: None, holds_model });
        }
        if power.is_empty() {
            return Ok(None);
        }
        self.use_baseline(DatedBaseline { power, measured_at, length, from_earlier_run: true })
            .map(Some)
    }

    /// Stores steady baselines for later runs.
    fn store_baseline(
        &self,
        power: &[IdlePower],
        measured_at: u64,
        length: Duration,
    ) -> wasmtime::Result<()> {
        let Some(store) = self.settings.meter.baselines() else { return Ok(()) };
        let kept = self.metered_domains().into_iter().filter_map(|metered| {
            let BaselineDomain { id, key, holds_model, .. } = metered;
            let idle = power.iter().find(|idle| idle.id == id)?;
            let power = idle.power.clone().ok().filter(|power| is_worth_storing(power.source))?;
            if idle.unsteady.is_some() {
                return None;
            }
            let length = length.as_secs_f64();
            let (device, domain) = (key, id.domain);
            Some(StoredBaseline { device, domain, holds_model, power, measured_at, length })
        });
        let kept: Vec<StoredBaseline> = kept.collect();
        match if kept.is_empty() { Ok(()) } else { store.insert(kept) } {
            Ok(()) => Ok(()),
            // The run has its baseline even if it cannot be stored.
            Err(reason) => {
                let message = format!("the baseline is not kept for later runs: {reason}");
                self.output.write_host_event(Event::Log { level: "warn".to_owned(), message })
            }
        }
    }

    /// Every domain that is metered.
    fn metered_domains(&self) -> Vec<BaselineDomain> {
        let devices = self.meter().devices();
        let holders = self.engines.current_usage().devices;
        let keyed = self.meter().resolutions().into_iter().filter_map(|gauge| {
            let source = gauge.source.ok()?;
            let described = devices.iter().find(|device| device.id == gauge.id.device)?;
            let holds_model = holders.contains(&gauge.id.device);
            Some(BaselineDomain { id: gauge.id, key: described.key(), holds_model, source })
        });
        keyed.collect()
    }

    /// Records a baseline, and uses it for energy above idle from now on.
    fn use_baseline(&self, dated: DatedBaseline) -> wasmtime::Result<DatedBaseline> {
        for idle in &dated.power {
            if let Some(reason) = &idle.unsteady {
                let message = format!(
                    "the idle baseline of {} is not steady: {reason}; let the machine rest, and measure longer",
                    idle.id
                );
                self.output.write_host_event(Event::Warning { message })?;
            }
        }
        let records = dated.power.iter().map(|idle| IdlePowerRecord {
            device: idle.id.device.clone(),
            domain: idle.id.domain.clone(),
            power: (&idle.power).into(),
            unsteady: idle.unsteady.clone(),
            holds_model: Some(idle.holds_model),
        });
        self.output.write_host_event(Event::Baseline(BaselineRecord {
            measured_at: llem_record::date(dated.measured_at as i64),
            wall_ns: dated.length.as_nanos() as u64,
            from_earlier_run: dated.from_earlier_run,
            power: records.collect(),
        }))?;
        // A baseline for the other condition (with or without a model on the device) stays, for windows in that
        // condition.
        let same = |a: &IdlePower, b: &IdlePower| {
            let is_alike = a.id.device == "cpu" || a.holds_model == b.holds_model;
            a.id == b.id && is_alike
        };
        let mut idle = self.instruments().idle();
        idle.retain(|old| !dated.power.iter().any(|new| same(old, new)));
        idle.extend(dated.power.iter().cloned());
        Ok(dated)
    }
}

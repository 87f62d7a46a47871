//! Idle power: measured by this run, or found as an earlier one measured it.

use crate::{error::Refusal, run::Run};
use llem_meter::{
    baseline::{self, IdlePower, Kept, PARTS},
    clock::unix_seconds,
};
use llem_quantity::Source;
use llem_record::{
    Event,
    hardware::{BaselineRecord, IdlePowerRecord},
};
use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// Shorter tells nothing, longer is a mistake.
const LENGTH: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// Whether idle power of a source is worth keeping: what somebody declared says nothing of later runs.
fn is_kept(source: Source) -> bool {
    source != Source::Modelled
}

/// A power domain that is metered.
struct Metered {
    device: String,
    domain: String,
    /// What the device is kept under.
    key: String,
    /// Whether a model is on it.
    holds_model: bool,
    source: Source,
}

/// A baseline with its date.
pub struct Dated {
    /// What each domain draws at rest.
    pub power: Vec<IdlePower>,
    /// When, in seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// How long the machine rested.
    pub length: Duration,
    /// Whether an earlier run measured it.
    pub from_earlier_run: bool,
}

/// Refuses a length that tells nothing.
pub fn check(length: Duration) -> Result<(), Refusal> {
    match LENGTH.contains(&length) {
        true => Ok(()),
        false => Err(Refusal::InvalidArgument(format!(
            "a baseline of {} s is outside 0.1 to 600 s",
            length.as_secs_f64()
        ))),
    }
}

impl Run {
    /// Rests for this long, in parts, and keeps what the machine drew.
    pub async fn measure_baseline(&self, length: Duration) -> wasmtime::Result<Dated> {
        let (measured_at, started) = (unix_seconds(), Instant::now());
        let mut parts = Vec::new();
        for _ in 0..PARTS {
            let window = self.meter().open();
            self.rest(length / PARTS).await?;
            parts.push(self.meter().close(window));
        }
        let length = started.elapsed();
        let power = baseline::judge(&parts, &self.engines.now().devices);
        self.keep(&power, measured_at, length)?;
        self.adopt(Dated { power, measured_at, length, from_earlier_run: false })
    }

    /// What an earlier run measured at most `lifetime` ago; none where that is not all of it.
    pub fn known_baseline(&self, lifetime: Duration) -> wasmtime::Result<Option<Dated>> {
        let Some(store) = self.settings.metering.baselines() else { return Ok(None) };
        let mut power = Vec::new();
        let (mut measured_at, mut length) = (u64::MAX, Duration::ZERO);
        for Metered { device, domain, key, holds_model, source } in self.metered() {
            let kept = store.find(&key, &domain, holds_model, lifetime);
            // By another instrument it is another machine's, or nobody's.
            let Some(kept) = kept.filter(|kept| kept.power.source == source) else {
                return Ok(None);
            };
            measured_at = measured_at.min(kept.measured_at);
            length = length.max(Duration::try_from_secs_f64(kept.length).unwrap_or_default());
            let power_kept = Ok(kept.power);
            power.push(IdlePower {
                device,
                domain,
                power: power_kept,
                unsteady: None,
                holds_model,
            });
        }
        if power.is_empty() {
            return Ok(None);
        }
        self.adopt(Dated { power, measured_at, length, from_earlier_run: true }).map(Some)
    }

    /// Keeps steady baselines for later runs.
    fn keep(
        &self,
        power: &[IdlePower],
        measured_at: u64,
        length: Duration,
    ) -> wasmtime::Result<()> {
        let Some(store) = self.settings.metering.baselines() else { return Ok(()) };
        let kept = self.metered().into_iter().filter_map(|metered| {
            let Metered { device, domain, key, holds_model, .. } = metered;
            let idle =
                power.iter().find(|idle| (&idle.device, &idle.domain) == (&device, &domain))?;
            let power = idle.power.clone().ok().filter(|power| is_kept(power.source))?;
            if idle.unsteady.is_some() {
                return None;
            }
            let length = length.as_secs_f64();
            Some(Kept { device: key, domain, holds_model, power, measured_at, length })
        });
        let kept: Vec<Kept> = kept.collect();
        match if kept.is_empty() { Ok(()) } else { store.keep(kept) } {
            Ok(()) => Ok(()),
            // The run has its baseline all the same.
            Err(reason) => {
                let message = format!("the baseline is not kept for later runs: {reason}");
                self.output.keep(Event::Log { level: "warn".to_owned(), message })
            }
        }
    }

    /// Every domain that is metered.
    fn metered(&self) -> Vec<Metered> {
        let devices = self.meter().devices();
        let holders = self.engines.now().devices;
        let keyed = self.meter().resolutions().into_iter().filter_map(|gauge| {
            let source = gauge.source.ok()?;
            let described = devices.iter().find(|device| device.id == gauge.device)?;
            let holds_model = holders.contains(&gauge.device);
            let (device, domain, key) = (gauge.device, gauge.domain, described.key());
            Some(Metered { device, domain, key, holds_model, source })
        });
        keyed.collect()
    }

    /// From here on energy above idle goes by it.
    fn adopt(&self, dated: Dated) -> wasmtime::Result<Dated> {
        for idle in &dated.power {
            if let Some(reason) = &idle.unsteady {
                let message = format!(
                    "the idle baseline of {} {} is not steady: {reason}; let the machine rest, and measure longer",
                    idle.device, idle.domain
                );
                self.output.keep(Event::Warning { message })?;
            }
        }
        let records = dated.power.iter().map(|idle| IdlePowerRecord {
            device: idle.device.clone(),
            domain: idle.domain.clone(),
            power: (&idle.power).into(),
            unsteady: idle.unsteady.clone(),
            holds_model: Some(idle.holds_model),
        });
        self.output.keep(Event::Baseline(BaselineRecord {
            measured_at: llem_record::date(dated.measured_at),
            wall_ns: dated.length.as_nanos() as u64,
            from_earlier_run: dated.from_earlier_run,
            power: records.collect(),
        }))?;
        // One that was taken in another condition stays, for windows of its kind.
        let same = |a: &IdlePower, b: &IdlePower| {
            let is_alike = a.device == "cpu" || a.holds_model == b.holds_model;
            (&a.device, &a.domain) == (&b.device, &b.domain) && is_alike
        };
        let mut idle = self.instruments().idle();
        idle.retain(|old| !dated.power.iter().any(|new| same(old, new)));
        idle.extend(dated.power.iter().cloned());
        Ok(dated)
    }
}

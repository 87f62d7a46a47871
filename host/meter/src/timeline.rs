//! What a sampler has read: of each power domain at every sample, of each device now and then.

use crate::{
    clock::Seconds,
    memory::{MemoryKind, MemoryPeak, NoProcessMemory},
    warning::Warning,
};
use llem_quantity::{Quantity, Source};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// Samples that are remembered of each domain: eleven minutes at 10 ms.
const KEPT: usize = 65_536;

/// A rise or fall of this many kelvin within a span is told: at about 1 % of power each few kelvin (leakage), less is
/// lost in what differs from run to run.
const DRIFT: f64 = 5.0;

/// A device that is busy for at least this share of its time, %, works.
const WORKING: f64 = 50.0;

/// A fall of a working device's clock by this share is told.
const DROP: f64 = 0.1;

/// How a device is, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Cel
    pub temperature: Option<f64>,
    /// MHz
    pub core_clock: Option<f64>,
    /// MHz
    pub memory_clock: Option<f64>,
    /// Busy share, %.
    pub utilisation: Option<f64>,
    /// Bytes.
    pub memory_used: Option<f64>,
    /// Bytes of it that this process uses, or why that is not told; none for a processor.
    pub process_memory: Option<Result<f64, NoProcessMemory>>,
    /// Why it is held below its clock, in NVML's words.
    pub throttle_reasons: Vec<String>,
}

/// One reading of a power domain.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When, on the meter's clock, s.
    pub at: Seconds,
    /// The device's id.
    pub device: Arc<str>,
    /// The power domain within it.
    pub domain: Arc<str>,
    /// Power, W: the sensor's, or else the counter's gain over the time since the sample before.
    pub power: Option<f64>,
    /// Joules since the meter started.
    pub energy: Option<f64>,
    /// How the device is; not with every sample, and with one of its domains only.
    pub condition: Option<Condition>,
}

/// How a device was over a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSpan {
    /// The device's id.
    pub device: String,
    /// Temperature, Cel.
    pub temperature: Option<Course>,
    /// Clock of the cores, MHz.
    pub core_clock: Option<Course>,
    /// Busy share, %.
    pub utilisation: Option<Course>,
    /// Memory in use, bytes.
    pub memory_used: Option<Course>,
    /// The most of it that this process used, bytes, or why that is not told; none for a processor.
    pub process_memory: Option<Result<f64, NoProcessMemory>>,
    /// Why it was held below its clock.
    pub throttle_reasons: Vec<String>,
    /// The lowest and highest clock while it worked.
    working: Option<(f64, f64)>,
}

/// How a number went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// At the beginning.
    pub first: f64,
    /// At the end.
    pub last: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl Course {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let (first, last) = (*values.first()?, *values.last()?);
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { first, last, min, max, mean: values.iter().sum::<f64>() / values.len() as f64 })
    }
}

impl DeviceSpan {
    fn of(device: &str, conditions: &[&Condition]) -> Self {
        let course = |field: fn(&Condition) -> Option<f64>| {
            Course::of(conditions.iter().filter_map(|condition| field(condition)))
        };
        let reasons: BTreeSet<&String> =
            conditions.iter().flat_map(|condition| &condition.throttle_reasons).collect();
        let working = conditions.iter().filter(|condition| condition.utilisation >= Some(WORKING));
        let working = Course::of(working.filter_map(|condition| condition.core_clock));
        // A number is more than a reason: a process is listed only once it has used the card.
        let told = conditions.iter().filter_map(|condition| condition.process_memory.as_ref());
        let process_memory = told.reduce(|most, next| match (most, next) {
            (Ok(before), Ok(now)) if before > now => most,
            (Ok(_), Err(_)) => most,
            _ => next,
        });
        Self {
            device: device.to_owned(),
            temperature: course(|condition| condition.temperature),
            core_clock: course(|condition| condition.core_clock),
            utilisation: course(|condition| condition.utilisation),
            memory_used: course(|condition| condition.memory_used),
            process_memory: process_memory.cloned(),
            throttle_reasons: reasons.into_iter().cloned().collect(),
            working: working.map(|clock| (clock.min, clock.max)),
        }
    }

    /// The most memory that was in use on it.
    pub(crate) fn memory(&self) -> impl Iterator<Item = MemoryPeak> {
        let seen = |bytes: f64| Quantity::exact(bytes, "By", Source::Sensor);
        let process = self.process_memory.as_ref().map(|told| match told {
            Ok(bytes) => Ok(seen(*bytes)),
            Err(reason) => Err(reason.to_string()),
        });
        let used = self.memory_used.map(|course| seen(course.max));
        let device =
            used.ok_or_else(|| "nothing tells how much of its memory is in use".to_owned());
        let peak = |(kind, peak)| MemoryPeak { device: self.device.clone(), kind, peak };
        let process = process.map(|process| (MemoryKind::ProcessDevice, process));
        process.into_iter().chain([(MemoryKind::Device, device)]).map(peak)
    }

    /// What a reader must know.
    pub fn warnings(&self) -> Vec<Warning> {
        let device = || self.device.clone();
        let mut warnings = Vec::new();
        if !self.throttle_reasons.is_empty() {
            let reasons = self.throttle_reasons.clone();
            warnings.push(Warning::Throttled { device: device(), reasons });
        }
        if let Some((to, from)) = self.working.filter(|(min, max)| *min < *max * (1.0 - DROP)) {
            warnings.push(Warning::ClockDrop { device: device(), from, to });
        }
        if let Some(course) = self.temperature.filter(|c| (c.last - c.first).abs() > DRIFT) {
            let (from, to) = (course.first, course.last);
            warnings.push(Warning::TemperatureDrift { device: device(), from, to });
        }
        warnings
    }
}

/// The newest samples.
#[derive(Default)]
pub struct History {
    samples: HashMap<(Arc<str>, Arc<str>), VecDeque<Sample>>,
    conditions: HashMap<Arc<str>, VecDeque<(Seconds, Condition)>>,
    gaps: VecDeque<(Seconds, Seconds)>,
}

impl History {
    /// Notes that nothing was sampled in between.
    pub fn add_gap(&mut self, from: Seconds, to: Seconds) {
        push(&mut self.gaps, (from, to));
    }

    /// The longest time within a span in which nothing was sampled.
    pub fn gap(&self, from: Seconds, to: Seconds) -> Option<Warning> {
        let within = self.gaps.iter().filter(|gap| gap.0 < to && gap.1 > from);
        let length = within.map(|gap| gap.1 - gap.0).reduce(f64::max)?;
        Some(Warning::Gap { length })
    }

    /// Adds a sample.
    pub fn add(&mut self, sample: &Sample) {
        if let Some(condition) = &sample.condition {
            let kept = self.conditions.entry(Arc::clone(&sample.device)).or_default();
            push(kept, (sample.at, condition.clone()));
        }
        if sample.power.is_some() {
            let key = (Arc::clone(&sample.device), Arc::clone(&sample.domain));
            push(
                self.samples.entry(key).or_default(),
                Sample { condition: None, ..sample.clone() },
            );
        }
    }

    /// Samples of power from `from` on, by time.
    pub fn since(&self, from: Seconds) -> Vec<Sample> {
        let all = self.samples.values().flat_map(|kept| {
            let first = kept.partition_point(|sample| sample.at < from);
            kept.iter().skip(first).cloned()
        });
        let mut all: Vec<Sample> = all.collect();
        all.sort_by(|a, b| a.at.total_cmp(&b.at));
        all
    }

    /// How each device was from `from` to `to`, the last reading before it included.
    pub fn devices(&self, from: Seconds, to: Seconds) -> Vec<DeviceSpan> {
        let span = |(device, kept): (&Arc<str>, &VecDeque<(Seconds, Condition)>)| {
            let first = kept.partition_point(|(at, _)| *at < from).saturating_sub(1);
            let last = kept.partition_point(|(at, _)| *at <= to);
            let conditions: Vec<&Condition> =
                kept.range(first.min(last)..last).map(|(_, condition)| condition).collect();
            DeviceSpan::of(device, &conditions)
        };
        let mut spans: Vec<DeviceSpan> = self.conditions.iter().map(span).collect();
        spans.sort_by(|a, b| a.device.cmp(&b.device));
        spans
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(conditions: &[(f64, f64, f64)]) -> History {
        let mut history = History::default();
        for (index, &(temperature, core_clock, utilisation)) in conditions.iter().enumerate() {
            let condition = Condition {
                temperature: Some(temperature),
                core_clock: Some(core_clock),
                utilisation: Some(utilisation),
                ..Default::default()
            };
            history.add(&Sample {
                at: index as f64,
                device: "cuda:0".into(),
                domain: "gpu".into(),
                power: Some(300.0),
                energy: None,
                condition: Some(condition),
            });
        }
        history
    }

    #[test]
    fn a_resting_clock_is_no_drop_and_a_working_one_is() {
        let resting = history(&[(40.0, 345.0, 0.0), (41.0, 1980.0, 99.0), (42.0, 1980.0, 98.0)]);
        assert_eq!(resting.devices(0.0, 9.0)[0].warnings(), []);
        let falling = history(&[(40.0, 1980.0, 99.0), (41.0, 1200.0, 99.0), (52.0, 1980.0, 98.0)]);
        let kinds: Vec<_> =
            falling.devices(0.0, 9.0)[0].warnings().iter().map(|w| w.subject().0).collect();
        assert_eq!(kinds, ["clock-drop", "temperature-drift"]);
    }

    #[test]
    fn a_short_span_is_told_by_the_reading_before_it() {
        let history = history(&[(40.0, 1980.0, 99.0), (41.0, 1980.0, 99.0)]);
        let devices = history.devices(0.4, 0.5);
        assert_eq!(devices[0].temperature.map(|course| course.mean), Some(40.0));
        assert_eq!(history.since(0.5).len(), 1);
    }
}

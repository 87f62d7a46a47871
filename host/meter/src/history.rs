//! The samples of recent minutes: power of each domain, and now and then the condition of each device.

use crate::{
    clock::Seconds,
    domain::DomainId,
    memory::{MemoryKind, MemoryPeak, NoProcessMemory},
    warning::Warning,
};
use llem_quantity::{Cause, Quantity, Source, Unavailable};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// The number of samples that are remembered of each domain: eleven minutes at 10 ms.
const REMEMBERED: usize = 65_536;

/// A change of temperature within a window that gives a warning, K. Leakage changes power by about 1 % for every few
/// kelvin, so a smaller change is lost in the differences from run to run.
const DRIFT: f64 = 5.0;

/// A device counts as working if it is busy for at least this share of its time, %.
const WORKING: f64 = 50.0;

/// A fall of a working device's clock by this share gives a warning.
const DROP: f64 = 0.1;

/// The condition of a device at one moment. A field is `None` if the device does not report it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Temperature, Cel.
    pub temperature: Option<f64>,
    /// Clock of the cores, MHz.
    pub core_clock: Option<f64>,
    /// Clock of the memory, MHz.
    pub memory_clock: Option<f64>,
    /// Share of the time in which the device is busy, %.
    pub utilisation: Option<f64>,
    /// Memory in use, bytes.
    pub memory_used: Option<f64>,
    /// Memory that this process uses, bytes, or why it is not known. `None` for a processor.
    pub process_memory: Option<Result<f64, NoProcessMemory>>,
    /// Why the device is held below its clock, in NVML's words.
    pub throttle_reasons: Vec<String>,
}

/// One sample of a domain.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When the sample was taken, on the meter's clock, s.
    pub at: Seconds,
    /// The domain.
    pub id: Arc<DomainId>,
    /// Power, W: the sensor's reading, or the counter's gain divided by the time since it last moved.
    pub power: Option<f64>,
    /// Energy since the meter started, J.
    pub energy: Option<f64>,
    /// The condition of the device. Not every sample has one, and only one domain of a device has it.
    pub condition: Option<Condition>,
}

/// How the condition of a device went over a window. A field is `None` if the device did not report it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSummary {
    /// The device's id.
    pub device: String,
    /// Temperature, Cel.
    pub temperature: Option<Summary>,
    /// Clock of the cores, MHz.
    pub core_clock: Option<Summary>,
    /// Share of the time in which the device was busy, %.
    pub utilisation: Option<Summary>,
    /// Memory in use, bytes.
    pub memory_used: Option<Summary>,
    /// The most memory that this process used, bytes, or why it is not known. `None` for a processor.
    pub process_memory: Option<Result<f64, NoProcessMemory>>,
    /// Why the device was held below its clock, each reason once.
    pub throttle_reasons: Vec<String>,
    /// The lowest and the highest core clock while the device worked, MHz.
    working_clock: Option<(f64, f64)>,
}

/// The readings of one number over a window, summarised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The reading at the beginning.
    pub first: f64,
    /// The reading at the end.
    pub last: f64,
    /// The lowest reading.
    pub min: f64,
    /// The highest reading.
    pub max: f64,
    /// The mean of all readings.
    pub mean: f64,
}

impl Summary {
    /// Summarises values. Returns `None` if there are none.
    fn from_values(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let (first, last) = (*values.first()?, *values.last()?);
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { first, last, min, max, mean: values.iter().sum::<f64>() / values.len() as f64 })
    }
}

impl DeviceSummary {
    fn new(device: &str, conditions: &[&Condition]) -> Self {
        let summary = |field: fn(&Condition) -> Option<f64>| {
            Summary::from_values(conditions.iter().filter_map(|condition| field(condition)))
        };
        let reasons: BTreeSet<&String> =
            conditions.iter().flat_map(|condition| &condition.throttle_reasons).collect();
        let working = conditions.iter().filter(|condition| condition.utilisation >= Some(WORKING));
        let working = Summary::from_values(working.filter_map(|condition| condition.core_clock));
        // A number is preferred to a reason, because a process is listed only once it has used the card.
        let known = conditions.iter().filter_map(|condition| condition.process_memory.as_ref());
        let process_memory = known.reduce(|most, next| match (most, next) {
            (Ok(before), Ok(now)) if before > now => most,
            (Ok(_), Err(_)) => most,
            _ => next,
        });
        Self {
            device: device.to_owned(),
            temperature: summary(|condition| condition.temperature),
            core_clock: summary(|condition| condition.core_clock),
            utilisation: summary(|condition| condition.utilisation),
            memory_used: summary(|condition| condition.memory_used),
            process_memory: process_memory.cloned(),
            throttle_reasons: reasons.into_iter().cloned().collect(),
            working_clock: working.map(|clock| (clock.min, clock.max)),
        }
    }

    /// Returns the peaks of the device's memory: of this process if it is an accelerator, and of everything on it.
    pub(crate) fn memory(&self) -> impl Iterator<Item = MemoryPeak> {
        let bytes = |bytes: f64| Quantity::exact(bytes, "By", Source::Sensor);
        let process = self.process_memory.as_ref().map(|known| match known {
            Ok(most) => Ok(bytes(*most)),
            Err(reason) => Err(Unavailable::new(reason.cause(), reason.to_string())),
        });
        let used = self.memory_used.map(|summary| bytes(summary.max));
        let device = used.ok_or_else(|| {
            let detail = "nothing tells how much of its memory is in use";
            Unavailable::new(Cause::NotSupported, detail)
        });
        let peak = |(kind, peak)| MemoryPeak { device: self.device.clone(), kind, peak };
        let process = process.map(|process| (MemoryKind::ProcessDevice, process));
        process.into_iter().chain([(MemoryKind::Device, device)]).map(peak)
    }

    /// Returns what a reader of the window's numbers must know of this device.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let device = || self.device.clone();
        let mut warnings = Vec::new();
        if !self.throttle_reasons.is_empty() {
            let reasons = self.throttle_reasons.clone();
            warnings.push(Warning::Throttled { device: device(), reasons });
        }
        let clock = self.working_clock.filter(|(min, max)| *min < *max * (1.0 - DROP));
        if let Some((to, from)) = clock {
            warnings.push(Warning::ClockDrop { device: device(), from, to });
        }
        if let Some(summary) = self.temperature.filter(|t| (t.last - t.first).abs() > DRIFT) {
            let (from, to) = (summary.first, summary.last);
            warnings.push(Warning::TemperatureDrift { device: device(), from, to });
        }
        warnings
    }
}

/// The newest samples of all domains and the newest conditions of all devices.
#[derive(Default)]
pub(crate) struct History {
    samples: HashMap<Arc<DomainId>, VecDeque<Sample>>,
    conditions: HashMap<String, VecDeque<(Seconds, Condition)>>,
    gaps: VecDeque<(Seconds, Seconds)>,
}

impl History {
    /// Notes that nothing was sampled between two moments.
    pub(crate) fn add_gap(&mut self, from: Seconds, to: Seconds) {
        push(&mut self.gaps, (from, to));
    }

    /// Returns a warning with the longest time within a window in which nothing was sampled.
    pub(crate) fn gap(&self, from: Seconds, to: Seconds) -> Option<Warning> {
        let within = self.gaps.iter().filter(|gap| gap.0 < to && gap.1 > from);
        let length = within.map(|gap| gap.1 - gap.0).reduce(f64::max)?;
        Some(Warning::Gap { length })
    }

    pub(crate) fn add(&mut self, sample: &Sample) {
        if let Some(condition) = &sample.condition {
            let known = self.conditions.entry(sample.id.device.clone()).or_default();
            push(known, (sample.at, condition.clone()));
        }
        if sample.power.is_some() {
            let known = self.samples.entry(Arc::clone(&sample.id)).or_default();
            push(known, Sample { condition: None, ..sample.clone() });
        }
    }

    /// Returns the samples of power from `from` on, in order of time.
    pub(crate) fn since(&self, from: Seconds) -> Vec<Sample> {
        let all = self.samples.values().flat_map(|known| {
            let first = known.partition_point(|sample| sample.at < from);
            known.iter().skip(first).cloned()
        });
        let mut all: Vec<Sample> = all.collect();
        all.sort_by(|a, b| a.at.total_cmp(&b.at));
        all
    }

    /// Returns a summary of each device from `from` to `to`. The last reading before `from` is included.
    pub(crate) fn devices(&self, from: Seconds, to: Seconds) -> Vec<DeviceSummary> {
        let summary = |(device, known): (&String, &VecDeque<(Seconds, Condition)>)| {
            let first = known.partition_point(|(at, _)| *at < from).saturating_sub(1);
            let last = known.partition_point(|(at, _)| *at <= to);
            let conditions: Vec<&Condition> =
                known.range(first.min(last)..last).map(|(_, condition)| condition).collect();
            DeviceSummary::new(device, &conditions)
        };
        let mut summaries: Vec<DeviceSummary> = self.conditions.iter().map(summary).collect();
        summaries.sort_by(|a, b| a.device.cmp(&b.device));
        summaries
    }
}

fn push<T>(queue: &mut VecDeque<T>, new: T) {
    if queue.len() == REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(new);
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
                id: Arc::new(DomainId::new("cuda:0", "gpu")),
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
        assert_eq!(devices[0].temperature.map(|summary| summary.mean), Some(40.0));
        assert_eq!(history.since(0.5).len(), 1);
    }
}

//! What a live view needs of the events of a run. The events themselves are large, and go to the journal.

use crate::{
    untrusted::{cell, line},
    watch::message::RunMessage,
};
use llem_meter::Sample;
use llem_quantity::ReadingRecord;
use llem_record::{DeviceRecord, Event, RunPlan, RunStatus, SequenceRecord, WindowRecord};
use std::collections::BTreeMap;

/// A change of what a live view shows. All texts in it are safe to print.
#[derive(Clone, Debug)]
pub(super) enum Update {
    Started(Box<StartedRun>),
    /// A model was loaded: its source, number format and device.
    Model(String),
    PhaseBegan(String),
    /// A phase ended. The phase around it goes on; empty if there is none.
    PhaseEnded {
        around: String,
    },
    /// The script's progress. A `total` of 0 means unknown.
    Progress {
        done: u64,
        total: u64,
        label: String,
    },
    /// A request begins that generates or scores at most `most` tokens.
    RequestBegan {
        label: String,
        most: u64,
    },
    /// A static request ended.
    Generated {
        phase: String,
        sequences: Vec<TokenTimes>,
        window: MeasuredWindow,
    },
    /// A call of `score` has come so far.
    Scoring {
        requests: u64,
        completed: u64,
        tokens: u64,
    },
    /// A call of `score` ended.
    Scored {
        phase: String,
        tokens: u64,
        window: MeasuredWindow,
    },
    BatchOpened {
        batch: u64,
        most: u64,
    },
    /// Sequences were added to a batch.
    BatchRequest {
        batch: u64,
        sequences: Vec<u64>,
    },
    /// Sequences of a batch, by name, have new tokens.
    BatchProgress {
        batch: u64,
        phase: String,
        sequences: Vec<(u64, TokenTimes)>,
    },
    /// A sequence of a batch ended.
    BatchEnded {
        batch: u64,
        name: u64,
        phase: String,
        times: TokenTimes,
        energy: Option<ReadingRecord>,
    },
    /// What meters the domains of the machine.
    Domains(Vec<DomainSource>),
    /// The mean power of each domain over about a second, and the condition of each device.
    Samples {
        power: Vec<DomainPower>,
        conditions: Vec<DeviceCondition>,
    },
    Message(RunMessage),
    Ended {
        status: RunStatus,
        error: Option<String>,
    },
}

/// What is known of a run when it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct StartedRun {
    pub id: String,
    /// The components' names with their versions.
    pub experiment: String,
    /// The default model's source and device.
    pub model: String,
    pub deadline_s: Option<u64>,
    /// The moment at which the run's clock was 0, in nanoseconds since 1970-01-01 UTC.
    pub unix_ns: i64,
    pub is_synthetic: bool,
}

/// When tokens of one sequence were on the host.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenTimes {
    /// When the sequence was submitted, or arrived, ns since the run began.
    pub submitted_ns: u64,
    /// Index of the first of these tokens among the sequence's tokens.
    pub first: u32,
    /// Times of the tokens, ns since the run began.
    pub token_ns: Vec<u64>,
}

/// The energy of a request's own window, and the state of the devices in it.
#[derive(Clone, Debug)]
pub(super) struct MeasuredWindow {
    /// When the window was closed, ns since the run began.
    pub ended_ns: u64,
    pub energy: ReadingRecord,
    /// The mean power of each domain.
    pub power: Vec<DomainPower>,
    pub conditions: Vec<DeviceCondition>,
}

/// A domain, and why nothing meters it if so.
#[derive(Clone, Debug)]
pub(super) struct DomainSource {
    pub device: String,
    pub domain: String,
    pub unavailable: Option<String>,
}

/// The mean power of a domain over a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DomainPower {
    pub device: String,
    pub domain: String,
    /// Mean power, W.
    pub watts: f64,
}

/// The last known condition of a device. A field is `None` if it is not reported.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DeviceCondition {
    pub device: String,
    /// Temperature, Cel.
    pub temperature: Option<f64>,
    /// Clock of the cores, MHz.
    pub core_clock: Option<f64>,
}

impl Update {
    /// Returns what an event changes, or `None` if a view does not show it.
    pub(super) fn from_event(event: &Event) -> Option<Self> {
        if let Some(message) = RunMessage::from_event(event) {
            return Some(Self::Message(message));
        }
        Some(match event {
            Event::Started { id, unix_ns, plan, .. } => {
                Self::Started(Box::new(StartedRun::new(id, *unix_ns, plan.as_deref())))
            }
            Event::Model(model) => {
                let format = model.quantization.as_ref().unwrap_or(&model.dtype);
                Self::Model(format!(
                    "{} in {} on {}",
                    cell(&model.source),
                    cell(format),
                    cell(&model.device)
                ))
            }
            Event::PhaseBegan { phase } => Self::PhaseBegan(cell(phase)),
            Event::PhaseEnded { phase, .. } => Self::PhaseEnded {
                around: cell(phase.rsplit_once('/').map_or("", |(around, _)| around)),
            },
            Event::Generation(generation) => Self::Generated {
                phase: cell(&generation.window.phase),
                sequences: generation.sequences.iter().map(TokenTimes::from).collect(),
                window: MeasuredWindow::from(&generation.window),
            },
            Event::ScoreProgress(progress) => Self::Scoring {
                requests: progress.requests,
                completed: progress.completed,
                tokens: progress.scored_tokens,
            },
            Event::Score(call) => Self::Scored {
                phase: cell(&call.window.phase),
                tokens: call.scored_tokens,
                window: MeasuredWindow::from(&call.window),
            },
            Event::BatchOpened(batch) => {
                Self::BatchOpened { batch: batch.batch, most: batch.max_sequences }
            }
            Event::BatchRequest(request) => {
                Self::BatchRequest { batch: request.batch, sequences: request.sequences.clone() }
            }
            Event::BatchProgress(progress) => {
                let times = progress.sequences.iter().map(|sequence| {
                    let token_ns = sequence.token_ns.clone();
                    let (submitted_ns, first) = (sequence.submitted_ns, sequence.first);
                    (sequence.name, TokenTimes { submitted_ns, first, token_ns })
                });
                let phase = progress.sequences.first().map(|first| cell(&first.phase));
                Self::BatchProgress {
                    batch: progress.batch,
                    phase: phase.unwrap_or_default(),
                    sequences: times.collect(),
                }
            }
            Event::BatchSequence(ended) => Self::BatchEnded {
                batch: ended.batch,
                name: ended.name,
                phase: cell(&ended.phase),
                times: TokenTimes::from(&ended.sequence),
                energy: ended.sequence.energy.as_ref().map(|energy| energy.share.clone()),
            },
            Event::Devices { devices } => {
                Self::Domains(devices.iter().flat_map(DomainSource::of_device).collect())
            }
            Event::Ended { status, error } => {
                Self::Ended { status: *status, error: error.as_deref().map(line) }
            }
            _ => return None,
        })
    }

    /// Summarises the samples of about one second.
    pub(super) fn from_samples(samples: &[Sample]) -> Self {
        let (mut sums, mut conditions) = (BTreeMap::new(), BTreeMap::new());
        for sample in samples {
            if let Some(watts) = sample.power {
                let (sum, count) = sums.entry(&*sample.id).or_insert((0.0, 0.0));
                *sum += watts;
                *count += 1.0;
            }
            if let Some(condition) = &sample.condition {
                conditions.insert(&sample.id.device, condition);
            }
        }
        let power = sums.into_iter().map(|(id, (sum, count))| DomainPower {
            device: cell(&id.device),
            domain: cell(&id.domain),
            watts: sum / count,
        });
        let conditions = conditions.into_iter().map(|(device, condition)| DeviceCondition {
            device: cell(device),
            temperature: condition.temperature,
            core_clock: condition.core_clock,
        });
        Self::Samples { power: power.collect(), conditions: conditions.collect() }
    }
}

impl StartedRun {
    fn new(id: &str, unix_ns: i64, plan: Option<&RunPlan>) -> Self {
        let Some(plan) = plan else { return Self { id: cell(id), unix_ns, ..Self::default() } };
        let names = plan.components.iter().filter(|component| !component.is_shipped);
        let names = names.map(|component| format!("{} {}", component.name, component.version));
        Self {
            id: cell(id),
            experiment: cell(&names.collect::<Vec<_>>().join(" + ")),
            model: format!("{} on {}", cell(&plan.grants.model), cell(&plan.grants.device)),
            deadline_s: plan.limits.get("deadline_s").copied(),
            unix_ns,
            is_synthetic: plan.synthetic_host.is_some(),
        }
    }
}

impl From<&SequenceRecord> for TokenTimes {
    fn from(sequence: &SequenceRecord) -> Self {
        let (submitted_ns, token_ns) = (sequence.submitted_ns, sequence.token_ns.clone());
        Self { submitted_ns, first: 0, token_ns }
    }
}

impl From<&WindowRecord> for MeasuredWindow {
    fn from(window: &WindowRecord) -> Self {
        let seconds = window.wall_ns as f64 * 1e-9;
        let power = window.energy.iter().filter_map(|energy| match &energy.energy {
            ReadingRecord::Known(joules) if seconds > 0.0 => Some(DomainPower {
                device: cell(&energy.device),
                domain: cell(&energy.domain),
                watts: joules.value / seconds,
            }),
            _ => None,
        });
        let conditions = window.devices.iter().map(|device| DeviceCondition {
            device: cell(&device.device),
            temperature: device.temperature.map(|course| course.last),
            core_clock: device.core_clock.map(|course| course.last),
        });
        Self {
            ended_ns: window.started_ns + window.wall_ns,
            energy: window.energy_total.clone(),
            power: power.collect(),
            conditions: conditions.collect(),
        }
    }
}

impl DomainSource {
    fn of_device(device: &DeviceRecord) -> impl Iterator<Item = Self> {
        device.gauges.iter().map(|gauge| Self {
            device: cell(&device.id),
            domain: cell(&gauge.domain),
            unavailable: gauge.unavailable.as_deref().map(line),
        })
    }
}

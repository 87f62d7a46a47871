//! What was measured in a run, as one sum, for tools that have one number a run.
//!
//! ```text
//! windows of the journal     [ warmup ]   [ script's window              ]        [ request ]
//!                                           [ request ] [ request ]
//! measured                                └──────────────────────────────┘        └─────────┘
//! ```
//!
//! The sum is over the outermost windows outside of load, baseline and warm-up. They do not overlap, so no joule counts twice.

use crate::journal::{Journal, is_preparation};
use llem_quantity::{Cause, Quantity, Reading, ReadingRecord, Unavailable};
use llem_record::{Activity, DeviceEnergyRecord, DomainRecord, WindowRecord};

/// The sum over the outermost windows of a run's measured phases.
pub(crate) struct Measured {
    /// Number of windows in the sum.
    pub windows: usize,
    /// When the first window was opened, ns since the run began.
    pub started_ns: u64,
    /// When the last window was closed, ns since the run began.
    pub ended_ns: u64,
    /// How long the windows were open, all together, ns.
    pub wall_ns: u64,
    /// The work in the windows.
    pub activity: Activity,
    /// Energy of the processor and of the devices that did the work, J.
    pub energy: Reading,
    /// `energy` less what the same domains would have used at rest, J.
    pub energy_above_idle: Reading,
    /// Energy of the processor's packages, J.
    pub cpu: Reading,
    /// Energy of the processor's memory, J.
    pub memory: Reading,
    /// Energy of the accelerators that did the work, J.
    pub accelerators: Reading,
    /// Energy of each accelerator, J, by its id.
    pub by_accelerator: Vec<(String, Reading)>,
    /// The domains in `energy`.
    pub covers: Vec<DomainRecord>,
}

impl Measured {
    /// Adds up the windows of a journal, or those of a record if there is no journal.
    pub(crate) fn new(recorded: &[WindowRecord], journal: &Journal) -> Result<Self, Unavailable> {
        let all = if journal.is_there { &journal.windows[..] } else { recorded };
        let windows = outermost(all)?;
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
            let why = match journal.is_there {
                true => "nothing ran in a window outside of load, baseline and warm-up",
                false => {
                    "there is no events.jsonl beside run.json, which has the windows of requests: export the whole folder"
                }
            };
            return Err(Unavailable::new(Cause::NoWork, why));
        };
        is_complete(&windows, journal)?;
        let mut activity = Activity::default();
        windows.iter().for_each(|window| activity.add(&window.activity));
        let sum =
            |part: &dyn Fn(&WindowRecord) -> Reading| total(windows.iter().map(|of| part(of)));
        let domains = |part: fn(&DeviceEnergyRecord) -> bool, what: &str| {
            sum(&|window| total_of(window.energy.iter().filter(|domain| part(domain)), what))
        };
        let mut ids: Vec<&String> = Vec::new();
        for domain in windows.iter().flat_map(|window| &window.energy_covers) {
            if domain.device != "cpu" && !ids.contains(&&domain.device) {
                ids.push(&domain.device);
            }
        }
        let of_accelerator = |id: &String| {
            sum(&|window| {
                let own = window.energy.iter().filter(|domain| domain.device == *id);
                total_of(own, "this accelerator")
            })
        };
        let alike = match windows.iter().all(|window| window.energy_covers == first.energy_covers) {
            true => Ok(()),
            false => Err(Unavailable::new(
                Cause::NotSeparable,
                "the windows cover different devices, so their energies have no sum: export the windows by mlflow or wandb",
            )),
        };
        Ok(Self {
            windows: windows.len(),
            started_ns: first.started_ns,
            ended_ns: last.started_ns + last.wall_ns,
            wall_ns: windows.iter().map(|window| window.wall_ns).sum(),
            activity,
            energy: alike.clone().and_then(|()| sum(&|window| window.energy_total.reading())),
            energy_above_idle: alike.and_then(|()| {
                sum(&|window| {
                    part(
                        window.energy_above_idle.as_ref(),
                        "no baseline is known: measure one in the run",
                    )
                })
            }),
            cpu: domains(is_package, "the processor"),
            memory: domains(is_memory, "the processor's memory"),
            accelerators: sum(&|window| {
                part(window.energy_accelerators.as_ref(), "no accelerator did the work")
            }),
            by_accelerator: ids.into_iter().map(|id| (id.clone(), of_accelerator(id))).collect(),
            covers: first.energy_covers.clone(),
        })
    }

    /// Returns how long the windows were open, s.
    pub(crate) fn seconds(&self) -> f64 {
        self.wall_ns as f64 * 1e-9
    }
}

/// Returns the windows of measured phases that are in no other, in order of time.
fn outermost(windows: &[WindowRecord]) -> Result<Vec<&WindowRecord>, Unavailable> {
    let mut sorted: Vec<&WindowRecord> =
        windows.iter().filter(|window| !is_preparation(&window.phase)).collect();
    sorted.sort_by_key(|window| (window.started_ns, std::cmp::Reverse(window.wall_ns)));
    let mut outermost: Vec<&WindowRecord> = Vec::new();
    for window in sorted {
        let end = window.started_ns + window.wall_ns;
        match outermost.last().map(|last| last.started_ns + last.wall_ns) {
            Some(last) if end <= last => {}
            Some(last) if window.started_ns < last => {
                let why = "windows overlap without one being inside the other, so their energies have no sum: export the windows by mlflow or wandb";
                return Err(Unavailable::new(Cause::NotSeparable, why));
            }
            _ => outermost.push(window),
        }
    }
    Ok(outermost)
}

/// Fails if sequences of continuous batches ran outside of these windows, because their energy would be missing.
fn is_complete(windows: &[&WindowRecord], journal: &Journal) -> Result<(), Unavailable> {
    let is_inside = |t_ns: u64| {
        windows.iter().any(|of| (of.started_ns..=of.started_ns + of.wall_ns).contains(&t_ns))
    };
    let mut batched =
        journal.sequences.iter().filter(|of| of.is_batched && !is_preparation(&of.phase));
    match batched.all(|of| of.token_ns.iter().all(|&t_ns| is_inside(t_ns))) {
        true => Ok(()),
        false => Err(Unavailable::new(
            Cause::NotSeparable,
            "sequences of continuous batches ran outside of windows: open a window around the batch in the script",
        )),
    }
}

/// Adds readings. The sum is not known if one of them is not.
fn total(readings: impl IntoIterator<Item = Reading>) -> Reading {
    let mut sum: Option<Quantity> = None;
    for reading in readings {
        let reading = reading?;
        sum = match sum {
            Some(sum) => sum.plus(&reading),
            None => Some(reading),
        };
    }
    sum.ok_or_else(|| Unavailable::new(Cause::NoWork, "there is nothing to add"))
}

/// Adds the energies of a window's domains, of which `what` is the name.
fn total_of<'a>(domains: impl Iterator<Item = &'a DeviceEnergyRecord>, what: &str) -> Reading {
    let mut domains = domains.peekable();
    if domains.peek().is_none() {
        let why = format!("nothing meters {what} on its own");
        return Err(Unavailable::new(Cause::NotSupported, why));
    }
    total(domains.map(|domain| domain.energy.reading()))
}

fn part(part: Option<&ReadingRecord>, why: &str) -> Reading {
    part.map_or_else(|| Err(Unavailable::new(Cause::NoWork, why)), ReadingRecord::reading)
}

fn is_memory(domain: &DeviceEnergyRecord) -> bool {
    domain.device == "cpu" && domain.domain.starts_with("dram")
}

fn is_package(domain: &DeviceEnergyRecord) -> bool {
    domain.device == "cpu" && !is_memory(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::SequenceTimes;
    use serde_json::json;

    /// A window at 1 W, in which one token was generated.
    fn window(phase: &str, started_ms: u64, wall_ms: u64) -> WindowRecord {
        let energy = json!({ "value": wall_ms as f64 * 1e-3, "uncertainty": 0.0, "unit": "J", "source": "rapl" });
        let value = json!({
            "label": "", "phase": phase, "started_ns": started_ms * 1_000_000, "wall_ns": wall_ms * 1_000_000,
            "energy": [{ "device": "cpu", "domain": "package-0", "energy": energy }],
            "energy_total": energy,
            "activity": { "requests": 1, "prompt_tokens": 3, "output_tokens": 1, "prefill_ns": 0, "decode_ns": 0,
                "flops_estimated": { "prefill": 0.0, "decode": 0.0, "total": 0.0 } },
        });
        serde_json::from_value(value).expect("a window")
    }

    fn measured(windows: Vec<WindowRecord>) -> Result<Measured, Unavailable> {
        Measured::new(&[], &Journal { is_there: true, windows, sequences: Vec::new() })
    }

    #[test]
    fn a_window_within_another_does_not_count_twice() {
        let windows = vec![
            window("measure", 20, 10),
            window("measure", 35, 5),
            window("measure", 10, 30),
            window("measure", 50, 10),
            window("warmup", 0, 5),
            window("measure/baseline", 70, 5),
        ];
        let sum = measured(windows).expect("a sum");
        assert_eq!((sum.windows, sum.wall_ns, sum.activity.output_tokens), (2, 40_000_000, 2));
        assert_eq!((sum.started_ns, sum.ended_ns), (10_000_000, 60_000_000));
        let [energy, cpu] = [&sum.energy, &sum.cpu].map(|of| of.as_ref().expect("joules").value);
        assert!((energy - 0.04).abs() < 1e-12 && energy == cpu);
        assert!(sum.memory.is_err() && sum.accelerators.is_err());
    }

    #[test]
    fn windows_that_overlap_have_no_sum() {
        let overlapping = vec![window("measure", 0, 10), window("measure", 5, 10)];
        assert_eq!(measured(overlapping).err().map(|why| why.cause), Some(Cause::NotSeparable));
        let touching = vec![window("measure", 0, 10), window("measure", 10, 10)];
        assert_eq!(measured(touching).ok().map(|sum| sum.wall_ns), Some(20_000_000));
    }

    #[test]
    fn energies_of_unlike_devices_have_no_sum() {
        let mut other = window("measure", 10, 10);
        other.energy_covers =
            vec![DomainRecord { device: "cuda:0".to_owned(), domain: "gpu".to_owned() }];
        let sum = measured(vec![window("measure", 0, 10), other]).expect("times have a sum");
        assert_eq!(sum.wall_ns, 20_000_000);
        assert_eq!(sum.energy.err().map(|why| why.cause), Some(Cause::NotSeparable));
    }

    #[test]
    fn batches_outside_of_windows_have_no_sum() {
        let batched = |phase: &str, ms: u64| SequenceTimes {
            phase: phase.to_owned(),
            is_batched: true,
            submitted_ns: 0,
            token_ns: vec![ms * 1_000_000],
        };
        let sum = |sequence| {
            let windows = vec![window("measure", 0, 10)];
            Measured::new(&[], &Journal { is_there: true, windows, sequences: vec![sequence] })
        };
        assert!(sum(batched("measure", 5)).is_ok());
        assert!(sum(batched("measure", 15)).is_err());
        assert!(sum(batched("warmup", 15)).is_ok());
    }

    #[test]
    fn without_a_measured_window_there_is_no_sum() {
        assert_eq!(
            measured(vec![window("warmup", 0, 5)]).err().map(|why| why.cause),
            Some(Cause::NoWork)
        );
    }
}

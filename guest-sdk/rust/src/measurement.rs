//! The measurement of a closed window: time, energy, tokens, operations and the state of devices.

use crate::{
    bindings::meter,
    quantity::{Reading, reading_from},
    reading,
};

pub use meter::{Course, Domain, Throttling};

/// The measurement of a closed [`Window`](crate::Window). A number that was not measured is `Err` with the reason.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// The label that the window was opened with.
    pub label: String,
    /// When the window opened, in ns since the run began.
    pub started: u64,
    /// The time from opening to closing on the monotonic clock, in ns. Both are read after all device work has ended.
    pub wall_time: u64,
    /// Warnings for a reader of the numbers: a device was throttled, its clock fell, it got warmer, or two sources
    /// disagree.
    pub warnings: Vec<String>,
    /// The energy of each power domain of each device, in J.
    pub energy: Vec<DeviceEnergy>,
    /// The total energy of the domains in `energy_covers`, in J: of the CPU, and of the devices that held a model while
    /// the window was open. It is `Err` if a device that did work is not measured.
    pub energy_total: Reading,
    /// The domains that `energy_total` is the sum of. The CPU is among them if its counters can be read.
    pub energy_covers: Vec<Domain>,
    /// The energy of the CPU's packages and memory, in J.
    pub energy_cpu: Reading,
    /// The energy of the accelerators that held a model, in J.
    pub energy_accelerators: Reading,
    /// The part of `energy_total` used by prompt processing, in J. The parts prefill, decode, mixed and outside add up
    /// to `energy_total`.
    pub energy_prefill: Reading,
    /// The part of `energy_total` used by steps in which sequences only generated, in J.
    pub energy_decode: Reading,
    /// The part of `energy_total` used by steps of continuous batches that ran prompts and decode together, in J.
    pub energy_mixed: Reading,
    /// The part of `energy_total` used outside of steps: between them, and by other work of the script, in J.
    pub energy_outside: Reading,
    /// `energy_total` divided by the number of generated tokens, in J/{token}.
    pub energy_per_output_token: Reading,
    /// `energy_total` minus the energy that the machine would have used at rest, in J. It is `Err` if no baseline was
    /// measured or found.
    pub energy_above_idle: Reading,
    /// The number of devices that held a model, or a part of one, while the window was open.
    pub devices_used: u32,
    /// The energy imbalance of the devices that held a model: the highest energy of a device minus their mean, as a
    /// share of the mean. It is `Err` if fewer than two of them are measured.
    pub energy_imbalance: Reading,
    /// The parts of the window between marks. A window without marks has one segment with an empty label.
    pub segments: Vec<Segment>,
    /// The work of the engine while the window was open.
    pub activity: Activity,
    /// The ranks of split models, in order. Empty if no model is split.
    pub ranks: Vec<RankActivity>,
    /// The first, last, lowest, highest and mean value of each device reading: temperature, clock, utilisation, memory.
    pub courses: Vec<Course>,
    /// The devices whose clocks were throttled, with the reasons.
    pub throttled: Vec<Throttling>,
    /// The peak memory use of each device.
    pub memory_peaks: Vec<MemoryPeak>,
}

impl Measurement {
    /// Returns the course of the temperature of each device that reports it, in Cel.
    pub fn temperatures(&self) -> impl Iterator<Item = &Course> {
        self.courses.iter().filter(|course| course.reading == "temperature")
    }

    /// Returns the part of `energy_total` that some devices used, in J.
    ///
    /// `device` is an id (`cuda:0`) or a kind (`cpu`, `cuda`). `domain` is a power domain (`package-0`), or what several
    /// are called before their number (`package`, `dram`). `None` means all domains of the devices. The energy is
    /// unavailable if `energy_total` has no such domain, or if one of them was not measured.
    pub fn energy_of(&self, device: &str, domain: Option<&str>) -> Reading {
        let is_covered = |one: &DeviceEnergy| {
            let mut covers = self.energy_covers.iter();
            covers.any(|covered| covered.device == one.device && covered.domain == one.domain)
        };
        let is_asked = |one: &DeviceEnergy| {
            is_of(&one.device, device, ':')
                && domain.is_none_or(|domain| is_of(&one.domain, domain, '-'))
        };
        let found = self.energy.iter().filter(|one| is_covered(one) && is_asked(one));
        let asked = named(device, domain);
        let otherwise = format!("no energy of {asked} is part of the total");
        reading::total(found.map(|one| &one.energy), &otherwise)
    }

    /// Returns the peak memory use of a kind in By, summed over devices. `kind` is `process-resident`,
    /// `process-device` or `device` (see [`MemoryPeak::kind`]). `device` is an id or a kind of device, as in
    /// [`Self::energy_of`]. `None` means all devices.
    pub fn memory_peak(&self, kind: &str, device: Option<&str>) -> Reading {
        let is_asked = |one: &MemoryPeak| {
            one.kind == kind && device.is_none_or(|device| is_of(&one.device, device, ':'))
        };
        let found = self.memory_peaks.iter().filter(|one| is_asked(one));
        let otherwise = format!("no memory of the kind {} was read", named(kind, device));
        reading::total(found.map(|one| &one.peak), &otherwise)
    }
}

/// Returns whether a name is this one, or this one followed by a separator and a number.
fn is_of(name: &str, group: &str, separator: char) -> bool {
    name.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Returns two words, or only the first.
fn named(one: &str, other: Option<&str>) -> String {
    other.map_or_else(|| one.to_owned(), |other| format!("{one} {other}"))
}

/// The work of the engine while a window was open, summed over all models. A mixed step is a step of a continuous batch
/// that runs prompts and decode together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// The number of requests (sequences) that began.
    pub requests: u64,
    /// The number of prompt tokens that were processed.
    pub prompt_tokens: u64,
    /// The number of generated tokens.
    pub output_tokens: u64,
    /// The time spent in prefill, in ns.
    pub prefill_time: u64,
    /// The time spent in decode, in ns.
    pub decode_time: u64,
    /// The time spent in mixed steps, in ns.
    pub mixed_time: u64,
    /// The number of prompt tokens in mixed steps. They are included in `prompt_tokens`.
    pub mixed_prompt_tokens: u64,
    /// The number of tokens generated in mixed steps. They are included in `output_tokens`.
    pub mixed_output_tokens: u64,
    /// The operations that prefill needed, estimated from the model's shape, in FLOP.
    pub flops_prefill: f64,
    /// The operations that decode needed, estimated from the model's shape, in FLOP.
    pub flops_decode: f64,
    /// The operations that mixed steps needed, estimated from the model's shape, in FLOP.
    pub flops_mixed: f64,
}

/// The energy of one power domain of a device over a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceEnergy {
    /// The device's id: `cpu`, `cuda:0`.
    pub device: String,
    /// The power domain within it: `package-0`, `dram`, `gpu`.
    pub domain: String,
    /// The energy in J. The uncertainty comes from the time between the counter's ticks and the ends of the window.
    pub energy: Reading,
}

/// The part of a window from one mark to the next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// The label of the mark that the segment begins with. It is empty for the segment before the first mark.
    pub label: String,
    /// When the segment began, in ns since the run began.
    pub started: u64,
    /// The length of the segment, in ns.
    pub wall_time: u64,
    /// The segment's part of `energy_total`, in J. The parts of all segments add up to it.
    pub energy: Reading,
}

/// The communication time of one rank of a split model in a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RankActivity {
    /// The id of the rank's device.
    pub device: String,
    /// The time that the rank spent in communication with other ranks, including waiting for them, in s.
    pub communication: Reading,
}

/// The peak memory use of a device in a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryPeak {
    /// The device's id.
    pub device: String,
    /// The kind of memory use: `process-resident` (of this process, in the host's memory), `process-device` (of this
    /// process, on an accelerator), `device` (of all processes on the device).
    pub kind: String,
    /// The highest memory use at any moment of the window, in By.
    pub peak: Reading,
}

impl From<&meter::Measurement> for Measurement {
    fn from(from: &meter::Measurement) -> Self {
        let energy = |one: meter::DeviceEnergy| DeviceEnergy {
            device: one.device,
            domain: one.domain,
            energy: reading_from(one.energy),
        };
        let segment = |one: meter::Segment| Segment {
            label: one.label,
            started: one.started,
            wall_time: one.wall_time,
            energy: reading_from(one.energy),
        };
        let rank = |one: meter::RankActivity| RankActivity {
            device: one.device,
            communication: reading_from(one.communication),
        };
        let peak = |one: meter::MemoryPeak| MemoryPeak {
            device: one.device,
            kind: one.kind,
            peak: reading_from(one.peak),
        };
        Self {
            label: from.label(),
            started: from.started(),
            wall_time: from.wall_time(),
            warnings: from.warnings(),
            energy: from.energy().into_iter().map(energy).collect(),
            energy_total: reading_from(from.energy_total()),
            energy_covers: from.energy_covers(),
            energy_cpu: reading_from(from.energy_cpu()),
            energy_accelerators: reading_from(from.energy_accelerators()),
            energy_prefill: reading_from(from.energy_prefill()),
            energy_decode: reading_from(from.energy_decode()),
            energy_mixed: reading_from(from.energy_mixed()),
            energy_outside: reading_from(from.energy_outside()),
            energy_per_output_token: reading_from(from.energy_per_output_token()),
            energy_above_idle: reading_from(from.energy_above_idle()),
            devices_used: from.devices_used(),
            energy_imbalance: reading_from(from.energy_imbalance()),
            segments: from.segments().into_iter().map(segment).collect(),
            activity: Activity {
                requests: from.requests(),
                prompt_tokens: from.prompt_tokens(),
                output_tokens: from.output_tokens(),
                prefill_time: from.prefill_time(),
                decode_time: from.decode_time(),
                mixed_time: from.mixed_time(),
                mixed_prompt_tokens: from.mixed_prompt_tokens(),
                mixed_output_tokens: from.mixed_output_tokens(),
                flops_prefill: from.flops_prefill(),
                flops_decode: from.flops_decode(),
                flops_mixed: from.flops_mixed(),
            },
            ranks: from.ranks().into_iter().map(rank).collect(),
            courses: from.courses(),
            throttled: from.throttled(),
            memory_peaks: from.memory_peaks().into_iter().map(peak).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::generation,
        quantity::{Quantity, Source},
    };

    fn measurement() -> Measurement {
        let energy = |device: &str, domain: &str, joules: f64| DeviceEnergy {
            device: device.to_owned(),
            domain: domain.to_owned(),
            energy: Ok(Quantity::new(joules, 0.5, "J", Source::Rapl)),
        };
        let peak = |device: &str, kind: &str, bytes: f64| MemoryPeak {
            device: device.to_owned(),
            kind: kind.to_owned(),
            peak: Ok(Quantity::exact(bytes, "By", Source::Counted)),
        };
        let mut measurement = generation(0, 1).measurement;
        measurement.energy = vec![
            energy("cpu", "package-0", 10.0),
            energy("cpu", "package-1", 20.0),
            energy("cpu", "dram-0", 3.0),
            energy("cuda:0", "gpu", 100.0),
            energy("cuda:1", "gpu", 0.0),
            energy("cuda:2", "gpu", 7.0),
        ];
        measurement.energy[4].energy = Err("the window was too short".to_owned());
        let domain =
            |one: &DeviceEnergy| Domain { device: one.device.clone(), domain: one.domain.clone() };
        measurement.energy_covers = measurement.energy[..5].iter().map(domain).collect();
        measurement.memory_peaks = vec![
            peak("cpu", "process-resident", 5e6),
            peak("cpu", "device", 9e6),
            peak("cuda:0", "device", 1e6),
            peak("cuda:1", "device", 2e6),
        ];
        measurement
    }

    #[test]
    fn energies_are_summed_over_the_domains_of_a_kind() {
        let energy = |device, domain| reading::value(&measurement().energy_of(device, domain));
        assert_eq!(energy("cpu", None), Some(33.0));
        assert_eq!(energy("cpu", Some("package")), Some(30.0));
        assert_eq!(energy("cpu", Some("package-1")), Some(20.0));
        assert_eq!(energy("cpu", Some("dram")), Some(3.0));
        assert_eq!(energy("cuda:0", None), Some(100.0));
    }

    #[test]
    fn an_energy_that_the_total_lacks_or_that_was_not_measured_is_unavailable() {
        let reason = |device, domain| measurement().energy_of(device, domain).expect_err("none");
        assert_eq!(reason("cuda", None), "the window was too short");
        assert_eq!(reason("cuda:2", None), "no energy of cuda:2 is part of the total");
        assert_eq!(reason("cpu", Some("pack")), "no energy of cpu pack is part of the total");
    }

    #[test]
    fn memory_peaks_are_summed_over_the_devices_of_a_kind() {
        let peak = |kind, device| reading::value(&measurement().memory_peak(kind, device));
        assert_eq!(peak("process-resident", None), Some(5e6));
        assert_eq!(peak("device", Some("cuda")), Some(3e6));
        assert_eq!(peak("device", None), Some(12e6));
        let none = measurement().memory_peak("process-device", Some("cuda"));
        assert_eq!(none, Err("no memory of the kind process-device cuda was read".to_owned()));
    }
}

//! What a closed window tells.

use crate::{
    bindings::meter,
    quantity::{Reading, read},
};

pub use meter::{Course, Domain, Throttling};

/// A closed window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// The label it was opened with.
    pub label: String,
    /// When it opened, ns since the run began.
    pub started: u64,
    /// Monotonic time from opening to closing, after device work had ended, ns.
    pub wall_time: u64,
    /// What a reader must know: a device was throttled, its clock fell, it got warmer, two sources disagree.
    pub warnings: Vec<String>,
    /// Energy of each device and domain.
    pub energy: Vec<DeviceEnergy>,
    /// Their sum over the CPU and the devices that held a model while the window was open, J: over what `energy_covers`
    /// names. None where a device that did the work is not measured, with the reason.
    pub energy_total: Reading,
    /// What `energy_total` is the sum of.
    pub energy_covers: Vec<Domain>,
    /// The energy of the CPU's packages and memory, J.
    pub energy_cpu: Reading,
    /// The energy of the accelerators that held a model, J.
    pub energy_accelerators: Reading,
    /// The part of `energy_total` that went into prompt processing, J. The four parts add up to it.
    pub energy_prefill: Reading,
    /// That of steps in which sequences only generated, J.
    pub energy_decode: Reading,
    /// That of steps of continuous batches that held both, J.
    pub energy_mixed: Reading,
    /// That of the rest: between steps, and what the script did besides, J.
    pub energy_outside: Reading,
    /// `energy_total` per token generated, J/{token}.
    pub energy_per_output_token: Reading,
    /// `energy_total` less what the machine would have used at rest, J; the reason why not where no baseline has been
    /// measured or was found.
    pub energy_above_idle: Reading,
    /// Devices that held a model, or part of one, while the window was open.
    pub devices_used: u32,
    /// How much more energy the device with the most used than the mean of those that held a model, as a share of that
    /// mean; the reason why not where fewer than two are measured.
    pub energy_imbalance: Reading,
    /// Its parts between marks; one without a label if there was none.
    pub segments: Vec<Segment>,
    /// What the engine did meanwhile.
    pub activity: Activity,
    /// Ranks of split models, in order; empty where no model is split.
    pub ranks: Vec<RankActivity>,
    /// How the devices' readings went meanwhile.
    pub courses: Vec<Course>,
    /// The devices that were held below their clocks, and why.
    pub throttled: Vec<Throttling>,
    /// The most memory that was in use.
    pub memory_peaks: Vec<MemoryPeak>,
}

impl Measurement {
    /// How the temperature of each device that tells it went, Cel.
    pub fn temperatures(&self) -> impl Iterator<Item = &Course> {
        self.courses.iter().filter(|course| course.reading == "temperature")
    }
}

/// What the engine did while a window was open, over all models.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Activity {
    /// Requests (sequences) that began.
    pub requests: u64,
    /// Prompt tokens processed.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Time spent in prefill, ns.
    pub prefill_time: u64,
    /// Time spent in decode, ns.
    pub decode_time: u64,
    /// Time in steps of continuous batches that held both, ns.
    pub mixed_time: u64,
    /// Prompt tokens of those steps; part of `prompt_tokens`.
    pub mixed_prompt_tokens: u64,
    /// Tokens that those steps generated; part of `output_tokens`.
    pub mixed_output_tokens: u64,
    /// Operations of prefill, estimated from the model's shape by the needed count, FLOP.
    pub flops_prefill: f64,
    /// The same of decode.
    pub flops_decode: f64,
    /// The same of steps that held both.
    pub flops_mixed: f64,
}

/// Energy of one device, or one of its power domains, over a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceEnergy {
    /// The device's id: `cpu`, `cuda:0`.
    pub device: String,
    /// The power domain within it: `package-0`, `dram`, `gpu`.
    pub domain: String,
    /// J. The uncertainty is that of when the counter was read.
    pub energy: Reading,
}

/// The part of a window from one mark to the next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// The mark that it begins with; empty for what comes before the first.
    pub label: String,
    /// When it began, ns since the run began.
    pub started: u64,
    /// How long it was, ns.
    pub wall_time: u64,
    /// Its part of `energy_total`, J. The parts of all segments add up to it.
    pub energy: Reading,
}

/// One rank of a split model in a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RankActivity {
    /// Its device's id.
    pub device: String,
    /// Time that it spent in communication with other ranks, waiting for them included, s.
    pub communication: Reading,
}

/// The most memory that was in use at a moment of a window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemoryPeak {
    /// The device's id.
    pub device: String,
    /// Whose: `process-resident` (of this process, in the host's memory), `process-device` (of this process, on an
    /// accelerator), `device` (of everything on it).
    pub kind: String,
    /// By.
    pub peak: Reading,
}

impl From<&meter::Measurement> for Measurement {
    fn from(from: &meter::Measurement) -> Self {
        let energy = |one: meter::DeviceEnergy| DeviceEnergy {
            device: one.device,
            domain: one.domain,
            energy: read(one.energy),
        };
        let segment = |one: meter::Segment| Segment {
            label: one.label,
            started: one.started,
            wall_time: one.wall_time,
            energy: read(one.energy),
        };
        let rank = |one: meter::RankActivity| RankActivity {
            device: one.device,
            communication: read(one.communication),
        };
        let peak = |one: meter::MemoryPeak| MemoryPeak {
            device: one.device,
            kind: one.kind,
            peak: read(one.peak),
        };
        Self {
            label: from.label(),
            started: from.started(),
            wall_time: from.wall_time(),
            warnings: from.warnings(),
            energy: from.energy().into_iter().map(energy).collect(),
            energy_total: read(from.energy_total()),
            energy_covers: from.energy_covers(),
            energy_cpu: read(from.energy_cpu()),
            energy_accelerators: read(from.energy_accelerators()),
            energy_prefill: read(from.energy_prefill()),
            energy_decode: read(from.energy_decode()),
            energy_mixed: read(from.energy_mixed()),
            energy_outside: read(from.energy_outside()),
            energy_per_output_token: read(from.energy_per_output_token()),
            energy_above_idle: read(from.energy_above_idle()),
            devices_used: from.devices_used(),
            energy_imbalance: read(from.energy_imbalance()),
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

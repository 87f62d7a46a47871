//! A measured span in the record.

use crate::{
    activity::Activity,
    energy::{DomainRecord, LackRecord, PhaseEnergyRecord},
    hardware::DeviceSpanRecord,
};
use llem_quantity::ReadingRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A measured span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WindowRecord {
    /// The label it was opened with.
    pub label: String,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// When it opened.
    pub started_ns: u64,
    /// How long it was open.
    pub wall_ns: u64,
    /// Energy of each device and domain, J.
    pub energy: Vec<DeviceEnergyRecord>,
    /// Their sum over the CPU and the devices that held a model while the window was open: over what `energy_covers`
    /// names. Unavailable where a device that did the work is not measured.
    pub energy_total: ReadingRecord,
    /// What `energy_total` is the sum of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// Domains of the CPU and of devices that did the work which are not in `energy_total`, where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_lacks: Vec<LackRecord>,
    /// The energy of the CPU's packages and memory, J; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// The energy of the accelerators that held a model, J; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// `energy_total` by what the engine did; absent where that is not known, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_by_phase: Option<Box<PhaseEnergyRecord>>,
    /// `energy_total` per generated token, J/{token}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_per_output_token: Option<ReadingRecord>,
    /// `energy_total` less what the machine would have used at rest; absent where no baseline is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_above_idle: Option<ReadingRecord>,
    /// Devices that held a model, or part of one, while the window was open.
    #[serde(default)]
    pub devices_used: u32,
    /// The models that were loaded while it was open, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<u64>,
    /// The continuous batches that were open meanwhile, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<u64>,
    /// Its parts between the script's marks; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentRecord>,
    /// How much more energy the device with the most used than the mean of those that hold a model, as a
    /// share of that mean; absent where a single one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_imbalance: Option<ReadingRecord>,
    /// Ranks of split models; absent where no model is split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankActivity>,
    /// How each device was meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSpanRecord>,
    /// The most memory that was in use; absent in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<MemoryPeakRecord>,
    /// What a reader must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the engine did meanwhile.
    pub activity: Activity,
}

/// The part of a window from one mark to the next.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SegmentRecord {
    /// The mark that it begins with; empty before the first.
    pub label: String,
    /// When it began.
    pub started_ns: u64,
    /// How long it was.
    pub wall_ns: u64,
    /// Its part of the window's `energy_total`, J.
    pub energy: ReadingRecord,
}

/// Energy of one device's power domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEnergyRecord {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// The reading, or why there is none.
    pub energy: ReadingRecord,
}

/// The most memory that was in use at a moment of a span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPeakRecord {
    /// The device's id.
    pub device: String,
    /// Whose: `process-resident` (of this process, in the host's memory: the kernel's own peak), `process-device` (of this
    /// process, on an accelerator) or `device` (of everything on it).
    pub kind: String,
    /// The reading, By, or why there is none. Of devices it is the highest of the sampler's readings, ten a second, and one
    /// a second of the CPU: what came and went in between is not in it.
    pub peak: ReadingRecord,
}

/// One rank of a split model in a span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankActivity {
    /// Its device's id.
    pub device: String,
    /// Time that it spent in communication with other ranks, waiting for them included, s.
    pub communication: ReadingRecord,
}

//! Windows in the record.

use crate::{
    activity::Activity,
    energy::{DomainRecord, LackRecord, PhaseEnergyRecord},
    hardware::DeviceSpanRecord,
};
use llem_quantity::ReadingRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A window: what was measured between its opening and its closing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WindowRecord {
    /// The window's label.
    pub label: String,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// When the window was opened, ns since the run began.
    pub started_ns: u64,
    /// How long the window was open, ns.
    pub wall_ns: u64,
    /// Energy of each domain, J.
    pub energy: Vec<DeviceEnergyRecord>,
    /// The sum over the CPU and the devices that held a model while the window was open, J: over the domains in
    /// `energy_covers`. Unavailable if a device that did the work is not measured.
    pub energy_total: ReadingRecord,
    /// The domains in `energy_total`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// Domains of the CPU and of devices that did the work that are not in `energy_total`, if there is a total.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_lacks: Vec<LackRecord>,
    /// The energy of the CPU's packages and memory, J. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// The energy of the accelerators that held a model, J. Absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// `energy_total` by what the engine did. Absent if this is not known, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_by_phase: Option<Box<PhaseEnergyRecord>>,
    /// `energy_total` per generated token, J/{token}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_per_output_token: Option<ReadingRecord>,
    /// `energy_total` less what the same domains would have used at rest, J. Absent if no baseline is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_above_idle: Option<ReadingRecord>,
    /// Number of devices that held a model, or part of one, while the window was open.
    #[serde(default)]
    pub devices_used: u32,
    /// The numbers of the models that were loaded while the window was open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<u64>,
    /// The numbers of the continuous batches that were open while the window was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<u64>,
    /// The parts of the window between the script's marks. Absent if there are no marks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentRecord>,
    /// How much more energy the device with the highest energy used than the mean of the devices that held a model, as a share
    /// of that mean. Absent if only one device held a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_imbalance: Option<ReadingRecord>,
    /// The ranks of split models. Absent if no model is split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankActivity>,
    /// Temperature, clocks, utilisation and memory of each device during the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSpanRecord>,
    /// The most memory that was in use. Absent in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<MemoryPeakRecord>,
    /// What a reader of these numbers must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The work of the engine during the window.
    pub activity: Activity,
}

/// The part of a window from one mark to the next.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SegmentRecord {
    /// The label of the mark at the beginning of the segment. Empty before the first mark.
    pub label: String,
    /// When the segment began, ns since the run began.
    pub started_ns: u64,
    /// How long the segment was, ns.
    pub wall_ns: u64,
    /// The segment's part of the window's `energy_total`, J.
    pub energy: ReadingRecord,
}

/// Energy of one power domain over a window.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEnergyRecord {
    /// The device's id.
    pub device: String,
    /// The domain's name within the device.
    pub domain: String,
    /// Energy, J, or why it is not known.
    pub energy: ReadingRecord,
}

/// The most memory that was in use at a moment of a window.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPeakRecord {
    /// The device's id.
    pub device: String,
    /// What the peak counts: `process-resident` (this process, in the host's memory: the kernel's own peak), `process-device`
    /// (this process, on an accelerator) or `device` (all processes on the device).
    pub kind: String,
    /// The peak, By, or why it is not known. For a device, it is the highest reading of the sampler, which reads accelerators
    /// ten times a second and the CPU once a second. What came and went in between is not seen.
    pub peak: ReadingRecord,
}

/// One rank of a split model during a window.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankActivity {
    /// The id of the rank's device.
    pub device: String,
    /// Time in communication with other ranks, including waiting for them, s.
    pub communication: ReadingRecord,
}

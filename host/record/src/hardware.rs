//! What the record keeps of the machine's devices: what they are, how they were, what they draw at rest.

use llem_quantity::{Quantity, ReadingRecord, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRecord {
    /// What every measurement calls it.
    pub id: String,
    /// The vendor's name for it.
    pub name: String,
    /// What tells it from others of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// What meters it, and what does not.
    pub gauges: Vec<GaugeRecord>,
    /// What a reader of its numbers must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What it was set to when the run first looked, by name, with units: driver, power limit, clock policy, MIG.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// What meters a device's power domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GaugeRecord {
    /// The power domain.
    pub domain: String,
    /// The source of its energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Where it is read: a folder of the kernel's, or `nvml` and the card's UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why nothing meters it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// How a device was over a span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceSpanRecord {
    /// Its id.
    pub device: String,
    /// Temperature, Cel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<CourseRecord>,
    /// Clock of the cores, MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_clock: Option<CourseRecord>,
    /// Busy share, %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<CourseRecord>,
    /// Memory in use by everything on it, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<CourseRecord>,
    /// Why it was held below its clock, in NVML's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
}

/// How a number went over a span.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseRecord {
    /// At the beginning.
    pub first: f64,
    /// At the end.
    pub last: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The mean of its readings.
    pub mean: f64,
}

/// Idle power.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BaselineRecord {
    /// When it was measured: RFC 3339, UTC.
    pub measured_at: String,
    /// How long that took.
    pub wall_ns: u64,
    /// Whether an earlier run measured it.
    pub from_earlier_run: bool,
    /// Each device and domain.
    pub power: Vec<IdlePowerRecord>,
}

/// Idle power of one device's domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdlePowerRecord {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Mean power, W.
    pub power: ReadingRecord,
    /// Why the device had not settled, if it had not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsteady: Option<String>,
    /// Whether a model was on the device, which keeps a GPU from its deepest rest: only windows of the same kind go by
    /// it. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_model: Option<bool>,
}

/// What sampling left and cost.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRecord {
    /// The Parquet files within the run's folder, in order; none where samples were not kept.
    pub files: Vec<String>,
    /// Samples in them.
    pub samples: u64,
    /// How often devices were read, at least, s; absent where the run was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Quantity>,
    /// Processor time of reading the devices, as a share of one core; absent where the run was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Quantity>,
    /// The same of writing the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<Quantity>,
}

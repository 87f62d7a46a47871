//! Devices in the record: what they are, their condition over a window, their idle power, and the cost of sampling them.

use llem_quantity::{Cause, Quantity, ReadingRecord, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A device of the machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRecord {
    /// The device's id, which measurements refer to.
    pub id: String,
    /// The vendor's name for this kind of device.
    pub name: String,
    /// The UUID of the GPU or MIG instance. Absent for a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Size of the device's memory, bytes.
    pub memory_bytes: Option<u64>,
    /// What meters each domain of the device, or why nothing does.
    pub gauges: Vec<GaugeRecord>,
    /// What a reader of the device's numbers must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Settings of the device when the run first looked, by name, with units: driver, power limit, clock policy, MIG.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// What meters a power domain of a device, or why nothing does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GaugeRecord {
    /// The domain's name within the device.
    pub domain: String,
    /// The source of the domain's energy. Absent if nothing meters it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Where the domain is read: a folder of the kernel, or `nvml` and the card's UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Why nothing meters the domain: a sentence that ends with the remedy where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The kind of that reason. Absent in records that were written before causes were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// The condition of a device over a window. A field is absent if the device does not report it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceSpanRecord {
    /// The device's id.
    pub device: String,
    /// Temperature, Cel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<CourseRecord>,
    /// Clock of the cores, MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core_clock: Option<CourseRecord>,
    /// Share of the time in which the device was busy, %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<CourseRecord>,
    /// Memory in use by all processes on the device, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used: Option<CourseRecord>,
    /// Why the device was held below its clock, in NVML's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
}

/// The readings of one number over a window, summarised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CourseRecord {
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

/// The idle power of all domains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BaselineRecord {
    /// When the idle power was measured: RFC 3339, UTC.
    pub measured_at: String,
    /// How long the measurement took, ns.
    pub wall_ns: u64,
    /// Whether an earlier run measured the idle power.
    pub from_earlier_run: bool,
    /// The idle power of each domain.
    pub power: Vec<IdlePowerRecord>,
}

/// Idle power of one device's domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IdlePowerRecord {
    /// The device's id.
    pub device: String,
    /// The domain's name within the device.
    pub domain: String,
    /// Mean power, W, or why it is not known.
    pub power: ReadingRecord,
    /// Why the device had not settled. Absent if it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsteady: Option<String>,
    /// Whether a model was on the device. A GPU that holds a model does not reach its lowest power state, so this baseline is
    /// used only for windows in the same condition. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_model: Option<bool>,
}

/// The files and the cost of sampling the devices.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRecord {
    /// The Parquet files within the run's folder, in order. Empty if samples were not kept.
    pub files: Vec<String>,
    /// Number of samples in the files.
    pub samples: u64,
    /// Mean time between two rounds of readings, s. Absent if the run was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Quantity>,
    /// Processor time of reading the devices, as a share of one core. Absent if the run was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Quantity>,
    /// Processor time of writing the files, as a share of one core. Absent if the run was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writing: Option<Quantity>,
}

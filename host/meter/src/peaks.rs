//! The peak rates of devices: from datasheets, and as they were measured on this machine.
//!
//! A datasheet's rate is for dense matrix products, without sparsity, and accumulated in f32 where the datasheet
//! distinguishes that.

use llem_files::JsonStore;
use llem_quantity::Quantity;
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};

/// The peak rates that `llem doctor --peaks` measured on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakMeasurement {
    /// The device's key ([`crate::Device::key`]), which stays the same from run to run.
    pub device: String,
    /// When the rates were measured, in seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// For each number format, the rate of a large matrix product in it, FLOP/s.
    pub products: Vec<(String, Quantity)>,
    /// Bytes read and written by a large copy, By/s.
    pub bandwidth: Quantity,
}

/// The file of peak rates that were measured on devices of this machine.
pub struct PeakStore(JsonStore<PeakMeasurement>);

impl PeakStore {
    /// Uses this file, which need not exist.
    pub fn new(file: PathBuf) -> Self {
        Self(JsonStore::new(file))
    }

    /// Returns the last measurement of the device with this key.
    pub fn find(&self, device: &str) -> Option<PeakMeasurement> {
        self.0.read().into_iter().find(|measured| measured.device == device)
    }

    /// Stores a measurement in place of an older one of the same device.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn insert(&self, new: PeakMeasurement) -> io::Result<()> {
        self.0.insert(vec![new], |a, b| a.device == b.device)
    }
}

/// The peak rates of one kind of GPU, from its datasheet.
///
/// ```
/// use llem_meter::DatasheetPeaks;
///
/// let peaks = DatasheetPeaks::from_name("NVIDIA H100 80GB HBM3").expect("it is in the table");
/// assert_eq!((peaks.bf16, peaks.bandwidth), (Some(989.5e12), 3350e9));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatasheetPeaks {
    /// The words that NVML's name of the GPU contains, all of them.
    name: &'static [&'static str],
    /// Rate in IEEE 754 binary32 without tensor cores, FLOP/s.
    pub f32: f64,
    /// Rate in binary16, FLOP/s.
    pub f16: Option<f64>,
    /// Rate in bfloat16, FLOP/s. `None` if the GPU does not support it.
    pub bf16: Option<f64>,
    /// Memory bandwidth, bytes/s.
    pub bandwidth: f64,
    /// The datasheet that the peaks come from.
    pub source: &'static str,
}

const TERA: f64 = 1e12;
const GIGA: f64 = 1e9;

/// Creates peaks from TFLOP/s and GB/s, with one rate of the tensor cores for both 16-bit formats.
const fn peaks(
    name: &'static [&'static str],
    f32: f64,
    half: f64,
    bandwidth: f64,
    source: &'static str,
) -> DatasheetPeaks {
    let half = Some(half * TERA);
    DatasheetPeaks {
        name,
        f32: f32 * TERA,
        f16: half,
        bf16: half,
        bandwidth: bandwidth * GIGA,
        source,
    }
}

/// Creates peaks of a GPU without bfloat16, from TFLOP/s and GB/s.
const fn without_bf16(
    name: &'static [&'static str],
    f32: f64,
    f16: f64,
    bandwidth: f64,
    source: &'static str,
) -> DatasheetPeaks {
    DatasheetPeaks { bf16: None, ..peaks(name, f32, f16, bandwidth, source) }
}

/// All known peaks. The first entry counts whose words are all in NVML's name, so a more exact name comes first. Where a
/// datasheet prints rates with sparsity, these are half of them.
const TABLE: &[DatasheetPeaks] = &[
    peaks(&["GB200"], 80.0, 2500.0, 8000.0, "NVIDIA Blackwell datasheet, GB200 NVL72"),
    peaks(&["B200"], 75.0, 2250.0, 7700.0, "NVIDIA Blackwell datasheet, HGX B200"),
    peaks(&["GH200", "144G"], 67.0, 990.0, 4900.0, "NVIDIA GH200 Grace Hopper Superchip datasheet"),
    peaks(&["GH200"], 67.0, 990.0, 4000.0, "NVIDIA GH200 Grace Hopper Superchip datasheet"),
    peaks(&["H200", "NVL"], 60.0, 835.5, 4800.0, "NVIDIA H200 datasheet, NVL"),
    peaks(&["H200"], 67.0, 989.5, 4800.0, "NVIDIA H200 datasheet, SXM"),
    peaks(&["H100", "NVL"], 60.0, 835.5, 3900.0, "NVIDIA H100 datasheet, NVL"),
    peaks(&["H100", "PCIe"], 51.0, 756.5, 2000.0, "NVIDIA H100 datasheet, PCIe"),
    peaks(&["H100"], 67.0, 989.5, 3350.0, "NVIDIA H100 datasheet, SXM"),
    peaks(&["A100", "80GB", "PCIe"], 19.5, 312.0, 1935.0, "NVIDIA A100 datasheet, 80GB PCIe"),
    peaks(&["A100", "80GB"], 19.5, 312.0, 2039.0, "NVIDIA A100 datasheet, 80GB SXM"),
    peaks(&["A100"], 19.5, 312.0, 1555.0, "NVIDIA A100 datasheet, 40GB"),
    peaks(&["A30"], 10.3, 165.0, 933.0, "NVIDIA A30 datasheet"),
    peaks(&["A40"], 37.4, 149.7, 696.0, "NVIDIA A40 datasheet"),
    peaks(&["A10G"], 35.0, 70.0, 600.0, "NVIDIA A10G specification of AWS EC2 G5"),
    peaks(&["A10"], 31.2, 125.0, 600.0, "NVIDIA A10 datasheet"),
    peaks(&["L40S"], 91.6, 362.05, 864.0, "NVIDIA L40S datasheet"),
    peaks(&["L40"], 90.5, 181.05, 864.0, "NVIDIA L40 datasheet"),
    peaks(&["L4"], 30.3, 121.0, 300.0, "NVIDIA L4 datasheet"),
    without_bf16(&["V100", "PCIE"], 14.0, 112.0, 900.0, "NVIDIA V100 datasheet, PCIe"),
    without_bf16(&["V100"], 15.7, 125.0, 900.0, "NVIDIA V100 datasheet, SXM2"),
    without_bf16(&["T4"], 8.1, 65.0, 320.0, "NVIDIA T4 datasheet"),
    peaks(&["RTX 5090"], 104.8, 209.5, 1792.0, "NVIDIA RTX Blackwell GPU architecture whitepaper"),
    peaks(&["RTX 6000 Ada"], 91.1, 364.25, 960.0, "NVIDIA RTX 6000 Ada datasheet"),
    peaks(&["RTX A6000"], 38.7, 154.8, 768.0, "NVIDIA GA102 whitepaper"),
    peaks(&["RTX 4090"], 82.6, 165.2, 1008.0, "NVIDIA Ada GPU architecture whitepaper"),
    peaks(&["RTX 3090"], 35.6, 71.0, 936.0, "NVIDIA GA102 whitepaper"),
];

impl DatasheetPeaks {
    /// Returns the peaks of the GPU with this NVML name, or `None` if they are not in the table.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        // Whole words, so that `L4` is not found in `L40`, nor `A10` in `A100`.
        let words: Vec<&str> = name.split([' ', '-']).collect();
        let is_in = |part: &&str| {
            if part.contains(' ') { name.contains(*part) } else { words.contains(part) }
        };
        TABLE.iter().find(|peaks| peaks.name.iter().all(is_in))
    }
}

#[cfg(test)]
mod tests {
    use super::DatasheetPeaks;

    // Names as nvidia-smi prints them.
    #[test]
    fn names_are_told_apart() {
        let bandwidth =
            |name: &str| DatasheetPeaks::from_name(name).map(|peaks| peaks.bandwidth / 1e9);
        for (name, expected) in [
            ("NVIDIA H100 80GB HBM3", 3350.0),
            ("NVIDIA H100 PCIe", 2000.0),
            ("NVIDIA H100 NVL", 3900.0),
            ("NVIDIA H200", 4800.0),
            ("NVIDIA A100-SXM4-40GB", 1555.0),
            ("NVIDIA A100-SXM4-80GB", 2039.0),
            ("NVIDIA A100 80GB PCIe", 1935.0),
            ("NVIDIA A10", 600.0),
            ("NVIDIA A10G", 600.0),
            ("NVIDIA L4", 300.0),
            ("NVIDIA L40S", 864.0),
            ("Tesla V100-SXM2-16GB", 900.0),
            ("Tesla T4", 320.0),
            ("NVIDIA GeForce RTX 4090", 1008.0),
            ("NVIDIA RTX 6000 Ada Generation", 960.0),
            ("NVIDIA RTX A6000", 768.0),
            ("NVIDIA GB200", 8000.0),
            ("NVIDIA B200", 7700.0),
        ] {
            assert_eq!(bandwidth(name), Some(expected), "{name}");
        }
        assert_eq!(bandwidth("NVIDIA Something 9000"), None);
        assert_eq!(DatasheetPeaks::from_name("Tesla T4").and_then(|peaks| peaks.bf16), None);
    }
}

//! The peaks of devices, as `llem doctor --peaks` measured and stored them.

use crate::error::Error;
use llem_quantity::Quantity;
use llem_record::{ModelRecord, RunRecord};
use serde::Deserialize;
use std::{fs, path::Path};

/// The measured peaks of a device.
#[derive(Clone, Debug, Deserialize)]
pub struct DevicePeaks {
    /// The device's kind: the vendor's name, after the machine's for a processor.
    pub(crate) device: String,
    /// Bytes per second, By/s.
    pub(crate) bandwidth: Quantity,
    /// Operations per second of dense products in each number format, FLOP/s.
    products: Vec<(String, Quantity)>,
}

impl DevicePeaks {
    /// Reads the file that `llem doctor --peaks` wrote, `peaks.json` in the folder for what later runs reuse.
    ///
    /// # Errors
    /// The file cannot be read, or it is not such a file.
    pub fn read(path: &Path) -> Result<Vec<Self>, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Peaks {
            path: path.to_path_buf(),
            cause: source.to_string(),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::Peaks { path: path.to_path_buf(), cause: source.to_string() })
    }

    /// Returns the peak rate in a number format, FLOP/s.
    pub(crate) fn rate(&self, dtype: &str) -> Option<&Quantity> {
        self.products.iter().find(|(name, _)| name == dtype).map(|(_, rate)| rate)
    }
}

/// Returns the peaks of the device that a model was on, by the name of the device's kind. A model that the CPU computed in
/// place of its device has none.
pub(crate) fn find_peaks<'a>(
    peaks: &'a [DevicePeaks],
    record: &RunRecord,
    model: &ModelRecord,
) -> Option<&'a DevicePeaks> {
    if model.stands_in {
        return None;
    }
    let device = record.devices.iter().find(|device| device.id == model.device);
    let name = device.map_or(&record.plan.host.cpu, |device| &device.name);
    let is_of = |peaks: &&DevicePeaks| !name.is_empty() && peaks.device.ends_with(name.as_str());
    peaks.iter().find(is_of)
}

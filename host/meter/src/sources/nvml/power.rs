//! The energy counter and the power sensor of a GPU.

use super::gpu::{Gpu, denied};
use crate::{
    account::Period,
    clock::Seconds,
    sources::{Counter, Instrument, Raw, Sensor},
};
use llem_quantity::Source;
use nvml_wrapper::{
    Device,
    enums::device::{DeviceArchitecture, SampleValue},
    error::NvmlError,
    structs::device::FieldId,
    sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT,
};

/// Zeus' documentation: the energy counter updates about every 100 ms; about 10 ms was seen on one card (pynvml, pull
/// request 18). What is assumed until the card's own period has been seen, s.
const COUNTER_PERIOD: Seconds = 0.1;

/// The longest that a power reading stands, s: 20 to 100 ms by architecture (arXiv 2312.02741, table 2).
const POWER_PERIOD: Seconds = 0.1;

/// The span over which newer cards average the plain power field, s.
const AVERAGED: Seconds = 1.0;

impl Gpu {
    /// The energy counter, which cards since Volta have, held against the power sensor; or that alone.
    pub(super) fn instrument(&self) -> Result<Instrument, String> {
        let device = self.device();
        let sensor = Power::find(self, &device);
        match (device.total_energy_consumption(), sensor) {
            (Ok(_), Ok(sensor)) => {
                Ok(Instrument::Both(Box::new(Total(self.clone())), Box::new(sensor)))
            }
            (Ok(_), Err(_)) => Ok(Instrument::Counter(Box::new(Total(self.clone())))),
            (Err(_), Ok(sensor)) => Ok(Instrument::Sensor(Box::new(sensor))),
            (Err(_), Err(error)) => Err(denied(&error)),
        }
    }
}

/// The driver's own counter, millijoules since it was loaded.
struct Total(Gpu);

impl Counter for Total {
    fn source(&self) -> Source {
        Source::NvmlCounter
    }

    fn period(&self) -> Period {
        Period::AtMost(COUNTER_PERIOD)
    }

    fn read(&self) -> Result<Raw, String> {
        let total = self.0.device().total_energy_consumption();
        total.map(Raw).map_err(|error| self.0.lost(&error))
    }

    fn joules(&self, from: Raw, to: Raw) -> Result<f64, String> {
        to.0.checked_sub(from.0).map(|millijoules| millijoules as f64 * 1e-3).ok_or_else(|| {
            format!(
                "the energy counter of {} went back from {} to {} mJ: its driver was loaded anew",
                self.0.id, from.0, to.0
            )
        })
    }
}

/// Power as the GPU tells it.
struct Power {
    gpu: Gpu,
    instant: bool,
    period: Seconds,
    limit: Option<f64>,
}

impl Power {
    /// The field that is not averaged, where there is one.
    fn find(gpu: &Gpu, device: &Device<'_>) -> Result<Self, NvmlError> {
        let limit =
            device.enforced_power_limit().ok().map(|milliwatts| f64::from(milliwatts) / 1e3);
        let gpu = gpu.clone();
        if instant_power(device).is_ok() {
            return Ok(Self { gpu, instant: true, period: POWER_PERIOD, limit });
        }
        device.power_usage()?;
        let period = if averages(device) { AVERAGED } else { POWER_PERIOD };
        Ok(Self { gpu, instant: false, period, limit })
    }
}

impl Sensor for Power {
    fn period(&self) -> Seconds {
        self.period
    }

    fn limit(&self) -> Option<f64> {
        self.limit
    }

    fn read(&self) -> Result<f64, String> {
        let device = self.gpu.device();
        let watts = match self.instant {
            true => instant_power(&device),
            false => device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1e3),
        };
        watts.map_err(|error| self.gpu.lost(&error))
    }
}

/// Whether the plain power field is a mean over the last second (NVML's reference, `nvmlDeviceGetPowerUsage`:
/// on Ampere, except GA100, or newer).
fn averages(device: &Device<'_>) -> bool {
    let is_older = |architecture: DeviceArchitecture| {
        use DeviceArchitecture as A;
        matches!(architecture, A::Kepler | A::Maxwell | A::Pascal | A::Volta | A::Turing)
    };
    let is_ga100 = device.name().is_ok_and(|name| name.contains("A100") || name.contains("A30"));
    !device.architecture().is_ok_and(is_older) && !is_ga100
}

/// Power now, W, by the field that is not averaged.
pub fn instant_power(device: &Device<'_>) -> Result<f64, NvmlError> {
    let mut values = device.field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?;
    match values.pop().ok_or(NvmlError::NotSupported)??.value? {
        SampleValue::U32(milliwatts) => Ok(f64::from(milliwatts) / 1e3),
        SampleValue::U64(milliwatts) => Ok(milliwatts as f64 / 1e3),
        _ => Err(NvmlError::NotSupported),
    }
}

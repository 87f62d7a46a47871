//! The energy counter and the power sensor of a GPU.

use super::nvml_gpu::{NvmlGpu, not_metered};
use crate::{
    clock::Seconds,
    sources::{Counter, CounterValue, Instrument, Sensor},
    tick_counter::Period,
};
use llem_quantity::{Cause, Source, Unavailable};
use nvml_wrapper::{
    Device,
    enums::device::{DeviceArchitecture, SampleValue},
    error::NvmlError,
    structs::device::FieldId,
    sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT,
};

/// The time between two ticks of the energy counter that is assumed until the card's own period has been observed, s. Zeus'
/// documentation says about 100 ms. About 10 ms was seen on one card (pynvml, pull request 18).
const COUNTER_PERIOD: Seconds = 0.1;

/// The longest time between two updates of the power reading, s: 20 to 100 ms by architecture (arXiv 2312.02741, table 2).
const POWER_PERIOD: Seconds = 0.1;

/// The time over which newer cards average the plain power field, s.
const AVERAGED: Seconds = 1.0;

impl NvmlGpu {
    /// Returns the energy counter, which cards since Volta have, and the power sensor, or the one of them that works.
    pub(super) fn instrument(&self) -> Result<Instrument, Unavailable> {
        let device = self.device();
        let sensor = PowerSensor::find(self, &device);
        match (device.total_energy_consumption(), sensor) {
            (Ok(_), Ok(sensor)) => {
                Ok(Instrument::Both(Box::new(EnergyCounter(self.clone())), Box::new(sensor)))
            }
            (Ok(_), Err(_)) => Ok(Instrument::Counter(Box::new(EnergyCounter(self.clone())))),
            (Err(_), Ok(sensor)) => Ok(Instrument::Sensor(Box::new(sensor))),
            (Err(_), Err(error)) => Err(not_metered(&error)),
        }
    }
}

/// The driver's energy counter: millijoules since the driver was loaded.
struct EnergyCounter(NvmlGpu);

impl Counter for EnergyCounter {
    fn source(&self) -> Source {
        Source::NvmlCounter
    }

    fn period(&self) -> Period {
        Period::AtMost(COUNTER_PERIOD)
    }

    fn read(&self) -> Result<CounterValue, Unavailable> {
        let total = self.0.device().total_energy_consumption();
        total.map(CounterValue).map_err(|error| self.0.reading_failed(&error))
    }

    fn joules(&self, from: CounterValue, to: CounterValue) -> Result<f64, Unavailable> {
        to.0.checked_sub(from.0).map(|millijoules| millijoules as f64 * 1e-3).ok_or_else(|| {
            let detail = format!(
                "the energy counter of {} went back from {} to {} mJ: its driver was loaded anew",
                self.0.id, from.0, to.0
            );
            Unavailable::new(Cause::CounterReset, detail)
        })
    }
}

/// The power sensor of a GPU.
struct PowerSensor {
    gpu: NvmlGpu,
    /// Whether the field that is not averaged is read.
    is_instant: bool,
    period: Seconds,
    limit: Option<f64>,
}

impl PowerSensor {
    /// Finds the field that is not averaged, or else the plain power field.
    fn find(gpu: &NvmlGpu, device: &Device<'_>) -> Result<Self, NvmlError> {
        let limit =
            device.enforced_power_limit().ok().map(|milliwatts| f64::from(milliwatts) / 1e3);
        let gpu = gpu.clone();
        if instant_power(device).is_ok() {
            return Ok(Self { gpu, is_instant: true, period: POWER_PERIOD, limit });
        }
        device.power_usage()?;
        let period = if is_averaged(device) { AVERAGED } else { POWER_PERIOD };
        Ok(Self { gpu, is_instant: false, period, limit })
    }
}

impl Sensor for PowerSensor {
    fn period(&self) -> Seconds {
        self.period
    }

    fn limit(&self) -> Option<f64> {
        self.limit
    }

    fn read(&self) -> Result<f64, Unavailable> {
        let device = self.gpu.device();
        let watts = match self.is_instant {
            true => instant_power(&device),
            false => device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1e3),
        };
        watts.map_err(|error| self.gpu.reading_failed(&error))
    }
}

/// Returns true if the plain power field is a mean over the last second: on Ampere, except GA100, and newer (NVML's
/// reference, `nvmlDeviceGetPowerUsage`).
fn is_averaged(device: &Device<'_>) -> bool {
    let is_older = |architecture: DeviceArchitecture| {
        use DeviceArchitecture as A;
        matches!(architecture, A::Kepler | A::Maxwell | A::Pascal | A::Volta | A::Turing)
    };
    let is_ga100 = device.name().is_ok_and(|name| name.contains("A100") || name.contains("A30"));
    !device.architecture().is_ok_and(is_older) && !is_ga100
}

/// Reads the power now, W, from the field that is not averaged.
pub(crate) fn instant_power(device: &Device<'_>) -> Result<f64, NvmlError> {
    let mut values = device.field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?;
    match values.pop().ok_or(NvmlError::NotSupported)??.value? {
        SampleValue::U32(milliwatts) => Ok(f64::from(milliwatts) / 1e3),
        SampleValue::U64(milliwatts) => Ok(milliwatts as f64 / 1e3),
        _ => Err(NvmlError::NotSupported),
    }
}

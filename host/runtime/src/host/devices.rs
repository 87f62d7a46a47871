//! `devices.wit`: the hardware, as it is and as it is now.

use super::types::{Told, reading};
use crate::{
    bindings::{devices, types::Dtype},
    error::Refusal,
    run::Run,
    state::State,
};
use llem_meter::{
    Device, DeviceKind,
    peaks::{self, Measured, Peaks},
};
use llem_quantity::{Quantity, Source};

impl devices::Host for State {
    fn list_devices(&mut self) -> wasmtime::Result<Vec<devices::Device>> {
        let all = self.run.meter().devices();
        Ok(all.into_iter().map(|device| described(&self.run, device)).collect())
    }

    fn read_state(&mut self, id: String) -> Told<devices::State> {
        let Some(state) = self.run.meter().state(&id) else {
            let reason = format!("no device '{id}'; list-devices names them");
            return Ok(Err(Refusal::NotFound(reason).into()));
        };
        Ok(Ok(devices::State {
            at: self.run.clock.now(),
            power: reading(state.power),
            temperature: reading(state.temperature),
            core_clock: reading(state.core_clock),
            memory_clock: reading(state.memory_clock),
            utilisation: reading(state.utilisation),
            memory_used: reading(state.memory_used),
            pcie: reading(state.pcie),
            throttle_reasons: state.throttle_reasons,
        }))
    }
}

fn described(run: &Run, device: Device) -> devices::Device {
    let measured = run.settings.metering.peaks().and_then(|peaks| peaks.find(&device.key()));
    devices::Device {
        kind: match device.kind {
            DeviceKind::Cpu => devices::Kind::Cpu,
            DeviceKind::Cuda => devices::Kind::Cuda,
        },
        peaks: peaks::of(&device.name)
            .map(of_datasheet)
            .ok_or_else(|| format!("llem holds no datasheet of {}", device.name)),
        measured_peaks: measured
            .map(as_measured)
            .ok_or_else(|| "not measured yet: llem doctor --peaks".to_owned()),
        id: device.id,
        name: device.name,
        uuid: device.uuid,
        memory_bytes: device.memory_bytes,
        compute_capability: device.compute_capability,
        energy_source: device.energy_source.map(Into::into),
        notes: device.notes,
    }
}

fn of_datasheet(peaks: &Peaks) -> devices::Peaks {
    // Datasheets state no uncertainty.
    let promised = |value: f64, unit: &str| Quantity::exact(value, unit, Source::Datasheet);
    let rates = [(Dtype::F32, Some(peaks.f32)), (Dtype::Bf16, peaks.bf16), (Dtype::F16, peaks.f16)];
    let products = rates.into_iter().filter_map(|(dtype, rate)| {
        Some(devices::Peak { dtype, rate: reading(Ok(promised(rate?, "FLOP/s"))) })
    });
    devices::Peaks {
        origin: peaks.source.to_owned(),
        products: products.collect(),
        bandwidth: reading(Ok(promised(peaks.bandwidth, "By/s"))),
    }
}

fn as_measured(measured: Measured) -> devices::Peaks {
    let products = measured.products.into_iter().filter_map(|(dtype, rate)| {
        let dtype: llem_engine::DType = dtype.parse().ok()?;
        Some(devices::Peak { dtype: dtype.into(), rate: reading(Ok(rate)) })
    });
    devices::Peaks {
        origin: format!("measured {}", llem_record::date(measured.measured_at)),
        products: products.collect(),
        bandwidth: reading(Ok(measured.bandwidth)),
    }
}

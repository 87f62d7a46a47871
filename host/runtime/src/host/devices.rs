//! The interface `devices.wit`: what devices the machine has, and how they are now.

use super::types::{HostResult, reading};
use crate::{
    bindings::{devices, types},
    error::Refusal,
    resources::{Hardware, HardwareState},
    store_data::StoreData,
};
use llem_meter::{DatasheetPeaks, Device, DeviceKind, DeviceState, PeakMeasurement};
use llem_quantity::{Quantity, Reading, Source};
use wasmtime::component::Resource;

impl devices::Host for StoreData {
    fn list_devices(&mut self) -> wasmtime::Result<Vec<Resource<Hardware>>> {
        let all: Vec<_> = self.run.meter().devices().into_iter().collect();
        let all: Vec<_> = all.into_iter().map(|device| self.hardware(device)).collect();
        self.new_handles(all)
    }

    fn find_device(&mut self, id: String) -> HostResult<Resource<Hardware>> {
        let found = self.run.meter().devices().into_iter().find(|device| device.id == id);
        let found = found.map(|device| self.hardware(device));
        self.reply_handle(
            found.ok_or_else(|| {
                Refusal::NotFound(format!("no device '{id}'; list-devices names them"))
            }),
        )
    }
}

impl StoreData {
    fn hardware(&self, device: Device) -> Hardware {
        let peaks = self.run.settings.meter.peaks();
        let measured = peaks.and_then(|peaks| peaks.find(&device.key()));
        Hardware { device, measured }
    }

    fn device(&self, device: &Resource<Hardware>) -> wasmtime::Result<&Device> {
        Ok(&self.table.get(device)?.device)
    }
}

impl devices::HostDevice for StoreData {
    fn id(&mut self, device: Resource<Hardware>) -> wasmtime::Result<String> {
        Ok(self.device(&device)?.id.clone())
    }

    fn kind(&mut self, device: Resource<Hardware>) -> wasmtime::Result<String> {
        let kind = match self.device(&device)?.kind {
            DeviceKind::Cpu => "cpu",
            DeviceKind::Cuda => "cuda",
        };
        Ok(kind.to_owned())
    }

    fn name(&mut self, device: Resource<Hardware>) -> wasmtime::Result<String> {
        Ok(self.device(&device)?.name.clone())
    }

    fn uuid(&mut self, device: Resource<Hardware>) -> wasmtime::Result<Option<String>> {
        Ok(self.device(&device)?.uuid.clone())
    }

    fn memory_bytes(&mut self, device: Resource<Hardware>) -> wasmtime::Result<Option<u64>> {
        Ok(self.device(&device)?.memory_bytes)
    }

    fn compute_capability(
        &mut self,
        device: Resource<Hardware>,
    ) -> wasmtime::Result<Option<(u32, u32)>> {
        Ok(self.device(&device)?.compute_capability)
    }

    fn datasheet_peaks(
        &mut self,
        device: Resource<Hardware>,
    ) -> wasmtime::Result<Result<devices::Peaks, String>> {
        let name = &self.device(&device)?.name;
        Ok(DatasheetPeaks::from_name(name)
            .map(convert_datasheet)
            .ok_or_else(|| format!("llem holds no datasheet of {name}")))
    }

    fn measured_peaks(
        &mut self,
        device: Resource<Hardware>,
    ) -> wasmtime::Result<Result<devices::Peaks, String>> {
        let measured = self.table.get(&device)?.measured.clone();
        Ok(measured
            .map(convert_measured)
            .ok_or_else(|| "not measured yet: llem doctor --peaks".to_owned()))
    }

    fn energy_source(
        &mut self,
        device: Resource<Hardware>,
    ) -> wasmtime::Result<Result<String, String>> {
        let source = self.device(&device)?.energy_source.clone();
        Ok(source.map(|source| source.name().to_owned()).map_err(|reason| reason.to_string()))
    }

    fn notes(&mut self, device: Resource<Hardware>) -> wasmtime::Result<Vec<String>> {
        Ok(self.device(&device)?.notes.clone())
    }

    fn read(&mut self, device: Resource<Hardware>) -> HostResult<Resource<HardwareState>> {
        let id = self.device(&device)?.id.clone();
        let state = self.run.meter().state(&id);
        let at_ns = self.run.clock.now();
        let state = state.map(|state| HardwareState { at_ns, state });
        self.reply_handle(state.ok_or_else(|| Refusal::Failed(format!("device '{id}' is gone"))))
    }

    fn drop(&mut self, device: Resource<Hardware>) -> wasmtime::Result<()> {
        self.table.delete(device)?;
        Ok(())
    }
}

impl StoreData {
    fn state_reading(
        &self,
        state: &Resource<HardwareState>,
        field: impl Fn(&DeviceState) -> &Reading,
    ) -> wasmtime::Result<types::Reading> {
        Ok(reading(field(&self.table.get(state)?.state).clone()))
    }
}

impl devices::HostState for StoreData {
    fn at(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&state)?.at_ns)
    }

    fn power(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.power)
    }

    fn temperature(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.temperature)
    }

    fn core_clock(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.core_clock)
    }

    fn memory_clock(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.memory_clock)
    }

    fn utilisation(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.utilisation)
    }

    fn memory_used(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.memory_used)
    }

    fn pcie(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<types::Reading> {
        self.state_reading(&state, |state| &state.pcie)
    }

    fn throttle_reasons(
        &mut self,
        state: Resource<HardwareState>,
    ) -> wasmtime::Result<Vec<String>> {
        Ok(self.table.get(&state)?.state.throttle_reasons.clone())
    }

    fn drop(&mut self, state: Resource<HardwareState>) -> wasmtime::Result<()> {
        self.table.delete(state)?;
        Ok(())
    }
}

fn convert_datasheet(peaks: &DatasheetPeaks) -> devices::Peaks {
    let promised = |value: f64, unit: &str| Quantity::exact(value, unit, Source::Datasheet);
    let rates = [("f32", Some(peaks.f32)), ("bf16", peaks.bf16), ("f16", peaks.f16)];
    let products = rates.into_iter().filter_map(|(dtype, rate)| {
        let rate = reading(Ok(promised(rate?, "FLOP/s")));
        Some(devices::Peak { dtype: dtype.to_owned(), rate })
    });
    devices::Peaks {
        origin: peaks.source.to_owned(),
        products: products.collect(),
        bandwidth: reading(Ok(promised(peaks.bandwidth, "By/s"))),
    }
}

fn convert_measured(measured: PeakMeasurement) -> devices::Peaks {
    let products = measured.products.into_iter().filter_map(|(dtype, rate)| {
        let dtype: llem_engine::DType = dtype.parse().ok()?;
        Some(devices::Peak { dtype: dtype.to_string(), rate: reading(Ok(rate)) })
    });
    devices::Peaks {
        origin: format!("measured {}", llem_record::date(measured.measured_at as i64)),
        products: products.collect(),
        bandwidth: reading(Ok(measured.bandwidth)),
    }
}

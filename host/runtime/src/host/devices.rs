//! `devices.wit`: the hardware, as it is and as it is now.

use super::types::{Answer, reading};
use crate::{
    bindings::{devices, types},
    state::State,
};
use llem_meter::DeviceKind;

/// Datasheet peaks are not part of this version; a script gets the reason rather than a guess.
const NO_PEAKS: &str = "this version of llem holds no datasheet peaks";

impl devices::Host for State {
    fn list_devices(&mut self) -> wasmtime::Result<Vec<devices::Device>> {
        let all = self.run.meter().devices().into_iter().map(|device| devices::Device {
            kind: match device.kind {
                DeviceKind::Cpu => devices::Kind::Cpu,
                DeviceKind::Cuda => devices::Kind::Cuda,
            },
            id: device.id,
            name: device.name,
            memory_bytes: device.memory_bytes,
            compute_capability: device.compute_capability,
            peaks: Vec::new(),
            bandwidth: Err(NO_PEAKS.to_owned()),
            energy_source: device.energy_source.map(Into::into),
        });
        Ok(all.collect())
    }

    fn read_state(&mut self, id: String) -> Answer<devices::State> {
        let Some(state) = self.run.meter().state(&id) else {
            return Ok(Err(types::Error::NotFound(format!(
                "no device '{id}'; list-devices names them"
            ))));
        };
        Ok(Ok(devices::State {
            at: self.run.clock.now(),
            power: reading(state.power),
            temperature: reading(state.temperature),
            core_clock: reading(state.core_clock),
            memory_clock: reading(state.memory_clock),
            utilisation: reading(state.utilisation),
            memory_used: reading(state.memory_used),
            throttle_reasons: state.throttle_reasons,
        }))
    }
}

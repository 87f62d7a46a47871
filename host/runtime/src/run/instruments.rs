//! The instruments of a run: the meter, the idle power of the machine, and the warnings that were written.

use super::meter_setup::RunMeter;
use crate::{grants::RunSettings, output::Output};
use llem_meter::{Clock, IdlePower, Meter, Warning};
use llem_record::Event;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

#[derive(Default)]
pub(crate) struct Instruments {
    meter: OnceLock<RunMeter>,
    /// The idle power of each domain, once a baseline is known.
    idle: Mutex<Vec<IdlePower>>,
    /// The warnings that were written, by phase, kind and device.
    warned: Mutex<BTreeSet<(String, &'static str, String)>>,
}

impl Instruments {
    /// The meter, which is started by the first call.
    pub(crate) fn meter(
        &self,
        clock: &Clock,
        output: &Arc<Output>,
        settings: &RunSettings,
    ) -> &Meter {
        let start = || {
            // If each rank on this machine only sees its own GPU, the meter must also read the other ranks' GPUs.
            let more =
                settings.models.default_model().world.iter().flat_map(|world| world.hidden_gpus());
            RunMeter::start(clock, output, &settings.meter, more)
        };
        &self.meter.get_or_init(start).meter
    }

    /// Ends the meter's background work.
    pub(crate) fn finish(&self, output: &Output) -> wasmtime::Result<()> {
        self.meter.get().map_or(Ok(()), |meter| meter.finish(output))
    }

    /// The idle power of each domain.
    pub(crate) fn idle(&self) -> MutexGuard<'_, Vec<IdlePower>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a span's warnings into the record, each once in a phase. Warnings of the warm-up are left out, because it
    /// is there to end such conditions.
    pub(crate) fn warn(
        &self,
        output: &Output,
        phase: &str,
        warnings: &[Warning],
    ) -> wasmtime::Result<()> {
        if phase.split('/').any(|name| name == "warmup") {
            return Ok(());
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            let (kind, device) = warning.subject();
            if warned.insert((phase.to_owned(), kind, device.to_owned())) {
                let message = match phase.is_empty() {
                    true => warning.to_string(),
                    false => format!("in {phase}: {warning}"),
                };
                output.write_host_event(Event::Warning { message })?;
            }
        }
        Ok(())
    }
}

//! What a run knows of its machine: the meter, what it draws at rest, and what readers have been warned of.

use super::metering::RunMeter;
use crate::{grants::Settings, output::Output};
use llem_meter::{Clock, Meter, Warning, baseline::IdlePower};
use llem_record::Event;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// The instruments of a run.
#[derive(Default)]
pub struct Instruments {
    meter: OnceLock<RunMeter>,
    /// What the machine draws at rest, once that is known.
    idle: Mutex<Vec<IdlePower>>,
    /// What has been warned of: phase, kind and device.
    warned: Mutex<BTreeSet<(String, &'static str, String)>>,
}

impl Instruments {
    /// The meter, which is started when it is first asked for.
    pub fn meter(&self, clock: &Clock, output: &Arc<Output>, settings: &Settings) -> &Meter {
        let start = || {
            // Ranks of this machine that each see only a GPU of their own: the energy of all is the model's.
            let more = settings.models.default().world.iter().flat_map(|world| world.other_gpus());
            RunMeter::start(clock, output, &settings.metering, more)
        };
        &self.meter.get_or_init(start).meter
    }

    /// Ends what goes on beside the run.
    pub fn finish(&self, output: &Output) -> wasmtime::Result<()> {
        self.meter.get().map_or(Ok(()), |meter| meter.finish(output))
    }

    /// What the machine draws at rest.
    pub fn idle(&self) -> MutexGuard<'_, Vec<IdlePower>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a span's readers must know is told for the run, too, once a phase; in warm-up it is what that is for.
    pub fn warn(&self, output: &Output, phase: &str, warnings: &[Warning]) -> wasmtime::Result<()> {
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
                output.keep(Event::Warning { message })?;
            }
        }
        Ok(())
    }
}

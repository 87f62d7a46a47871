//! A run: the state that all host calls of its component share.
//!
//! ```text
//! RunContext ─┬─ clock, stop, settings
//!             ├─ output        to the journal and to observers
//!             ├─ phases        the open phases
//!             ├─ engines       models and batches, and the devices that they used
//!             ├─ work          the totals of the engines' work
//!             └─ instruments   the meter, idle power, warnings
//! ```

mod engines;
mod instruments;
mod meter_setup;
pub(crate) mod phase_stack;
mod stream_numbers;
mod timeline;
mod work_tracker;

pub(crate) use engines::Engines;
pub(crate) use instruments::Instruments;
pub use meter_setup::MeterSetup;
pub(crate) use phase_stack::{OpenPhase, PhaseStack};
pub(crate) use work_tracker::{PendingWork, WorkTracker};

use crate::{
    engine_thread::EngineThread, error::Halt, grants::RunSettings, output::Output,
    run_facts::facts, stop_signal::StopSignal, usage_history::Usage,
};
use llem_engine::{ModelInfo, RankInfo};
use llem_meter::{Clock, Meter};
use llem_quantity::{Cause, Unavailable};
use llem_record::{Build, Host};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The state of a run that all host calls share.
pub(crate) struct RunContext {
    /// The run's clock, which is zero when the run begins.
    pub clock: Clock,
    pub stop: Arc<StopSignal>,
    /// The output to the journal and to observers.
    pub output: Arc<Output>,
    /// The grants and settings.
    pub settings: RunSettings,
    pub phases: PhaseStack,
    pub engines: Engines,
    /// The totals of the engines' work.
    pub work: WorkTracker,
    /// The build of the program and the machine. They are known once the run has its plan.
    surroundings: OnceLock<(Build, Host)>,
    instruments: Instruments,
}

impl RunContext {
    pub(crate) fn new(
        clock: Clock,
        stop: Arc<StopSignal>,
        output: Arc<Output>,
        settings: RunSettings,
    ) -> Self {
        Self {
            clock,
            stop,
            phases: PhaseStack::new(clock, &output),
            engines: Engines::default(),
            work: WorkTracker::default(),
            surroundings: OnceLock::new(),
            instruments: Instruments::default(),
            output,
            settings,
        }
    }

    /// The meter of this machine. It starts with the first call, because looking for GPUs takes longer than a short
    /// run.
    pub(crate) fn meter(&self) -> &Meter {
        self.instruments.meter(&self.clock, &self.output, &self.settings)
    }

    /// Stores the build of the program and the machine for reports. Called once, before the component runs.
    pub(crate) fn set_surroundings(&self, build: Build, host: Host) {
        // A run has only one plan, so this cannot have been set.
        let _ = self.surroundings.set((build, host));
    }

    /// The facts for reports about the program, the machine and its GPUs: see [`crate::run_facts`]. Starts the meter.
    pub(crate) fn facts(&self) -> Vec<(String, String)> {
        let unknown = Default::default();
        let (build, host) = self.surroundings.get().unwrap_or(&unknown);
        facts(build, host, &self.meter().devices())
    }

    pub(crate) fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Ends the meter's background work.
    pub(crate) fn finish_metering(&self) -> wasmtime::Result<()> {
        self.instruments.finish(&self.output)
    }

    /// What is in use during a span that contains only this model's own work.
    pub(crate) fn usage_of(&self, thread: &EngineThread) -> Usage {
        let info = thread.info();
        Usage {
            models: vec![thread.number],
            devices: self.metered_devices(info),
            batches: Vec::new(),
            unmeasured: unmeasured(info),
            has_changed: false,
        }
    }

    /// The devices of a model by the meter's names, each once. Two instances of a GPU (MIG) are one card.
    pub(crate) fn metered_devices(&self, info: &ModelInfo) -> Vec<String> {
        let places =
            info.ranks.iter().map(RankInfo::device_name).map(|place| self.metered_device(place));
        places.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The meter's name for a device.
    pub(crate) fn metered_device(&self, device: String) -> String {
        self.meter().device_of(&device).unwrap_or(device)
    }

    /// Notes that a model is loaded on its devices, and gives it its number.
    pub(crate) fn add_model(&self, loading: usize, thread: &mut EngineThread) {
        let (devices, unmeasured) =
            (self.metered_devices(thread.info()), unmeasured(thread.info()));
        self.engines.finish_loading(loading, thread, devices, unmeasured);
    }

    /// Checks that work may begin: the run is not stopped, and its record accepts more. Otherwise ends the guest.
    pub(crate) fn check_can_work(&self) -> wasmtime::Result<()> {
        self.check_stop()?;
        self.output.check_budget()
    }

    /// Ends the guest if the run was stopped.
    pub(crate) fn check_stop(&self) -> wasmtime::Result<()> {
        self.stop.reason().map_or(Ok(()), |reason| Err(Halt::Stopped(reason).trap()))
    }

    /// Awaits a guest's call unless the run is stopped. The guest is abandoned wherever it waits, but measured work
    /// first ends by itself and is recorded.
    pub(crate) async fn unless_stopped<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        tokio::select! {
            biased;
            returned = call => returned.map_err(|error| self.settings.limits.explain_limit(error)),
            reason = self.stop.wait_until_due() => Err(Halt::Stopped(reason).trap()),
        }
    }

    /// Sleeps, or ends the guest if the run is stopped. A virtual clock jumps.
    pub(crate) async fn sleep(&self, length: Duration) -> wasmtime::Result<()> {
        match llem_clock::virtual_clock() {
            Some(clock) => drop(clock.advance(length)),
            None => tokio::select! {
                () = tokio::time::sleep(length) => {}
                _ = self.stop.requested() => {}
            },
        }
        self.check_stop()
    }
}

/// Why not all devices of a model can be measured from here, if so.
fn unmeasured(info: &ModelInfo) -> Option<Unavailable> {
    let elsewhere = info.other_machine();
    let elsewhere =
        elsewhere.map(|machine| format!("ranks on {machine} are not measured from here"));
    let reason = elsewhere.or_else(|| info.explain_indistinct_gpus());
    reason.map(|reason| Unavailable::new(Cause::NotVisible, reason))
}

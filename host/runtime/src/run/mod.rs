//! A run: what all host calls of its component share.
//!
//! ```text
//! Run ─┬─ clock, stop, settings
//!      ├─ output        to the journal and whoever watches
//!      ├─ phases        which are open
//!      ├─ engines       models and batches, and the devices that they have been on
//!      ├─ work          what the engines have done
//!      └─ instruments   the meter, idle power, warnings
//! ```

mod engines;
mod instruments;
mod metering;
mod phases;
mod timeline;
mod work;

pub use engines::Engines;
pub use instruments::Instruments;
pub use metering::Metering;
pub use phases::{OpenPhase, Phases};
pub use work::{Unsettled, Work};

use crate::{
    engine_thread::EngineThread, error::Halt, facts::facts, grants::Settings, holdings::During,
    output::Output, stop::Stop,
};
use llem_engine::{Info, model::RankInfo};
use llem_meter::{Clock, Meter};
use llem_record::environment::{Build, Host};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A run.
pub struct Run {
    /// Zero is when the run began.
    pub clock: Clock,
    /// Ends the run early.
    pub stop: Arc<Stop>,
    /// To the journal and the console.
    pub output: Arc<Output>,
    /// What has been decided of it.
    pub settings: Settings,
    /// Its open phases.
    pub phases: Phases,
    /// Its models and batches.
    pub engines: Engines,
    /// What they have done.
    pub work: Work,
    /// How the program was built, and the machine: known once the plan is.
    surroundings: OnceLock<(Build, Host)>,
    instruments: Instruments,
}

impl Run {
    /// A run that begins now.
    pub fn new(clock: Clock, stop: Arc<Stop>, output: Arc<Output>, settings: Settings) -> Self {
        Self {
            clock,
            stop,
            phases: Phases::new(clock, &output),
            engines: Engines::default(),
            work: Work::default(),
            surroundings: OnceLock::new(),
            instruments: Instruments::default(),
            output,
            settings,
        }
    }

    /// Devices and counters of this machine. Found when first asked for: looking for GPUs takes longer than a short run.
    pub fn meter(&self) -> &Meter {
        self.instruments.meter(&self.clock, &self.output, &self.settings)
    }

    /// Keeps what the plan says of the program and the machine. Called once, before the component runs.
    pub fn is_surrounded_by(&self, build: Build, host: Host) {
        // A run has one plan.
        let _ = self.surroundings.set((build, host));
    }

    /// What reports print of the program, the machine and its GPUs, by kebab-case names: see [`crate::facts`]. Starts
    /// the meter.
    pub fn facts(&self) -> Vec<(String, String)> {
        let unknown = Default::default();
        let (build, host) = self.surroundings.get().unwrap_or(&unknown);
        facts(build, host, &self.meter().devices())
    }

    /// What is known of the machine beside the meter.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Ends what goes on beside the run.
    pub fn finish_metering(&self) -> wasmtime::Result<()> {
        self.instruments.finish(&self.output)
    }

    /// A model as all that a span of its own work is about.
    pub fn held_by(&self, thread: &EngineThread) -> During {
        let info = thread.info();
        During {
            models: vec![thread.number],
            devices: self.places(info),
            batches: Vec::new(),
            unmeasured: unmeasured(info),
            has_changed: false,
        }
    }

    /// The devices of a model as they are metered, each once: two instances of a GPU are one card.
    pub fn places(&self, info: &Info) -> Vec<String> {
        let places = info.ranks.iter().map(RankInfo::place).map(|place| self.meters_as(place));
        places.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A device as the meter calls it.
    pub fn meters_as(&self, device: String) -> String {
        self.meter().device_of(&device).unwrap_or(device)
    }

    /// Notes that a model is on its devices, and numbers it.
    pub fn hold(&self, loading: usize, thread: &mut EngineThread) {
        let (devices, unmeasured) = (self.places(thread.info()), unmeasured(thread.info()));
        self.engines.loaded(loading, thread, devices, unmeasured);
    }

    /// Work may begin: the run is not to end, and its record has room for what comes of it. Ends the guest otherwise.
    pub fn begin(&self) -> wasmtime::Result<()> {
        self.check_stop()?;
        self.output.afford()
    }

    /// Ends the guest if the run is to end.
    pub fn check_stop(&self) -> wasmtime::Result<()> {
        self.stop.reason().map_or(Ok(()), |reason| Err(Halt::Stopped(reason).trap()))
    }

    /// What a guest's call returns, unless the run is to end before: wherever the guest waits, it is left there. Measured
    /// work ends by itself, and is recorded first.
    pub async fn unless_stopped<T>(
        &self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        tokio::select! {
            biased;
            returned = call => returned.map_err(|error| self.settings.limits.named(error)),
            reason = self.stop.due() => Err(Halt::Stopped(reason).trap()),
        }
    }

    /// Sleeps, unless the run is to end.
    pub async fn rest(&self, length: Duration) -> wasmtime::Result<()> {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = self.stop.requested() => {}
        }
        self.check_stop()
    }
}

/// Why not all devices of a model are measured from here.
fn unmeasured(info: &Info) -> Option<String> {
    let elsewhere = info.other_machine();
    let elsewhere =
        elsewhere.map(|machine| format!("ranks on {machine} are not measured from here"));
    elsewhere.or_else(|| info.indistinct())
}

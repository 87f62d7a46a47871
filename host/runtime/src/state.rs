//! What a component's host calls work on: one a component instance, over one run that they share.

use crate::{
    batch_journal::BatchJournal,
    bindings::types,
    energy_shares::PhaseEnergy,
    engine_thread::EngineThread,
    error::Halt,
    holdings::{During, Holdings},
    limits::{Limiter, Limits},
    metering::{Metering, RunMeter},
    output::Output,
    plan::ModelGrant,
    stop::Stop,
    wasi::{self, WasiClock},
};
use llem_engine::{Info, model::RankInfo};
use llem_meter::{Clock, Meter, Span, baseline::IdlePower};
use llem_record::event::Activity;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data of a component's store.
pub struct State {
    /// The host's side of the resources that the component holds.
    pub table: ResourceTable,
    /// Memory and table limits.
    pub limiter: Limiter,
    /// The run that it is part of.
    pub run: Arc<Run>,
    /// What this component declared, with the values that it got.
    pub inputs: Inputs,
    /// WASI's clocks, which are those that `describe` said.
    pub wasi_clock: Arc<WasiClock>,
    wasi: WasiCtx,
}

/// What a component may read.
#[derive(Clone, Default)]
pub struct Inputs {
    /// Declared parameters with their values.
    pub parameters: BTreeMap<String, types::Value>,
    /// Granted datasets.
    pub datasets: BTreeMap<String, PathBuf>,
}

/// A run: what all its components share.
pub struct Run {
    /// Zero is when the run began.
    pub clock: Clock,
    /// Ends the run early.
    pub stop: Arc<Stop>,
    /// To the journal and the console.
    pub output: Arc<Output>,
    /// The seed of everything random.
    pub seed: u64,
    /// The model that may be loaded.
    pub model: ModelGrant,
    /// How to meter.
    pub metering: Metering,
    /// Whether prompts themselves are recorded, rather than their digests alone.
    pub keep_prompts: bool,
    /// Found when first asked for: looking for GPUs takes longer than a short run.
    meter: OnceLock<RunMeter>,
    progress: Mutex<Progress>,
}

/// What changes while a run goes on.
#[derive(Default)]
pub struct Progress {
    /// Open phases, outermost first: name and beginning.
    pub phases: Vec<(String, u64)>,
    /// What the engine has done since the run began.
    pub activity: Activity,
    /// The energy of all that was run, by phase.
    pub phase_energy: PhaseEnergy,
    /// Batches of which not all is written.
    pub journals: Vec<Arc<BatchJournal>>,
    /// What has been held, and when.
    pub holdings: Holdings,
    /// Models that were loaded.
    pub models: u64,
    /// Continuous batches that were opened.
    pub batches: u64,
    /// Requests that were made.
    pub requests: u64,
    /// Sequences that were asked for, each of which has a stream of random numbers.
    pub streams: u64,
    /// Loaded models, for synchronising their devices.
    pub engines: Vec<EngineThread>,
    /// The error that the script was last given because of something that was given to the run, until it goes on with
    /// a call that succeeds. If the script ends with this very error, it is the giver's to mend.
    pub blame: Option<types::Error>,
    /// What the machine draws at rest, once that is known.
    pub idle: Vec<IdlePower>,
    /// What has been warned of: phase, kind and device.
    pub warned: BTreeSet<(String, &'static str, String)>,
    /// Whether a warning about replicas stands in the record.
    pub warned_of_replicas: bool,
}

impl Run {
    /// A run that begins now.
    pub fn new(
        clock: Clock,
        stop: Arc<Stop>,
        output: Arc<Output>,
        seed: u64,
        model: ModelGrant,
        metering: Metering,
        keep_prompts: bool,
    ) -> Self {
        Self {
            clock,
            stop,
            output,
            seed,
            model,
            metering,
            keep_prompts,
            meter: OnceLock::new(),
            progress: Mutex::default(),
        }
    }

    /// Devices and counters of this machine.
    pub fn meter(&self) -> &Meter {
        &self.meter.get_or_init(|| RunMeter::start(self)).meter
    }

    /// Ends what goes on beside the run.
    pub fn finish_metering(&self) -> wasmtime::Result<()> {
        self.meter.get().map_or(Ok(()), |meter| meter.finish(self))
    }

    /// Numbers `count` streams of random numbers that no sequence of the run has had, and returns the first.
    pub fn next_streams(&self, count: usize) -> u64 {
        let mut progress = self.progress();
        let first = progress.streams;
        progress.streams += count as u64;
        first
    }

    /// What changes while the run goes on.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open phases, joined by `/`.
    pub fn phase_path(&self) -> String {
        let progress = self.progress();
        let names: Vec<&str> = progress.phases.iter().map(|(name, _)| name.as_str()).collect();
        names.join("/")
    }

    /// The devices that hold a model now, or part of one, each once.
    pub fn holders(&self) -> Vec<String> {
        self.progress().holdings.now().devices
    }

    /// What was held at some time of a span.
    pub fn during(&self, span: &Span) -> During {
        self.progress().holdings.during(span.started, span.started + span.wall)
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
        let metered = |place: String| self.meter().device_of(&place).unwrap_or(place);
        let places = info.ranks.iter().map(RankInfo::place).map(metered);
        places.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The script goes on with a call that has succeeded: what it was refused before, it has handled. What it only says
    /// (logs) and lets go of (drops, on the way out of a function that fails) does not count.
    pub fn went_on(&self) {
        self.progress().blame = None;
        self.output.take_last_words();
    }

    /// The same, if this is what it was answered.
    pub fn went_on_if<T>(&self, answer: &Result<T, types::Error>) {
        if answer.is_ok() {
            self.went_on();
        }
    }

    /// Ends the guest if the run is to end.
    pub fn check_stop(&self) -> wasmtime::Result<()> {
        self.stop.reason().map_or(Ok(()), |reason| Err(Halt::Stopped(reason).trap()))
    }
}

/// Why not all devices of a model are measured from here.
pub fn unmeasured(info: &Info) -> Option<String> {
    let elsewhere = info.other_machine();
    let elsewhere =
        elsewhere.map(|machine| format!("ranks on {machine} are not measured from here"));
    elsewhere.or_else(|| info.indistinct())
}

impl Run {
    /// Lets go of a model for one of its holders: the script's model, or a batch of it. With the last of them the model
    /// is no longer among those that are measured, and its memory has been given back when this returns.
    pub async fn let_go(&self, thread: EngineThread) {
        let number = thread.number;
        // This one, and the one of the list.
        let is_last = thread.holders() == 2;
        if is_last {
            self.progress().engines.retain(|engine| engine.number != number);
        }
        tokio::select! {
            () = thread.release() => {}
            _ = self.stop.requested() => {}
        }
        if is_last {
            self.progress().holdings.dropped(number);
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

impl State {
    /// The state of a component that has not done anything yet.
    pub fn new(run: &Arc<Run>, limits: &Limits) -> Self {
        let wasi_clock = Arc::new(WasiClock::new(run.clock));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        Self {
            table,
            limiter: Limiter::new(limits),
            inputs: Inputs::default(),
            wasi: wasi::world(&run.output, &wasi_clock, run.seed),
            wasi_clock,
            run: Arc::clone(run),
        }
    }

    /// Remembers that something given to the run is at fault.
    pub fn blame(&self, error: types::Error) -> types::Error {
        self.run.progress().blame = Some(error.clone());
        error
    }
}

impl State {
    /// Gives the component a handle to `resource`, unless it holds too many.
    pub fn hand_out<T: Send + 'static>(&mut self, resource: T) -> wasmtime::Result<Resource<T>> {
        self.run.went_on();
        self.table.push(resource).map_err(|_| {
            Halt::Limit(
                "it holds too many host resources at a time; --max-resources raises the limit"
                    .to_owned(),
            )
            .trap()
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

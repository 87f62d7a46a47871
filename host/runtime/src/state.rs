//! The data of a component's store: what its host calls work on.

use crate::{
    error::{Halt, Refusal},
    limits::{Limiter, Limits},
    run::Run,
    value::Value,
    wasi::{self, WasiClock},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
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
    /// How far the component is.
    pub stage: Stage,
    /// What this component declared, with the values that it got.
    pub inputs: Inputs,
    /// WASI's clocks, until `describe` has said which.
    pub wasi_clock: Arc<WasiClock>,
    wasi: WasiCtx,
}

/// How far a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is asked what it is: there is no record yet, and nothing is granted.
    Describing,
    /// It takes part in a run.
    Running,
}

/// What a component may read.
#[derive(Clone, Default)]
pub struct Inputs {
    /// Declared parameters with their values.
    pub parameters: BTreeMap<String, Value>,
    /// Granted datasets.
    pub datasets: BTreeMap<String, PathBuf>,
}

impl State {
    /// The state of a component that has not done anything yet.
    pub fn new(run: &Arc<Run>, limits: &Limits, stage: Stage) -> Self {
        let wasi_clock = Arc::new(WasiClock::new(run.clock));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        Self {
            table,
            limiter: Limiter::new(limits),
            inputs: Inputs::default(),
            wasi: wasi::world(&run.output, &wasi_clock, run.settings.seed),
            wasi_clock,
            run: Arc::clone(run),
            stage,
        }
    }

    /// Refuses what only a run has while the component is asked what it is. What a call did then would change the run:
    /// the meter would begin without a record, and phases would be open before it.
    pub fn only_in_run(&self, call: &str) -> Result<(), Refusal> {
        match self.stage {
            Stage::Running => Ok(()),
            Stage::Describing => {
                Err(Refusal::NotGranted(format!("describe must not call {call}: call it in run")))
            }
        }
    }

    /// The same for a call that has no way to refuse: any answer would be a made-up one, so the component ends.
    pub fn only_in_run_or_end(&self, call: &'static str) -> wasmtime::Result<()> {
        match self.stage {
            Stage::Running => Ok(()),
            Stage::Describing => Err(Halt::InDescribe(call).trap()),
        }
    }

    /// The script goes on with a call that has succeeded: what it was refused before, it has handled. What it only says
    /// (logs) and lets go of (drops, on the way out of a function that fails) does not count.
    pub fn went_on(&self) {
        self.run.output.take_last_words();
    }

    /// Gives the component a handle to `resource`, unless it holds too many.
    pub fn hand_out<T: Send + 'static>(&mut self, resource: T) -> wasmtime::Result<Resource<T>> {
        self.went_on();
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

//! The data of a component's store: what its host calls work on.

use crate::{
    bindings::types,
    error::Refusal,
    limits::Limiter,
    resources::Kept,
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
    /// The host's memory that it takes.
    pub kept: Arc<Kept>,
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
    pub parameters: BTreeMap<String, Value>,
    /// Granted datasets.
    pub datasets: BTreeMap<String, PathBuf>,
}

impl State {
    /// The state of a component that has not done anything yet.
    pub fn new(run: &Arc<Run>) -> Self {
        let limits = &run.settings.limits;
        let wasi_clock = Arc::new(WasiClock::new(run.clock));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        Self {
            table,
            limiter: Limiter::new(limits),
            kept: Kept::new(limits.memory),
            inputs: Inputs::default(),
            wasi: wasi::world(&run.output, &wasi_clock, run.settings.seed),
            wasi_clock,
            run: Arc::clone(run),
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
        Ok(self.table.push(resource)?)
    }

    /// The same for what a call may be refused.
    pub fn handed_out<T: Send + 'static>(
        &mut self,
        answer: Result<T, Refusal>,
    ) -> wasmtime::Result<Result<Resource<T>, types::Error>> {
        match answer {
            Ok(resource) => Ok(Ok(self.hand_out(resource)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    /// The same for several.
    pub fn hand_out_all<T: Send + 'static>(
        &mut self,
        resources: impl IntoIterator<Item = T>,
    ) -> wasmtime::Result<Vec<Resource<T>>> {
        resources.into_iter().map(|resource| self.hand_out(resource)).collect()
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

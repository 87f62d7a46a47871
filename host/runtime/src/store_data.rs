//! The data of a component's store, on which its host calls work.

use crate::{
    bindings::types,
    error::Refusal,
    limits::Limiter,
    resolved_inputs::ResolvedInputs,
    resources::HostMemory,
    run::RunContext,
    wasi::{self, WasiClock},
};
use std::sync::Arc;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data of a component's store.
pub(crate) struct StoreData {
    /// The resources that the component holds.
    pub table: ResourceTable,
    pub limiter: Limiter,
    /// The host memory that the component's resources take.
    pub memory: Arc<HostMemory>,
    pub run: Arc<RunContext>,
    /// The resolved parameters and datasets.
    pub inputs: ResolvedInputs,
    /// WASI's clocks, which run as `describe` asked.
    pub wasi_clock: Arc<WasiClock>,
    wasi: WasiCtx,
}

impl StoreData {
    /// Creates the data for a component that has not run yet.
    pub(crate) fn new(run: &Arc<RunContext>) -> Self {
        let limits = &run.settings.limits;
        let wasi_clock = Arc::new(WasiClock::new(run.clock));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources);
        Self {
            table,
            limiter: Limiter::new(limits),
            memory: HostMemory::new(limits.memory),
            inputs: ResolvedInputs::default(),
            wasi: wasi::empty_world(&run.output, &wasi_clock, run.settings.seed),
            wasi_clock,
            run: Arc::clone(run),
        }
    }

    /// Forgets the last error that the script reported, because a call has succeeded since: the script has handled the
    /// error. Logs and drops do not count, because they also happen on the way out of a function that fails.
    pub(crate) fn forget_last_error(&self) {
        self.run.output.take_last_error();
    }

    /// Gives the component a handle to `resource`. Fails if it holds too many.
    pub(crate) fn new_handle<T: Send + 'static>(
        &mut self,
        resource: T,
    ) -> wasmtime::Result<Resource<T>> {
        self.forget_last_error();
        Ok(self.table.push(resource)?)
    }

    /// Gives the component a handle to a resource, or a refusal.
    pub(crate) fn reply_handle<T: Send + 'static>(
        &mut self,
        answer: Result<T, Refusal>,
    ) -> wasmtime::Result<Result<Resource<T>, types::Error>> {
        match answer {
            Ok(resource) => Ok(Ok(self.new_handle(resource)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    /// Gives the component a handle to each resource. Fails if it holds too many.
    pub(crate) fn new_handles<T: Send + 'static>(
        &mut self,
        resources: impl IntoIterator<Item = T>,
    ) -> wasmtime::Result<Vec<Resource<T>>> {
        resources.into_iter().map(|resource| self.new_handle(resource)).collect()
    }
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

//! The host's side of the WIT package: one file an interface, each the conversions between it and
//! the crates below, and nothing else.

/// Refuses a call, by its name in WIT, while the component is only asked what it is.
macro_rules! only_in_run {
    ($state:expr, $call:literal) => {
        if let Err(refusal) = $state.only_in_run($call) {
            return Ok(Err(refusal.into()));
        }
    };
}

mod adapters;
mod batch;
mod devices;
mod engine;
mod flops;
mod generation;
mod inputs;
mod loading;
mod measurement;
mod meter;
mod names;
mod report;
mod request;
mod types;

use crate::{bindings::imports::Imports, state::State};
use wasmtime::component::{HasSelf, Linker};

/// A linker with every interface of the package and the empty WASI world.
pub fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    Imports::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

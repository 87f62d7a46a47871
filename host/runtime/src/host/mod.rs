//! The host's side of the WIT package: one file an interface, each the conversions between it and
//! the crates below, and nothing else.

pub mod adapters;
pub mod batch;
pub mod devices;
pub mod engine;
pub mod flops;
pub mod inputs;
pub mod loading;
pub mod meter;
pub mod report;
pub mod types;

use crate::{bindings::imports::Imports, state::State};
use wasmtime::component::{HasSelf, Linker};

/// A linker with every interface of the package and the empty WASI world.
pub fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    Imports::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

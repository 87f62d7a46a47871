//! The host's side of the WIT package: one file an interface, each the conversions between it and
//! the crates below, and nothing else.

mod adapters;
mod batches;
mod description;
mod devices;
mod facts;
mod flops;
mod generations;
mod inputs;
mod loading;
mod logits;
mod measurement;
mod meter;
mod models;
mod names;
mod report;
mod requests;
mod tokenizer;
mod trials;
mod types;

use crate::{bindings::imports, state::State};
use wasmtime::component::{HasSelf, Linker};

/// A linker with every interface of the package and the empty WASI world.
pub fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    imports::Host_::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

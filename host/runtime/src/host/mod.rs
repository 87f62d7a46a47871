//! The host's side of the WIT package. Each file implements one interface, and only converts between it and the crates
//! below.

mod adapters;
mod batches;
mod description;
mod devices;
mod facts;
mod flops;
mod generations;
mod inputs;
mod load_options;
mod logits;
mod measurement;
mod meter;
mod model_calls;
mod models;
mod names;
mod report;
mod requests;
mod tokenizer;
mod trials;
mod types;

use crate::{bindings::imports, store_data::StoreData};
use wasmtime::component::{HasSelf, Linker};

/// Makes a linker with every interface of the package and with an empty WASI world.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<StoreData>> {
    let mut linker = Linker::new(engine);
    imports::Host_::add_to_linker::<StoreData, HasSelf<StoreData>>(&mut linker, |state| state)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

//! The Rust bindings of `wit/`, which wit-bindgen generates: the resources and records that the rest of this crate
//! converts to plain structs. Each item is documented in `wit/`.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

pub use host::llem::experiment::{
    batches, description, devices, facts, flops, generations, inputs, meter, models, report,
    requests, trials, types,
};

//! What `wit/` says, as Rust: the resources and records that the rest of this crate turns into plain structs. The
//! documentation of each item is in `wit/`.
#![allow(missing_docs, clippy::undocumented_unsafe_blocks, reason = "generated")]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

pub use host::llem::experiment::{
    batches, description, devices, facts, flops, generations, inputs, meter, models, report,
    requests, trials, types,
};

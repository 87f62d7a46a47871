//! What the author of an llem experiment imports.
//!
//! An experiment is a description and a function. Most are assembled from a warm-up policy, a
//! workload and metrics:
//!
//! ```no_run
//! use llem_sdk::prelude::*;
//!
//! llem_sdk::experiment!(about, run);
//!
//! fn about() -> About {
//!     About::new("hello", "0.1.0", "Generates once.").integer("new-tokens", 16, "tokens to generate")
//! }
//!
//! fn run() -> Result<()> {
//!     let request = Request::text("The quick brown fox").max_new_tokens(parameter("new-tokens")?);
//!     Experiment::new(Model::granted()?)
//!         .warmup(FixedCount::default())
//!         .workload(Requests::new([request]))
//!         .run()
//! }
//! ```
//!
//! The same calls can be made one by one: [`Model::generate`], [`Window::open`], [`report`]. A
//! component may also hold only a policy ([`warmup!`], [`workload!`], [`metrics!`]), to be
//! combined with others on the command line.

pub mod about;
pub mod bindings;
pub mod efficiency;
pub mod error;
pub mod experiment;
pub mod export;
pub mod footprint;
pub mod inputs;
pub mod interval;
pub mod policy;
pub mod quantity;
pub mod request;
pub mod rest;
pub mod steady;
pub mod trial;
pub mod warmup;
pub mod workload;

pub use bindings::{Model, Window, devices, engine, flops, meter, report, types};
pub use error::{Error, Result};

/// What nearly every experiment uses.
pub mod prelude {
    pub use crate::{
        bindings::{
            About, AdapterInfo, Batch, BatchOptions, Generation, Measurement, Metric, Model,
            ModelInfo, Phase, Quantity, Request, Source, Trial, Window, report,
        },
        error::{Error, Result},
        experiment::Experiment,
        footprint::Grid,
        inputs::{Random, parameter, rows, rows_if_granted, sizes},
        interval::Interval,
        policy::{Describe, Metrics, OfAll, Warmup, WarmupPolicy, Workload},
        steady::{Protocol, Saturated},
        trial::by_label,
        warmup::{
            ColdStart, CountThenFloor, CvConvergence, FixedCount, TemperaturePlateau, TimeFloor,
        },
        workload::Requests,
    };
}

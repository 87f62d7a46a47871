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
pub mod adapter;
pub mod arrivals;
pub mod batch;
pub mod bindings;
pub mod completion;
pub mod devices;
pub mod efficiency;
pub mod error;
pub mod experiment;
pub mod export;
pub mod facts;
pub mod flops;
pub mod footprint;
pub mod goodput;
pub mod inputs;
pub mod interval;
pub mod load;
pub mod logits;
pub mod measurement;
pub mod meter;
pub mod model;
pub mod model_info;
pub mod policy;
pub mod quantity;
pub mod random;
pub mod report;
pub mod request;
pub mod rest;
pub mod sampling;
pub mod schedule;
pub mod steady;
pub mod tokenizer;
pub mod trial;
pub mod warmup;
pub mod window;
mod words;
pub mod workload;

pub use batch::Batch;
pub use error::{Error, ErrorCode, Result};
pub use model::Model;
pub use request::Request;
pub use trial::Trial;
pub use window::Window;

/// What nearly every experiment uses.
pub mod prelude {
    pub use crate::{
        about::About,
        adapter::AdapterInfo,
        arrivals::Arrivals,
        batch::{Batch, BatchOptions},
        completion::{Completion, Generation},
        error::{Error, ErrorCode, Result},
        experiment::Experiment,
        footprint::Grid,
        goodput::{Goodput, ServiceLevels},
        inputs::{parameter, rows, rows_if_granted, sizes, texts_if_granted},
        interval::Interval,
        load::LoadOptions,
        measurement::Measurement,
        model::Model,
        model_info::ModelInfo,
        policy::{Describe, Metrics, OfAll, Warmup, WarmupPolicy, Workload},
        quantity::{Quantity, Source},
        random::Random,
        report::{self, Level, Metric, Phase},
        request::{Prompt, Request},
        sampling::Sampling,
        schedule::{Schedule, Session},
        steady::{Protocol, Saturated},
        trial::{Trial, by_label},
        warmup::{
            ColdStart, CountThenFloor, CvConvergence, FixedCount, TemperaturePlateau, TimeFloor,
        },
        window::Window,
        workload::Requests,
    };
}

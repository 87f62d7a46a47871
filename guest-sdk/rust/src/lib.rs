//! The Rust SDK for llem experiments.
//!
//! An experiment is a WebAssembly component with two functions: one describes it (its name, parameters and datasets),
//! the other runs it. It runs in the `llem` host, which owns the models, the devices and the energy counters. All that
//! an experiment does goes through calls of the host, which this crate wraps in plain Rust types.
//!
//! ```text
//!            your crate                                       llem-sdk                     host
//! ┌───────────────────────────────────┐   ┌──────────────────────────────────────┐   ┌────────────────┐
//! │ experiment!(about, run)           │   │ Experiment: baseline, warm-up,       │   │ engine         │
//! │   about() -> About                ├──►│   measurement, metrics               ├──►│ meter          │
//! │   run() -> Result<()>             │   │ or single calls: Model::generate,    │   │ run record     │
//! │ WarmupPolicy, WorkloadPolicy, ... │   │   Window::open, report::add_metric   │   │                │
//! └───────────────────────────────────┘   └──────────────────────────────────────┘   └────────────────┘
//! ```
//!
//! Most experiments are assembled from a warm-up policy, a workload and metrics:
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
//!     let request = Request::from_text("The quick brown fox").max_new_tokens(parameter("new-tokens")?);
//!     Experiment::new(Model::load_granted()?)
//!         .warmup(FixedCount::default())
//!         .workload(RequestList::new([request]))
//!         .run()
//! }
//! ```
//!
//! # Start at
//!
//! - [`Experiment`]: runs the phases of an experiment in order.
//! - [`Model`]: loads a model, generates, scores, and opens continuous batches.
//! - [`Request`]: prompts, and how their tokens are chosen.
//! - [`Measurement`]: the time, energy and operations of a closed [`Window`].
//! - [`Arrivals`]: sends the requests of a workload at given times.
//!
//! A component may also hold a single policy ([`warmup!`], [`workload!`], [`metrics!`]). The user combines such
//! components on the command line.
//!
//! Modules that stay public hold functions that are read with the module's name: [`report::log`], [`meter::now`].
//! Instants and durations from the host are `u64` numbers of nanoseconds unless their type is [`std::time::Duration`].

mod about;
mod adapter_info;
mod arrivals;
mod batch;
pub mod bindings;
mod completion;
pub mod devices;
pub mod efficiency;
mod electricity_supply;
mod error;
mod experiment;
#[doc(hidden)]
pub mod export;
pub mod facts;
#[cfg(test)]
mod fixtures;
pub mod flops;
mod goodput;
pub mod inputs;
mod lengths;
mod load_options;
mod logits;
mod measurement;
pub mod meter;
mod model;
mod model_info;
#[cfg(test)]
mod numbers;
mod open_enum;
mod policy;
mod quantity;
mod random;
pub mod reading;
pub mod report;
mod request;
mod request_list;
mod sampling;
mod schedule;
mod shuffle;
pub mod statistics;
mod steady_state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod tokenizer;
mod trial;
mod wait;
mod warmup;
mod window;

pub use about::{About, Clocks, DatasetInput, Parameter};
pub use adapter_info::AdapterInfo;
pub use arrivals::{ArrivalTimes, Arrivals, TimedWorkload};
pub use batch::{Batch, BatchOptions, BatchStatus, Progress, StepToken};
pub use completion::{
    Completion, FinishReason, Generation, Score, ScoreRequest, Scoring, TokenLogProbabilities,
    TokenLogProbability,
};
pub use electricity_supply::ElectricitySupply;
pub use error::{Error, ErrorCode, Result};
pub use experiment::Experiment;
pub use goodput::{Goodput, ServiceLevels};
pub use lengths::Lengths;
pub use load_options::{LoadOptions, Parallelism, Rank};
pub use logits::{Logits, TokenLogit};
pub use measurement::{
    Activity, Course, DeviceEnergy, Domain, Measurement, MemoryPeak, RankActivity, Segment,
    Throttling,
};
pub use model::Model;
pub use model_info::ModelInfo;
pub use policy::{Describe, MetricsFn, MetricsPolicy, WarmupPolicy, WarmupStep, WorkloadPolicy};
pub use quantity::{Quantity, Reading, Source};
pub use random::{Random, UniformSource};
pub use request::{AdapterChoice, AdapterSelection, Chat, Message, Prompt, Request};
pub use request_list::RequestList;
pub use sampling::Sampling;
pub use schedule::{Schedule, Session};
pub use statistics::Interval;
pub use steady_state::{
    SaturatedBatch, SteadyState, ThermalProtocol, ThermalSweep, ThermalTrial, joules_per_run,
};
pub use tokenizer::{SpecialToken, Tokenizer};
pub use trial::{Trial, TrialOutcome, group_by_label};
pub use wait::{sleep_for, wait_until_power_steady, wait_until_temperature_steady};
pub use warmup::{
    ColdStart, CountThenFloor, CvConvergence, FixedCount, TemperaturePlateau, TimeFloor,
};
pub use window::{Sample, Window};

/// The items that nearly every experiment uses.
pub mod prelude {
    pub use crate::{
        About, AdapterInfo, Arrivals, Batch, BatchOptions, ColdStart, Completion, CountThenFloor,
        CvConvergence, Describe, ElectricitySupply, Error, ErrorCode, Experiment, FixedCount,
        Generation, Goodput, Interval, Lengths, LoadOptions, Measurement, MetricsFn, MetricsPolicy,
        Model, ModelInfo, Prompt, Quantity, Random, Request, RequestList, Result, Sampling,
        SaturatedBatch, Schedule, ServiceLevels, Session, Source, TemperaturePlateau,
        ThermalProtocol, TimeFloor, TimedWorkload, Trial, WarmupPolicy, WarmupStep, Window,
        WorkloadPolicy, group_by_label,
        inputs::{parameter, parameter_within, rows, rows_if_granted, sizes, texts_if_granted},
        report::{self, Level, Metric, Phase},
    };
}

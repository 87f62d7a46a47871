//! Runs WebAssembly experiments: compiles and caches components, limits and grants, and adapts
//! engine, meter and record to the WIT package.
//!
//! ```text
//! files ─► component ─► check imports ─► describe ─► parameters, datasets ─► run ─► record
//!            │ cache                     (its own store)                     │
//!            ├ core modules are encoded                     host/<interface>.rs answers its calls
//!            └ policies are composed with the runner
//! ```

mod about;
mod asked;
mod baseline;
mod batch_energy;
mod batch_journal;
pub mod bindings;
pub mod border;
mod cgroup;
mod code_cache;
pub mod component;
pub mod compose;
mod dataset;
mod describe;
pub mod encode;
mod energy_shares;
pub mod engine_thread;
mod environment;
pub mod error;
pub mod exec;
mod holdings;
pub mod host;
pub mod inspect;
mod last_words;
pub mod limits;
pub mod measure;
pub mod measurement;
pub mod metering;
pub mod output;
pub mod plan;
mod scoring;
mod secrets;
mod sha256;
pub mod state;
mod steadiness;
pub mod stop;
mod timeline;
mod wasi;

pub use error::{Error, Result};
pub use exec::{Options, Outcome, Script, exec};

pub use limits::Limits;
pub use llem_record::Build;
pub use metering::Metering;
pub use output::Observer;
pub use stop::{Stop, StopReason};

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
mod batch;
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
mod engine_thread;
mod environment;
pub mod error;
pub mod exec;
mod exports;
mod facts;
pub mod grants;
mod holdings;
mod host;
pub mod inspect;
mod instances;
mod last_words;
pub mod limits;
mod measure;
mod models;
pub mod output;
mod package;
mod package_cycle;
pub mod plan;
mod random;
mod resources;
pub mod run;
mod secrets;
mod sha256;
pub mod state;
mod stop;
pub mod value;
mod wasi;

pub use compose::Script;
pub use error::{Error, Result};
pub use exec::{Options, Outcome, exec};
pub use llem_engine::Kind;

pub use limits::Limits;
pub use llem_record::Build;
pub use output::Observer;
pub use run::Metering;
pub use stop::{Stop, StopReason};

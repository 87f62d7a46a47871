//! Runs WebAssembly experiments: compiles and caches components, limits and grants, and adapts
//! engine, meter and record to the WIT package.
//!
//! ```text
//! bytes ─► component ─► check imports ─► describe ─► parameters, datasets ─► run ─► record
//!            │ cache                        (no grants)                      │
//!            └ core modules are encoded                     host/<interface>.rs answers its calls
//! ```

mod batch;
pub mod bindings;
mod cgroup;
pub mod component;
mod dataset;
mod energy_shares;
mod engine_thread;
mod environment;
pub mod error;
pub mod exec;
pub mod grants;
mod holdings;
mod host;
pub mod inspect;
mod last_words;
pub mod limits;
mod measure;
mod models;
pub mod output;
pub mod plan;
mod random;
pub mod run;
pub mod runner;
mod secrets;
mod sha256;
pub mod state;
mod stop;
pub mod value;
mod wasi;

pub use error::{Error, Kind, Result};
pub use exec::{Options, Outcome, Script, exec};

pub use limits::Limits;
pub use llem_record::Build;
pub use output::Observer;
pub use run::Metering;
pub use stop::{Stop, StopReason};

//! Runs WebAssembly experiments: compiles components, enforces limits and grants, and connects the engine, the meter and
//! the record to the WIT package.
//!
//! ```text
//! files ─► component ─► check imports ─► describe ─► parameters, datasets ─► run ─► record
//!            │ cache                     (its own store)                     │
//!            ├ core modules are encoded                     host/<interface>.rs answers its calls
//!            └ policies are composed with the runner
//! ```
//!
//! Start at:
//!
//! - [`exec()`] executes a run, with [`ExecOptions`]. Its documentation has an example.
//! - [`RunSettings`] are the grants and settings of a run: its [`ModelGrants`], [`Limits`] and [`MeterSetup`].
//! - [`inspect()`] describes a component without running it.
//! - [`Observer`] sees a run while it goes on.
//! - [`Error`] is why a run did not complete. Its [`ErrorKind`] chooses the exit code of the program.

mod about;
mod batch;
mod bindings;
mod cgroup;
mod code_cache;
mod component_compiler;
mod component_interface;
mod compose;
mod dataset;
mod describe;
mod encode;
mod energy_shares;
mod energy_tally;
mod engine_thread;
mod environment;
mod error;
mod exec;
mod exec_options;
mod expected_digests;
mod exports;
mod grants;
mod host;
mod input_value;
mod inspect;
mod instance_count;
mod last_error;
mod limits;
mod loaded_model;
mod output;
mod package;
mod package_cycle;
mod prepared_run;
mod random_stream;
mod redaction;
mod resolved_inputs;
mod resources;
mod run;
mod run_facts;
mod sha256;
mod stop_signal;
mod store_data;
mod synthetic_host;
#[cfg(test)]
mod test_log;
mod usage_history;
mod wasi;
mod window;

pub use about::About;
pub use bindings::description::Parameter;
pub use component_interface::ComponentInterface;
pub use compose::{ComponentRole, RunComponent, Script, shipped_component};
pub use encode::{encode_component, parse_text};
pub use error::{Error, Result};
pub use exec::{ExecOutcome, exec};
pub use exec_options::ExecOptions;
pub use expected_digests::ExpectedDigests;
pub use grants::{AdapterGrant, DEFAULT_MODEL, ModelGrant, ModelGrants, RunSettings, split_name};
pub use input_value::InputValue;
pub use inspect::inspect;
pub use limits::Limits;
pub use llem_engine::ErrorKind;
pub use llem_record::{Build, ComponentSource};
pub use output::Observer;
pub use prepared_run::DescribedComponent;
pub use resolved_inputs::GivenInputs;
pub use run::MeterSetup;
pub use stop_signal::{StopReason, StopSignal};
pub use synthetic_host::SyntheticHost;

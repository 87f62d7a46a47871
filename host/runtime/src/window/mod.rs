//! Measured work: windows of scripts, the work of single calls, idle baselines, and their entries in the record.
//!
//! ```text
//! open_window ── what a script brackets ──────────┐
//! generation, scoring ── the work of one call ────┴─► window_record ─► journal
//! baseline ── idle power      steadiness ── waits until a device is steady
//! ```

pub(crate) mod baseline;
mod communication_times;
pub(crate) mod generation;
pub(crate) mod open_window;
pub(crate) mod scoring;
mod script_request;
pub(crate) mod sequence_record;
pub(crate) mod steadiness;
pub(crate) mod window_record;

pub(crate) use script_request::ScriptRequest;

//! The options of `llem exec` for the limits of a component.

use super::{TIMES, within};
use clap::value_parser;
use llem_runtime::Limits;
use std::time::Duration;

/// The binary logarithm of a MiB in bytes.
const MIB: u32 = 20;

/// The limits on what a component may use. The error about an exceeded limit names the option that raises it.
#[derive(clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// End the run after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().deadline.as_secs_f64(), value_parser = within(TIMES, "s"))]
    deadline: f64,
    /// Memory that a component may use for its linear memories and tables, MiB
    #[arg(long, value_name = "MIB", default_value_t = (Limits::default().memory >> MIB) as u32, value_parser = value_parser!(u32).range(1..))]
    max_memory: u32,
    /// Host resources that a component may hold at a time
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().resources as u32, value_parser = value_parser!(u32).range(1..))]
    max_resources: u32,
    /// Models that a component may hold at a time
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().models as u32, value_parser = value_parser!(u32).range(1..))]
    max_models: u32,
    /// What a component may have written to the run's folder, journal and artifacts, MiB
    #[arg(long, value_name = "MIB", default_value_t = (Limits::default().output >> MIB) as u32, value_parser = value_parser!(u32).range(1..))]
    max_output: u32,
    /// What a component may hand to the host in one call, MiB
    #[arg(long, value_name = "MIB", default_value_t = (Limits::default().call >> MIB) as u32, value_parser = value_parser!(u32).range(1..))]
    max_call: u32,
}

impl LimitArgs {
    /// Converts the options into limits.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            deadline: Duration::from_secs_f64(self.deadline),
            memory: (self.max_memory as usize) << MIB,
            resources: self.max_resources as usize,
            models: self.max_models as usize,
            output: u64::from(self.max_output) << MIB,
            call: (self.max_call as usize) << MIB,
        }
    }
}

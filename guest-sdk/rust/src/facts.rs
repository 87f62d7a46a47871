//! The machine, the build and the run, as reports print them.

use crate::bindings::facts;
use std::time::{Duration, SystemTime};

pub use facts::list_facts;

/// A fact by its name, such as `llem-version`, `cpu` or `cuda:0/power-limit-w`; none where it cannot be read.
pub fn fact(name: &str) -> Option<String> {
    list_facts().into_iter().find(|(known, _)| known == name).map(|(_, fact)| fact)
}

/// When the run began.
pub fn run_began() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(facts::run_began())
}

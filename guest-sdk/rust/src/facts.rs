//! Facts about the machine, the build and the run.

use crate::bindings::facts;
use std::time::{Duration, SystemTime};

pub use facts::list_facts;

/// Returns the fact of this name, such as `llem-version`, `cpu` or `cuda-0-power-limit`, or `None` if it is not known.
pub fn fact(name: &str) -> Option<String> {
    list_facts().into_iter().find(|(known, _)| known == name).map(|(_, fact)| fact)
}

/// Returns the time when the run began.
pub fn run_began() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(facts::run_began())
}

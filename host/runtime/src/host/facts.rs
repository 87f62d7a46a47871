//! `facts.wit`: the machine, the build and the run.

use crate::{bindings::facts, state::State};

impl facts::Host for State {
    fn list_facts(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.run.facts())
    }

    fn run_began(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.run.clock.unix_ns() / 1_000_000_000).unwrap_or(0))
    }
}

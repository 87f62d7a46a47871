//! `facts.wit`: the machine, the build and the run.

use crate::{bindings, facts, state::State};

impl bindings::facts::Host for State {
    fn list_facts(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let mut all = self.inputs.facts.clone();
        all.extend(facts::of_devices(&self.run));
        Ok(all)
    }

    fn run_began(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.run.clock.unix_ns() / 1_000_000_000).unwrap_or(0))
    }
}

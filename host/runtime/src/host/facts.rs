//! The interface `facts.wit`: the machine, the build and the run.

use crate::{bindings::facts, store_data::StoreData};

impl facts::Host for StoreData {
    fn list_facts(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.run.facts())
    }

    fn run_began(&mut self) -> wasmtime::Result<u64> {
        Ok(u64::try_from(self.run.clock.unix_ns() / 1_000_000_000).unwrap_or(0))
    }
}

//! `inputs.wit`: parameters, datasets, random numbers.

use super::types::Answer;
use crate::{
    bindings::{
        inputs,
        types::{Error, Value},
    },
    dataset::Rows,
    state::State,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use wasmtime::component::Resource;

impl inputs::Host for State {
    fn parameter(&mut self, name: String) -> Answer<Value> {
        Ok(self.inputs.parameters.get(&name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.inputs.parameters.keys().map(String::as_str).collect();
            Error::NotFound(format!(
                "parameter '{name}' was not declared by describe; declared: {}",
                known.join(", ")
            ))
        }))
    }

    fn seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.seed)
    }
}

impl inputs::HostDataset for State {
    fn open(&mut self, name: String) -> Answer<Resource<Rows>> {
        let Some(path) = self.inputs.datasets.get(&name) else {
            let error = Error::NotGranted(format!(
                "dataset '{name}' is not granted: add --dataset {name}=FILE"
            ));
            return Ok(Err(self.blame(error)));
        };
        match Rows::open(&name, path) {
            Ok(rows) => Ok(Ok(self.hand_out(rows)?)),
            Err(reason) => Ok(Err(self.blame(Error::InvalidArgument(reason)))),
        }
    }

    fn next(&mut self, dataset: Resource<Rows>) -> Answer<Option<inputs::Row>> {
        let rows = self.table.get_mut(&dataset)?;
        match rows.next_row() {
            Ok(None) => Ok(Ok(None)),
            Ok(Some((index, fields))) => {
                self.run.went_on();
                Ok(Ok(Some(inputs::Row { index, fields })))
            }
            Err(reason) => Ok(Err(self.blame(Error::InvalidArgument(reason)))),
        }
    }

    fn drop(&mut self, dataset: Resource<Rows>) -> wasmtime::Result<()> {
        self.table.delete(dataset)?;
        Ok(())
    }
}

/// A stream of the run's seed.
pub struct Stream(ChaCha8Rng);

impl inputs::HostRandom for State {
    fn new(&mut self, stream: String) -> wasmtime::Result<Resource<Stream>> {
        let name = Sha256::digest(stream.as_bytes());
        let number = name.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let mut random = ChaCha8Rng::seed_from_u64(self.run.seed);
        random.set_stream(number);
        self.hand_out(Stream(random))
    }

    fn next_u64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<u64> {
        Ok(self.table.get_mut(&stream)?.0.next_u64())
    }

    fn next_f64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<f64> {
        let bits = self.table.get_mut(&stream)?.0.next_u64() >> 11;
        Ok(bits as f64 / (1u64 << 53) as f64)
    }

    fn drop(&mut self, stream: Resource<Stream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

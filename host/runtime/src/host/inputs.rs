//! `inputs.wit`: parameters, datasets, random numbers.

use super::types::Told;
use crate::{
    bindings::{inputs, types::Value},
    dataset::Rows,
    error::Refusal,
    random::Stream,
    state::State,
};
use wasmtime::component::Resource;

impl inputs::Host for State {
    fn parameter(&mut self, name: String) -> Told<Value> {
        let value = self.inputs.parameters.get(&name).cloned().map(Into::into);
        self.told(value.ok_or_else(|| {
            let known: Vec<_> = self.inputs.parameters.keys().map(String::as_str).collect();
            let known = known.join(", ");
            let reason =
                format!("parameter '{name}' was not declared by describe; declared: {known}");
            Refusal::NotFound(reason)
        }))
    }

    fn seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.settings.seed)
    }
}

impl inputs::HostDataset for State {
    fn open(&mut self, name: String) -> Told<Resource<Rows>> {
        let rows = match self.inputs.datasets.get(&name) {
            Some(path) => Rows::open(&name, path).map_err(Refusal::InvalidArgument),
            None => Err(Refusal::NotGranted(format!(
                "dataset '{name}' is not granted: add --dataset {name}=FILE"
            ))),
        };
        let rows = rows.map(|rows| self.hand_out(rows));
        match rows {
            Ok(rows) => Ok(Ok(rows?)),
            Err(refusal) => self.told_of_given(Err(refusal)),
        }
    }

    fn next(&mut self, dataset: Resource<Rows>) -> Told<Option<inputs::Row>> {
        let row = self.table.get_mut(&dataset)?.next_row().map_err(Refusal::InvalidArgument);
        let seen = |(name, value): (String, crate::value::Value)| (name, value.into());
        self.told_of_given(row.map(|row| {
            row.map(|(index, fields)| inputs::Row {
                index,
                fields: fields.into_iter().map(seen).collect(),
            })
        }))
    }

    fn drop(&mut self, dataset: Resource<Rows>) -> wasmtime::Result<()> {
        self.table.delete(dataset)?;
        Ok(())
    }
}

impl inputs::HostRandom for State {
    fn new(&mut self, stream: String) -> wasmtime::Result<Resource<Stream>> {
        let stream = Stream::new(self.run.settings.seed, &stream);
        self.hand_out(stream)
    }

    fn next_u64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<u64> {
        Ok(self.table.get_mut(&stream)?.next_u64())
    }

    fn next_f64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<f64> {
        Ok(self.table.get_mut(&stream)?.next_f64())
    }

    fn drop(&mut self, stream: Resource<Stream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

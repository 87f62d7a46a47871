//! `inputs.wit`: parameters, datasets, random numbers.

use super::types::Told;
use crate::{
    bindings::{inputs, types::Value},
    dataset::Rows,
    error::Refusal,
    random::Stream,
    state::State,
};
use std::iter;
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
        // Names of datasets are kebab case.
        let (name, column) = match name.split_once('#') {
            Some((name, column)) => (name, Some(column)),
            None => (&*name, None),
        };
        let rows = match (self.inputs.datasets.get(name), column) {
            (Some(path), Some(column)) => Rows::open_column(name, column, path),
            (Some(path), None) => Rows::open(name, path).map_err(Refusal::InvalidArgument),
            (None, _) => Err(Refusal::NotGranted(format!(
                "dataset '{name}' is not granted: add --dataset {name}=FILE"
            ))),
        };
        self.handed_out(rows)
    }

    fn next(&mut self, dataset: Resource<Rows>) -> Told<Option<inputs::Row>> {
        let row = self.table.get_mut(&dataset)?.next_row().map_err(Refusal::InvalidArgument);
        self.told(row.map(|row| row.map(seen)))
    }

    fn next_rows(&mut self, dataset: Resource<Rows>, most: u32) -> Told<Vec<inputs::Row>> {
        let dataset = self.table.get_mut(&dataset)?;
        let rows = iter::from_fn(|| dataset.next_row().transpose()).take(most as usize);
        let rows: Result<Vec<_>, _> = rows.map(|row| row.map(seen)).collect();
        self.told(rows.map_err(Refusal::InvalidArgument))
    }

    fn length(&mut self, dataset: Resource<Rows>) -> Told<u64> {
        let length = self.table.get_mut(&dataset)?.length().map_err(Refusal::InvalidArgument);
        self.told(length)
    }

    fn rewind(&mut self, dataset: Resource<Rows>) -> Told<()> {
        let rewound = self.table.get_mut(&dataset)?.rewind().map_err(Refusal::InvalidArgument);
        self.told(rewound)
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

    fn many_u64(&mut self, stream: Resource<Stream>, count: u32) -> Told<Vec<u64>> {
        let most = self.run.settings.limits.call;
        let numbers = self.table.get_mut(&stream)?.fill_u64(count.into(), most);
        self.told(numbers)
    }

    fn many_f64(&mut self, stream: Resource<Stream>, count: u32) -> Told<Vec<f64>> {
        let most = self.run.settings.limits.call;
        let numbers = self.table.get_mut(&stream)?.fill_f64(count.into(), most);
        self.told(numbers)
    }

    fn tokens(&mut self, stream: Resource<Stream>, count: u32, vocabulary: u32) -> Told<Vec<u32>> {
        let most = self.run.settings.limits.call;
        let tokens = self.table.get_mut(&stream)?.tokens(count.into(), vocabulary, most);
        self.told(tokens)
    }

    fn drop(&mut self, stream: Resource<Stream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

fn seen((index, fields): (u64, Vec<(String, crate::value::Value)>)) -> inputs::Row {
    let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
    inputs::Row { index, fields: fields.collect() }
}

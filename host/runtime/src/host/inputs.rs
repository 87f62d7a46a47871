//! The interface `inputs.wit`: parameters, datasets, random numbers.

use super::types::HostResult;
use crate::{
    bindings::{inputs, types::Value},
    dataset::OpenDataset,
    error::Refusal,
    random_stream::RandomStream,
    store_data::StoreData,
};
use std::iter;
use wasmtime::component::Resource;

impl inputs::Host for StoreData {
    fn parameter(&mut self, name: String) -> HostResult<Value> {
        let value = self.inputs.parameters.get(&name).cloned().map(Into::into);
        self.reply(value.ok_or_else(|| {
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

impl inputs::HostDataset for StoreData {
    fn open(&mut self, name: String) -> HostResult<Resource<OpenDataset>> {
        // A dataset's name is kebab case, so `#` separates it from a column.
        let (name, column) = match name.split_once('#') {
            Some((name, column)) => (name, Some(column)),
            None => (&*name, None),
        };
        let rows = match (self.inputs.datasets.get(name), column) {
            (Some(path), Some(column)) => {
                OpenDataset::open_column(name, column, path).map_err(Refusal::from)
            }
            (Some(path), None) => OpenDataset::open(name, path).map_err(Refusal::from),
            (None, _) => Err(Refusal::NotGranted(format!(
                "dataset '{name}' is not granted: add --dataset {name}=FILE"
            ))),
        };
        self.reply_handle(rows)
    }

    fn next(&mut self, dataset: Resource<OpenDataset>) -> HostResult<Option<inputs::Row>> {
        let row = self.table.get_mut(&dataset)?.next_row().map_err(Refusal::from);
        self.reply(row.map(|row| row.map(seen)))
    }

    fn next_rows(
        &mut self,
        dataset: Resource<OpenDataset>,
        most: u32,
    ) -> HostResult<Vec<inputs::Row>> {
        let dataset = self.table.get_mut(&dataset)?;
        let rows = iter::from_fn(|| dataset.next_row().transpose()).take(most as usize);
        let rows: Result<Vec<_>, _> = rows.map(|row| row.map(seen)).collect();
        self.reply(rows.map_err(Refusal::from))
    }

    fn length(&mut self, dataset: Resource<OpenDataset>) -> HostResult<u64> {
        let length = self.table.get_mut(&dataset)?.length().map_err(Refusal::from);
        self.reply(length)
    }

    fn rewind(&mut self, dataset: Resource<OpenDataset>) -> HostResult<()> {
        let rewound = self.table.get_mut(&dataset)?.rewind().map_err(Refusal::from);
        self.reply(rewound)
    }

    fn drop(&mut self, dataset: Resource<OpenDataset>) -> wasmtime::Result<()> {
        self.table.delete(dataset)?;
        Ok(())
    }
}

impl inputs::HostRandom for StoreData {
    fn new(&mut self, stream: String) -> wasmtime::Result<Resource<RandomStream>> {
        let stream = RandomStream::new(self.run.settings.seed, &stream);
        self.new_handle(stream)
    }

    fn next_u64(&mut self, stream: Resource<RandomStream>) -> wasmtime::Result<u64> {
        Ok(self.table.get_mut(&stream)?.next_u64())
    }

    fn next_f64(&mut self, stream: Resource<RandomStream>) -> wasmtime::Result<f64> {
        Ok(self.table.get_mut(&stream)?.next_f64())
    }

    fn many_u64(&mut self, stream: Resource<RandomStream>, count: u32) -> HostResult<Vec<u64>> {
        let most = self.run.settings.limits.call;
        let numbers = self.table.get_mut(&stream)?.fill_u64(count.into(), most);
        self.reply(numbers)
    }

    fn many_f64(&mut self, stream: Resource<RandomStream>, count: u32) -> HostResult<Vec<f64>> {
        let most = self.run.settings.limits.call;
        let numbers = self.table.get_mut(&stream)?.fill_f64(count.into(), most);
        self.reply(numbers)
    }

    fn tokens(
        &mut self,
        stream: Resource<RandomStream>,
        count: u32,
        vocabulary: u32,
    ) -> HostResult<Vec<u32>> {
        let most = self.run.settings.limits.call;
        let tokens = self.table.get_mut(&stream)?.tokens(count.into(), vocabulary, most);
        self.reply(tokens)
    }

    fn drop(&mut self, stream: Resource<RandomStream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

fn seen((index, fields): (u64, Vec<(String, crate::input_value::InputValue)>)) -> inputs::Row {
    let fields = fields.into_iter().map(|(name, value)| (name, value.into()));
    inputs::Row { index, fields: fields.collect() }
}

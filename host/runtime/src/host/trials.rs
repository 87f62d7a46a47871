//! The interface `trials.wit`: the resources that the runner and policies share. The host does not use them itself.

use crate::{
    bindings::trials,
    resources::{
        CompletedSequence, GenerationResult, Measurement, RequestDraft, Schedule, Session, Trial,
    },
    store_data::StoreData,
};
use llem_engine::BatchOptions;
use wasmtime::component::Resource;

impl trials::Host for StoreData {}

impl trials::HostTrial for StoreData {
    fn new(
        &mut self,
        index: u32,
        request: Resource<RequestDraft>,
        generation: Resource<GenerationResult>,
    ) -> wasmtime::Result<Resource<Trial>> {
        let request = self.table.delete(request)?;
        let generation = self.table.delete(generation)?;
        let completions = generation.completions.to_vec();
        self.new_handle(Trial { index, request, completions, generation: Some(generation) })
    }

    fn batched(
        &mut self,
        index: u32,
        request: Resource<RequestDraft>,
        completions: Vec<Resource<CompletedSequence>>,
    ) -> wasmtime::Result<Resource<Trial>> {
        let request = self.table.delete(request)?;
        let completions: Result<Vec<CompletedSequence>, _> =
            completions.into_iter().map(|completion| self.table.delete(completion)).collect();
        self.new_handle(Trial { index, request, completions: completions?, generation: None })
    }

    fn index(&mut self, trial: Resource<Trial>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&trial)?.index)
    }

    fn request(&mut self, trial: Resource<Trial>) -> wasmtime::Result<Resource<RequestDraft>> {
        let request = self.table.get(&trial)?.request.copy()?;
        self.new_handle(request)
    }

    fn completions(
        &mut self,
        trial: Resource<Trial>,
    ) -> wasmtime::Result<Vec<Resource<CompletedSequence>>> {
        let completions = self.table.get(&trial)?.completions.clone();
        self.new_handles(completions)
    }

    fn generation(
        &mut self,
        trial: Resource<Trial>,
    ) -> wasmtime::Result<Option<Resource<GenerationResult>>> {
        let generation = self.table.get(&trial)?.generation.clone();
        generation.map(|generation| self.new_handle(generation)).transpose()
    }

    fn drop(&mut self, trial: Resource<Trial>) -> wasmtime::Result<()> {
        self.table.delete(trial)?;
        Ok(())
    }
}

impl trials::HostSchedule for StoreData {
    fn new(&mut self) -> wasmtime::Result<Resource<Schedule>> {
        self.new_handle(Schedule::default())
    }

    fn batch(
        &mut self,
        schedule: Resource<Schedule>,
    ) -> wasmtime::Result<Option<Resource<BatchOptions>>> {
        let batch = self.table.get(&schedule)?.batch.clone();
        batch.map(|options| self.new_handle(options)).transpose()
    }

    fn set_batch(
        &mut self,
        schedule: Resource<Schedule>,
        options: Option<Resource<BatchOptions>>,
    ) -> wasmtime::Result<()> {
        let options = options.map(|options| self.table.delete(options)).transpose()?;
        self.table.get_mut(&schedule)?.batch = options;
        Ok(())
    }

    fn concurrency(&mut self, schedule: Resource<Schedule>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&schedule)?.concurrency)
    }

    fn set_concurrency(
        &mut self,
        schedule: Resource<Schedule>,
        requests: Option<u32>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&schedule)?.concurrency = requests;
        Ok(())
    }

    fn length(&mut self, schedule: Resource<Schedule>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&schedule)?.length)
    }

    fn set_length(
        &mut self,
        schedule: Resource<Schedule>,
        length: Option<u64>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&schedule)?.length = length;
        Ok(())
    }

    fn drop(&mut self, schedule: Resource<Schedule>) -> wasmtime::Result<()> {
        self.table.delete(schedule)?;
        Ok(())
    }
}

impl trials::HostSession for StoreData {
    fn new(
        &mut self,
        measurement: Option<Resource<Measurement>>,
    ) -> wasmtime::Result<Resource<Session>> {
        let measurement =
            measurement.map(|measurement| self.table.delete(measurement)).transpose()?;
        self.new_handle(Session { measurement })
    }

    fn measurement(
        &mut self,
        session: Resource<Session>,
    ) -> wasmtime::Result<Option<Resource<Measurement>>> {
        let measurement = self.table.get(&session)?.measurement.clone();
        measurement.map(|measurement| self.new_handle(measurement)).transpose()
    }

    fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}

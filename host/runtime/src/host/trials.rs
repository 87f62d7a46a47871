//! `trials.wit`: what the runner and policies share. Only they look into it.

use crate::{
    bindings::trials,
    resources::{Completed, Draft, Generated, Measurement, Schedule, Session, Trial},
    state::State,
};
use llem_engine::batch::BatchOptions;
use wasmtime::component::Resource;

impl trials::Host for State {}

impl trials::HostTrial for State {
    fn new(
        &mut self,
        index: u32,
        request: Resource<Draft>,
        generation: Resource<Generated>,
    ) -> wasmtime::Result<Resource<Trial>> {
        let request = self.table.delete(request)?;
        let generation = self.table.delete(generation)?;
        let completions = generation.completions.to_vec();
        self.hand_out(Trial { index, request, completions, generation: Some(generation) })
    }

    fn batched(
        &mut self,
        index: u32,
        request: Resource<Draft>,
        completions: Vec<Resource<Completed>>,
    ) -> wasmtime::Result<Resource<Trial>> {
        let request = self.table.delete(request)?;
        let completions: Result<Vec<Completed>, _> =
            completions.into_iter().map(|completion| self.table.delete(completion)).collect();
        self.hand_out(Trial { index, request, completions: completions?, generation: None })
    }

    fn index(&mut self, trial: Resource<Trial>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&trial)?.index)
    }

    fn request(&mut self, trial: Resource<Trial>) -> wasmtime::Result<Resource<Draft>> {
        let request = self.table.get(&trial)?.request.copy()?;
        self.hand_out(request)
    }

    fn completions(
        &mut self,
        trial: Resource<Trial>,
    ) -> wasmtime::Result<Vec<Resource<Completed>>> {
        let completions = self.table.get(&trial)?.completions.clone();
        self.hand_out_all(completions)
    }

    fn generation(
        &mut self,
        trial: Resource<Trial>,
    ) -> wasmtime::Result<Option<Resource<Generated>>> {
        let generation = self.table.get(&trial)?.generation.clone();
        generation.map(|generation| self.hand_out(generation)).transpose()
    }

    fn drop(&mut self, trial: Resource<Trial>) -> wasmtime::Result<()> {
        self.table.delete(trial)?;
        Ok(())
    }
}

impl trials::HostSchedule for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Schedule>> {
        self.hand_out(Schedule::default())
    }

    fn batch(
        &mut self,
        schedule: Resource<Schedule>,
    ) -> wasmtime::Result<Option<Resource<BatchOptions>>> {
        let batch = self.table.get(&schedule)?.batch.clone();
        batch.map(|options| self.hand_out(options)).transpose()
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

impl trials::HostSession for State {
    fn new(
        &mut self,
        measurement: Option<Resource<Measurement>>,
    ) -> wasmtime::Result<Resource<Session>> {
        let measurement =
            measurement.map(|measurement| self.table.delete(measurement)).transpose()?;
        self.hand_out(Session { measurement })
    }

    fn measurement(
        &mut self,
        session: Resource<Session>,
    ) -> wasmtime::Result<Option<Resource<Measurement>>> {
        let measurement = self.table.get(&session)?.measurement.clone();
        measurement.map(|measurement| self.hand_out(measurement)).transpose()
    }

    fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}

//! `generations.wit`: what came of requests, made of what the record keeps of it.

use super::types::{reading, recorded};
use crate::{
    bindings::{generations, types},
    resources::{Completed, Generated, Measurement, Scored, Sequence},
    state::State,
};
use llem_engine::{Completion, batch::TokenLogProbabilities};
use llem_record::event::SequenceRecord;
use wasmtime::component::Resource;

impl generations::Host for State {}

impl generations::HostCompletion for State {
    fn sequence(&mut self, completion: Resource<Completed>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&completion)?.name)
    }

    fn prompt_tokens(&mut self, completion: Resource<Completed>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&completion)?.record.prompt_tokens)
    }

    fn cached_tokens(&mut self, completion: Resource<Completed>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&completion)?.record.cached_tokens)
    }

    fn tokens(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&completion)?.record.tokens.clone())
    }

    fn text(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&completion)?.text.clone())
    }

    fn finish(&mut self, completion: Resource<Completed>) -> wasmtime::Result<String> {
        Ok(self.table.get(&completion)?.record.finish.clone())
    }

    fn submitted(&mut self, completion: Resource<Completed>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&completion)?.record.submitted_ns)
    }

    fn admitted(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&completion)?.record.admitted_ns)
    }

    fn due_in_step(&mut self, completion: Resource<Completed>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&completion)?.record.due_in_step)
    }

    fn started(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&completion)?.started_ns)
    }

    fn token_times(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Vec<u64>> {
        Ok(self.table.get(&completion)?.record.token_ns.clone())
    }

    fn log_probabilities(
        &mut self,
        completion: Resource<Completed>,
    ) -> wasmtime::Result<Vec<generations::TokenLogProbabilities>> {
        let seen = |&(token, log_probability): &(u32, f64)| generations::TokenLogProbability {
            token,
            log_probability,
        };
        let completion = self.table.get(&completion)?;
        let told = completion.record.tokens.iter().zip(&completion.log_probabilities);
        let of_token = |(&token, of): (&u32, &TokenLogProbabilities)| {
            let chosen = seen(&(token, of.chosen));
            generations::TokenLogProbabilities { chosen, top: of.top.iter().map(seen).collect() }
        };
        Ok(told.map(of_token).collect())
    }

    fn adapter(&mut self, completion: Resource<Completed>) -> wasmtime::Result<Option<String>> {
        let adapter = &self.table.get(&completion)?.record.adapter;
        Ok(adapter.as_ref().map(|adapter| adapter.name.clone()))
    }

    fn energy(&mut self, completion: Resource<Completed>) -> wasmtime::Result<types::Reading> {
        let energy = &self.table.get(&completion)?.record.energy;
        Ok(match energy {
            Some(energy) => recorded(&energy.share),
            None => reading(Err("sequence-energy of its batch tells it".to_owned())),
        })
    }

    fn drop(&mut self, completion: Resource<Completed>) -> wasmtime::Result<()> {
        self.table.delete(completion)?;
        Ok(())
    }
}

impl generations::HostGeneration for State {
    fn completions(
        &mut self,
        generation: Resource<Generated>,
    ) -> wasmtime::Result<Vec<Resource<Completed>>> {
        let completions = self.table.get(&generation)?.completions.clone();
        self.hand_out_all(completions.iter().cloned())
    }

    fn prefill_time(&mut self, generation: Resource<Generated>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&generation)?.prefill_ns)
    }

    fn decode_time(&mut self, generation: Resource<Generated>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&generation)?.decode_ns)
    }

    fn measurement(
        &mut self,
        generation: Resource<Generated>,
    ) -> wasmtime::Result<Resource<Measurement>> {
        let measurement = self.table.get(&generation)?.measurement.clone();
        self.hand_out(measurement)
    }

    fn drop(&mut self, generation: Resource<Generated>) -> wasmtime::Result<()> {
        self.table.delete(generation)?;
        Ok(())
    }
}

impl generations::HostScoring for State {
    fn scores(&mut self, scoring: Resource<Scored>) -> wasmtime::Result<Vec<generations::Score>> {
        let seen = |score: &llem_engine::score::Score| generations::Score {
            log_likelihoods: score.log_likelihoods.clone(),
            is_greedy: score.is_greedy,
        };
        Ok(self.table.get(&scoring)?.scores.iter().map(seen).collect())
    }

    fn measurement(
        &mut self,
        scoring: Resource<Scored>,
    ) -> wasmtime::Result<Resource<Measurement>> {
        let measurement = self.table.get(&scoring)?.measurement.clone();
        self.hand_out(measurement)
    }

    fn drop(&mut self, scoring: Resource<Scored>) -> wasmtime::Result<()> {
        self.table.delete(scoring)?;
        Ok(())
    }
}

impl State {
    /// A sequence as a script holds it.
    pub fn completed(
        &self,
        name: u64,
        completion: Completion,
        record: SequenceRecord,
    ) -> wasmtime::Result<Completed> {
        let Completion { text, started, log_probabilities, .. } = completion;
        let top = |of: &TokenLogProbabilities| size_of_val(of) + size_of_val(&of.top[..]);
        let bytes = size_of::<Sequence>()
            + text.as_ref().map_or(0, String::len)
            + record.tokens.len() * (size_of::<u32>() + size_of::<u64>())
            + log_probabilities.iter().map(top).sum::<usize>();
        let charge = self.kept.charge(bytes)?;
        let started_ns = started.map(|started| self.run.clock.at(started));
        Ok(Completed::new(Sequence { name, text, record, started_ns, log_probabilities, charge }))
    }
}

//! The interface `generations.wit`: the results of requests, built from what the record stores of them.

use super::types::{reading, recorded};
use crate::{
    bindings::{generations, types},
    resources::{CompletedSequence, GenerationResult, Measurement, ScoringResult, SequenceResult},
    store_data::StoreData,
};
use llem_engine::{Completion, TokenLogProbabilities};
use llem_record::SequenceRecord;
use wasmtime::component::Resource;

impl generations::Host for StoreData {}

impl generations::HostCompletion for StoreData {
    fn sequence(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&completion)?.name)
    }

    fn prompt_tokens(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&completion)?.record.prompt_tokens)
    }

    fn cached_tokens(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&completion)?.record.cached_tokens)
    }

    fn tokens(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&completion)?.record.tokens.clone())
    }

    fn text(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&completion)?.text.clone())
    }

    fn finish(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<String> {
        Ok(self.table.get(&completion)?.record.finish.clone())
    }

    fn submitted(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&completion)?.record.submitted_ns)
    }

    fn admitted(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&completion)?.record.admitted_ns)
    }

    fn due_in_step(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&completion)?.record.due_in_step)
    }

    fn started(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&completion)?.started_ns)
    }

    fn token_times(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Vec<u64>> {
        Ok(self.table.get(&completion)?.record.token_ns.clone())
    }

    fn log_probabilities(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Vec<generations::TokenLogProbabilities>> {
        let seen = |&(token, log_probability): &(u32, f64)| generations::TokenLogProbability {
            token,
            log_probability,
        };
        let completion = self.table.get(&completion)?;
        let all = completion.record.tokens.iter().zip(&completion.log_probabilities);
        let of_token = |(&token, of): (&u32, &TokenLogProbabilities)| {
            let chosen = seen(&(token, of.chosen));
            generations::TokenLogProbabilities { chosen, top: of.top.iter().map(seen).collect() }
        };
        Ok(all.map(of_token).collect())
    }

    fn adapter(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<Option<String>> {
        let adapter = &self.table.get(&completion)?.record.adapter;
        Ok(adapter.as_ref().map(|adapter| adapter.name.clone()))
    }

    fn energy(
        &mut self,
        completion: Resource<CompletedSequence>,
    ) -> wasmtime::Result<types::Reading> {
        let energy = &self.table.get(&completion)?.record.energy;
        Ok(match energy {
            Some(energy) => recorded(&energy.share),
            None => reading(Err("sequence-energy of its batch tells it".into())),
        })
    }

    fn drop(&mut self, completion: Resource<CompletedSequence>) -> wasmtime::Result<()> {
        self.table.delete(completion)?;
        Ok(())
    }
}

impl generations::HostGeneration for StoreData {
    fn completions(
        &mut self,
        generation: Resource<GenerationResult>,
    ) -> wasmtime::Result<Vec<Resource<CompletedSequence>>> {
        let completions = self.table.get(&generation)?.completions.clone();
        self.new_handles(completions.iter().cloned())
    }

    fn prefill_time(&mut self, generation: Resource<GenerationResult>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&generation)?.prefill_ns)
    }

    fn decode_time(&mut self, generation: Resource<GenerationResult>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&generation)?.decode_ns)
    }

    fn measurement(
        &mut self,
        generation: Resource<GenerationResult>,
    ) -> wasmtime::Result<Resource<Measurement>> {
        let measurement = self.table.get(&generation)?.measurement.clone();
        self.new_handle(measurement)
    }

    fn drop(&mut self, generation: Resource<GenerationResult>) -> wasmtime::Result<()> {
        self.table.delete(generation)?;
        Ok(())
    }
}

impl generations::HostScoring for StoreData {
    fn scores(
        &mut self,
        scoring: Resource<ScoringResult>,
    ) -> wasmtime::Result<Vec<generations::Score>> {
        let seen = |score: &llem_engine::Score| generations::Score {
            log_likelihoods: score.log_likelihoods.clone(),
            is_greedy: score.is_greedy,
        };
        Ok(self.table.get(&scoring)?.scores.iter().map(seen).collect())
    }

    fn measurement(
        &mut self,
        scoring: Resource<ScoringResult>,
    ) -> wasmtime::Result<Resource<Measurement>> {
        let measurement = self.table.get(&scoring)?.measurement.clone();
        self.new_handle(measurement)
    }

    fn drop(&mut self, scoring: Resource<ScoringResult>) -> wasmtime::Result<()> {
        self.table.delete(scoring)?;
        Ok(())
    }
}

impl StoreData {
    /// Makes the resource for a sequence, and charges its bytes to the script.
    pub(crate) fn completed_sequence(
        &self,
        name: u64,
        completion: Completion,
        record: SequenceRecord,
    ) -> wasmtime::Result<CompletedSequence> {
        let Completion { text, started, log_probabilities, .. } = completion;
        let top = |of: &TokenLogProbabilities| size_of_val(of) + size_of_val(&of.top[..]);
        let bytes = size_of::<SequenceResult>()
            + text.as_ref().map_or(0, String::len)
            + record.tokens.len() * (size_of::<u32>() + size_of::<u64>())
            + log_probabilities.iter().map(top).sum::<usize>();
        let charge = self.memory.charge(bytes)?;
        let started_ns = started.map(|started| self.run.clock.at(started));
        Ok(CompletedSequence::new(SequenceResult {
            name,
            text,
            record,
            started_ns,
            log_probabilities,
            charge,
        }))
    }
}

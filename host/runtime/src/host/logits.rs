//! `batches.wit`, the resource `logits`.

use super::types::Told;
use crate::{bindings::batches, error::Refusal, resources::Logits, state::State};
use llem_engine::sampling::{LogitsRow, TokenLogit};
use wasmtime::component::Resource;

impl State {
    fn row(&self, logits: &Resource<Logits>) -> wasmtime::Result<LogitsRow<'_>> {
        // It could be read when it was handed out.
        LogitsRow::new(&self.table.get(logits)?.row).map_err(wasmtime::Error::from)
    }
}

impl batches::HostLogits for State {
    fn top(
        &mut self,
        logits: Resource<Logits>,
        count: u32,
    ) -> wasmtime::Result<Vec<batches::TokenLogit>> {
        Ok(self.row(&logits)?.top(count as usize).into_iter().map(Into::into).collect())
    }

    fn of_tokens(
        &mut self,
        logits: Resource<Logits>,
        tokens: Vec<u32>,
    ) -> Told<Vec<batches::TokenLogit>> {
        let told = self.row(&logits)?.of_tokens(&tokens).map_err(Refusal::from);
        self.told(told.map(|told| told.into_iter().map(Into::into).collect()))
    }

    fn all(&mut self, logits: Resource<Logits>) -> wasmtime::Result<Vec<f32>> {
        Ok(self.table.get(&logits)?.row.to_vec())
    }

    fn entropy(&mut self, logits: Resource<Logits>) -> wasmtime::Result<f64> {
        Ok(self.row(&logits)?.entropy())
    }

    fn drop(&mut self, logits: Resource<Logits>) -> wasmtime::Result<()> {
        self.table.delete(logits)?;
        Ok(())
    }
}

impl From<TokenLogit> for batches::TokenLogit {
    fn from(TokenLogit { token, logit, log_probability }: TokenLogit) -> Self {
        Self { token, logit, log_probability }
    }
}

//! The resource `logits` of `batches.wit`.

use super::types::HostResult;
use crate::{bindings::batches, error::Refusal, resources::NextTokenLogits, store_data::StoreData};
use llem_engine::{LogitsRow, TokenLogit};
use wasmtime::component::Resource;

impl StoreData {
    fn row(&self, logits: &Resource<NextTokenLogits>) -> wasmtime::Result<LogitsRow<'_>> {
        // The row was checked when the resource was made.
        LogitsRow::new(&self.table.get(logits)?.row).map_err(wasmtime::Error::from)
    }
}

impl batches::HostLogits for StoreData {
    fn top(
        &mut self,
        logits: Resource<NextTokenLogits>,
        count: u32,
    ) -> wasmtime::Result<Vec<batches::TokenLogit>> {
        Ok(self.row(&logits)?.top(count as usize).into_iter().map(Into::into).collect())
    }

    fn of_tokens(
        &mut self,
        logits: Resource<NextTokenLogits>,
        tokens: Vec<u32>,
    ) -> HostResult<Vec<batches::TokenLogit>> {
        let logits_of = self.row(&logits)?.of_tokens(&tokens).map_err(Refusal::from);
        self.reply(logits_of.map(|logits_of| logits_of.into_iter().map(Into::into).collect()))
    }

    fn all(&mut self, logits: Resource<NextTokenLogits>) -> wasmtime::Result<Vec<f32>> {
        Ok(self.table.get(&logits)?.row.to_vec())
    }

    fn entropy(&mut self, logits: Resource<NextTokenLogits>) -> wasmtime::Result<f64> {
        Ok(self.row(&logits)?.entropy())
    }

    fn drop(&mut self, logits: Resource<NextTokenLogits>) -> wasmtime::Result<()> {
        self.table.delete(logits)?;
        Ok(())
    }
}

impl From<TokenLogit> for batches::TokenLogit {
    fn from(TokenLogit { token, logit, log_probability }: TokenLogit) -> Self {
        Self { token, logit, log_probability }
    }
}

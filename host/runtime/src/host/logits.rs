//! `batches.wit`, the resource `logits`.

use super::types::Told;
use crate::{bindings::batches, error::Refusal, resources::Logits, state::State};
use llem_engine::sampling::row;
use wasmtime::component::Resource;

impl batches::HostLogits for State {
    fn top(
        &mut self,
        logits: Resource<Logits>,
        count: u32,
    ) -> wasmtime::Result<Vec<batches::TokenLogit>> {
        let row = &self.table.get(&logits)?.row;
        let all = row::log_sum_exp(row);
        let top = row::top(row, count as usize);
        Ok(top.into_iter().map(|token| seen(row, token, all)).collect())
    }

    fn of_tokens(
        &mut self,
        logits: Resource<Logits>,
        tokens: Vec<u32>,
    ) -> Told<Vec<batches::TokenLogit>> {
        let row = &self.table.get(&logits)?.row;
        let all = row::log_sum_exp(row);
        let outside = tokens.iter().find(|&&token| token as usize >= row.len());
        let answer = match outside {
            None => Ok(tokens.iter().map(|&token| seen(row, token, all)).collect()),
            Some(token) => Err(Refusal::InvalidArgument(format!(
                "token {token} is outside the vocabulary of {}",
                row.len()
            ))),
        };
        self.told(answer)
    }

    fn all(&mut self, logits: Resource<Logits>) -> wasmtime::Result<Vec<f32>> {
        Ok(self.table.get(&logits)?.row.clone())
    }

    fn entropy(&mut self, logits: Resource<Logits>) -> wasmtime::Result<f64> {
        Ok(row::entropy(&self.table.get(&logits)?.row))
    }

    fn drop(&mut self, logits: Resource<Logits>) -> wasmtime::Result<()> {
        self.table.delete(logits)?;
        Ok(())
    }
}

/// A token of a row whose log-sum-exp is `all`.
fn seen(row: &[f32], token: u32, all: f64) -> batches::TokenLogit {
    let logit = row[token as usize];
    batches::TokenLogit { token, logit, log_probability: f64::from(logit) - all }
}

//! Who chooses the tokens of a sequence, and how.

use super::{ModelParts, Sequence, TokenLogProbabilities};
use crate::{
    Error, Request, Result,
    sampling::{LogitsRow, Sampler, argmax},
};
use llem_compute::ops::sampling::Draw;
use std::sync::Arc;

pub(super) enum Chooser {
    /// The most likely token of the model's logits, if no token is forbidden. Otherwise the sampler chooses.
    Greedy(Sampler),
    /// The request's sampling options.
    Sampler(Sampler),
    /// The tokens are given.
    Given(Vec<u32>),
    /// The caller chooses from this row of logits, `[vocab]`. `None` until the row is there.
    Caller(Option<Arc<[f32]>>),
}

/// Which part of a row of logits a sequence needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowUse {
    /// Nothing. The row is computed and stays on its device.
    Nothing,
    /// The id of the most likely token.
    MostLikely,
    /// A token drawn from the unchanged logits. From a device, only the token's id comes to the host.
    Draw,
    /// The whole row, on the host.
    Row,
}

impl Chooser {
    /// Creates the chooser of the request's prompt `index`.
    pub(super) fn new(request: &Request, index: usize, prompt: &[u32]) -> Self {
        if request.caller_chooses {
            return Self::Caller(None);
        }
        if let Some(given) = request.given.get(index) {
            return Self::Given(given.clone());
        }
        let sampler = Sampler::new(&request.sampling, index, prompt);
        if request.sampling.is_plain_greedy() {
            Self::Greedy(sampler)
        } else {
            Self::Sampler(sampler)
        }
    }

    /// Returns the number of given tokens.
    pub(super) fn given_tokens(&self) -> usize {
        match self {
            Self::Given(tokens) => tokens.len(),
            _ => 0,
        }
    }

    /// Returns the next token, which follows `generated` tokens, from its row of logits. Returns `None` if the caller
    /// chooses it. A sampler never chooses a `forbidden` token.
    pub(super) fn choose(
        &mut self,
        row: &[f32],
        forbidden: &[&[u32]],
        generated: usize,
    ) -> Result<Option<u32>> {
        match self {
            Self::Greedy(_) if forbidden.iter().all(|ids| ids.is_empty()) => argmax(row).map(Some),
            Self::Greedy(sampler) | Self::Sampler(sampler) => {
                sampler.choose(row, forbidden).map(Some)
            }
            Self::Given(tokens) => Ok(tokens.get(generated).copied()),
            Self::Caller(waiting) => {
                // The caller gets no row that no sampler could choose from either.
                argmax(row)?;
                *waiting = Some(row.into());
                Ok(None)
            }
        }
    }
}

impl Sequence {
    /// Returns which part of the next token's row of logits the sequence needs.
    pub(crate) fn row_use(&self, eos: &[u32]) -> RowUse {
        match &self.chooser {
            _ if self.limit == 0 => RowUse::Nothing,
            Chooser::Given(_) if self.top_count.is_none() => RowUse::Nothing,
            _ if self.top_count.is_some() || !self.is_free_to_end(eos) => RowUse::Row,
            Chooser::Greedy(_) => RowUse::MostLikely,
            Chooser::Sampler(sampler) if sampler.leaves_logits() => RowUse::Draw,
            _ => RowUse::Row,
        }
    }

    /// Returns true if no token is forbidden now.
    fn is_free_to_end(&self, eos: &[u32]) -> bool {
        let forbidden = self.end_tokens.forbidden(self.tokens.len(), eos);
        forbidden.iter().all(|ids| ids.is_empty())
    }

    /// Returns how a device draws the next token from `vocab` tokens. Without a sampler the most likely token is
    /// drawn.
    pub(crate) fn draw(&mut self, vocab: usize) -> Draw {
        match &mut self.chooser {
            Chooser::Sampler(sampler) => sampler.draw(vocab),
            _ => Draw { top_k: vocab as u32, top_p: 1.0, ..Draw::default() },
        }
    }

    /// Returns true if the next row of logits yields a token at once.
    pub(crate) fn gets_token(&self) -> bool {
        self.limit > 0 && !matches!(self.chooser, Chooser::Caller(_))
    }

    /// Returns true if the sequence waits until the caller has chosen a token.
    pub(crate) fn awaits_choice(&self) -> bool {
        self.is_running() && self.row().is_some()
    }

    /// Returns the row of logits, `[vocab]`, from which the caller chooses.
    pub(crate) fn row(&self) -> Option<&Arc<[f32]>> {
        match &self.chooser {
            Chooser::Caller(row) => row.as_ref(),
            _ => None,
        }
    }

    /// Returns the next token from its row of logits, or `None` if the caller chooses it.
    pub(crate) fn choose(&mut self, row: &[f32], eos: &[u32]) -> Result<Option<u32>> {
        let generated = self.tokens.len();
        let forbidden = self.end_tokens.forbidden(generated, eos);
        let chosen = self.chooser.choose(row, &forbidden, generated);
        let noted = chosen.and_then(|token| {
            token.map_or(Ok(()), |token| self.record_log_probability(row, token))?;
            Ok(token)
        });
        noted.map_err(|error| self.with_name(error))
    }

    /// Returns the next given token, or `None` if none is left.
    pub(crate) fn given(&self) -> Option<u32> {
        match &self.chooser {
            Chooser::Given(tokens) => tokens.get(self.tokens.len()).copied(),
            _ => None,
        }
    }

    /// Sets the token that the caller has chosen.
    ///
    /// # Errors
    /// The token would end the sequence too early.
    pub(crate) fn choose_by_caller(&mut self, token: u32, parts: ModelParts<'_>) -> Result<()> {
        let (now, generated) = (llem_clock::now(), self.tokens.len());
        let forbidden = self.end_tokens.forbidden(generated, parts.eos);
        if forbidden.iter().any(|ids| ids.contains(&token)) {
            return Err(Error::Invalid(format!(
                "token {token} would end sequence {} after {generated} of at least {} tokens (min-new-tokens): choose another",
                self.name,
                self.end_tokens.fewest()
            )));
        }
        let Chooser::Caller(row) = &mut self.chooser else { return Ok(()) };
        if let Some(row) = row.take() {
            self.record_log_probability(&row, token).map_err(|error| self.with_name(error))?;
        }
        self.push_token(token, now, parts)
    }

    /// Records the log-probability of a chosen token, if the request asks for it.
    fn record_log_probability(&mut self, row: &[f32], token: u32) -> Result<()> {
        let Some(count) = self.top_count else { return Ok(()) };
        let row = LogitsRow::new(row)?;
        let top = row.top(count).into_iter().map(|one| (one.token, one.log_probability));
        let chosen = row.token(token)?.log_probability;
        self.log_probabilities.push(TokenLogProbabilities { chosen, top: top.collect() });
        Ok(())
    }
}

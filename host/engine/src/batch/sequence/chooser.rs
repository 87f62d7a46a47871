//! Who chooses a sequence's tokens, and by what.

use super::{Parts, Sequence, TokenLogProbabilities};
use crate::{
    Error, Request, Result,
    sampling::{LogitsRow, Sampler, argmax},
};
use llem_compute::ops::sampling::Draw;
use std::{sync::Arc, time::Instant};

/// Who chooses a sequence's tokens.
pub enum Chooser {
    /// The most likely one, as the model gives it, wherever no token is forbidden.
    Greedy(Sampler),
    /// The request's sampling options.
    Sampler(Sampler),
    /// Nobody: they are given.
    Given(Vec<u32>),
    /// The caller, by this row of logits once it is there.
    Caller(Option<Arc<[f32]>>),
}

/// What a sequence takes of a row of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: the row is computed, and stays where it is.
    Nothing,
    /// The id of the largest.
    MostLikely,
    /// A token drawn by the logits as they are: where they are on a device, only its id comes to the host.
    Draw,
    /// All of it, on the host.
    Row,
}

impl Chooser {
    /// That of the request's prompt `index`.
    pub fn new(request: &Request, index: usize, prompt: &[u32]) -> Self {
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

    /// Tokens that are given.
    pub fn given_tokens(&self) -> usize {
        match self {
            Self::Given(tokens) => tokens.len(),
            _ => 0,
        }
    }

    /// The token after the `generated` first by its row of logits; none where the caller is to choose it. A sampler
    /// chooses none of the `forbidden` ones.
    pub fn choose(
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
                // What no sampler would choose from is not the caller's to choose from either.
                argmax(row)?;
                *waiting = Some(row.into());
                Ok(None)
            }
        }
    }
}

impl Sequence {
    /// What it takes of the row of logits that its next token comes from.
    pub fn takes(&self, eos: &[u32]) -> Takes {
        match &self.chooser {
            _ if self.limit == 0 => Takes::Nothing,
            Chooser::Given(_) if self.told.is_none() => Takes::Nothing,
            _ if self.told.is_some() || !self.is_free_to_end(eos) => Takes::Row,
            Chooser::Greedy(_) => Takes::MostLikely,
            Chooser::Sampler(sampler) if sampler.leaves_logits() => Takes::Draw,
            _ => Takes::Row,
        }
    }

    /// Whether no token is forbidden now.
    fn is_free_to_end(&self, eos: &[u32]) -> bool {
        let forbidden = self.end_tokens.forbidden(self.tokens.len(), eos);
        forbidden.iter().all(|ids| ids.is_empty())
    }

    /// How a device draws its next token from `vocab` tokens; the most likely one where that is taken.
    pub fn draw(&mut self, vocab: usize) -> Draw {
        match &mut self.chooser {
            Chooser::Sampler(sampler) => sampler.draw(vocab),
            _ => Draw { top_k: vocab as u32, top_p: 1.0, ..Draw::default() },
        }
    }

    /// Whether it gets a token from its next row of logits, at once.
    pub fn gets_token(&self) -> bool {
        self.limit > 0 && !matches!(self.chooser, Chooser::Caller(_))
    }

    /// Whether it stands still until its caller has chosen a token.
    pub fn awaits_choice(&self) -> bool {
        self.is_running() && self.row().is_some()
    }

    /// The row of logits, `[vocab]`, by which its caller is to choose.
    pub fn row(&self) -> Option<&Arc<[f32]>> {
        match &self.chooser {
            Chooser::Caller(row) => row.as_ref(),
            _ => None,
        }
    }

    /// The next token by a row of logits; none where that is the caller's to choose.
    pub fn choose(&mut self, row: &[f32], eos: &[u32]) -> Result<Option<u32>> {
        let generated = self.tokens.len();
        let forbidden = self.end_tokens.forbidden(generated, eos);
        let chosen = self.chooser.choose(row, &forbidden, generated);
        let noted = chosen.and_then(|token| {
            token.map_or(Ok(()), |token| self.note(row, token))?;
            Ok(token)
        });
        noted.map_err(|error| self.blamed(error))
    }

    /// The next token where no row of logits is taken for it; none where none is left to come.
    pub fn given(&self) -> Option<u32> {
        match &self.chooser {
            Chooser::Given(tokens) => tokens.get(self.tokens.len()).copied(),
            _ => None,
        }
    }

    /// Takes the token that its caller has chosen now.
    ///
    /// # Errors
    /// The token would end it too early.
    pub fn choose_by_caller(&mut self, token: u32, parts: Parts<'_>) -> Result<()> {
        let (now, generated) = (Instant::now(), self.tokens.len());
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
            self.note(&row, token).map_err(|error| self.blamed(error))?;
        }
        self.take(token, now, parts)
    }

    /// Notes how likely a chosen token was, if that is asked.
    fn note(&mut self, row: &[f32], token: u32) -> Result<()> {
        let Some(count) = self.told else { return Ok(()) };
        let row = LogitsRow::new(row)?;
        let top = row.top(count).into_iter().map(|one| (one.token, one.log_probability));
        let chosen = row.of(token)?.log_probability;
        self.log_probabilities.push(TokenLogProbabilities { chosen, top: top.collect() });
        Ok(())
    }
}

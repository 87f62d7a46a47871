//! Ready workloads.

use crate::{
    Result,
    model::Model,
    policy::Workload,
    report,
    request::{Prompt, Request},
    trial::Trial,
};

/// A list of requests, run in order, the whole list as often as asked.
#[derive(Clone, Debug)]
pub struct Requests {
    requests: Vec<Request>,
    rounds: usize,
    given: usize,
}

impl Requests {
    /// Each request once.
    pub fn new(requests: impl IntoIterator<Item = Request>) -> Self {
        Self { requests: requests.into_iter().collect(), rounds: 1, given: 0 }
    }

    /// Leaves out requests that do not fit the model's context, and warns of it in the record.
    pub fn fitting(mut self, model: &Model) -> Result<Self> {
        let context = model.resource().context_length() as usize;
        let all = self.requests.len();
        let mut fitting = Vec::with_capacity(all);
        for request in self.requests {
            let mut longest = 0;
            for prompt in &request.prompts {
                longest = longest.max(token_count(model, prompt)?);
            }
            if longest + request.max_new_tokens as usize <= context {
                fitting.push(request);
            }
        }
        if fitting.len() < all {
            let left_out = all - fitting.len();
            report::warn(&format!(
                "{left_out} of {all} requests are left out: they do not fit the model's context of {context} tokens"
            ));
        }
        self.requests = fitting;
        Ok(self)
    }

    /// The whole list this often: rounds are interleaved, so that drift falls on all alike.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }
}

fn token_count(model: &Model, prompt: &Prompt) -> Result<usize> {
    Ok(match prompt {
        Prompt::Tokens(tokens) => tokens.len(),
        Prompt::Text(text) => model.tokenize(text)?.len(),
        Prompt::Chat(chat) => {
            let tokenizer = model.tokenizer()?;
            tokenizer.encode(&tokenizer.apply_chat_template(chat)?, true)?.len()
        }
    })
}

impl Workload for Requests {
    fn next(&mut self, _: Option<&Trial>) -> Result<Option<Request>> {
        if self.given == self.requests.len() * self.rounds {
            return Ok(None);
        }
        let next = self.requests[self.given % self.requests.len()].clone();
        self.given += 1;
        Ok(Some(next))
    }

    fn total(&self) -> Option<u64> {
        Some((self.requests.len() * self.rounds) as u64)
    }
}

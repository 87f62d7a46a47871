//! The workload that runs a list of requests.

use crate::{
    Result,
    model::Model,
    policy::WorkloadPolicy,
    report,
    request::{Prompt, Request},
    trial::Trial,
};

/// A workload that runs a list of requests in order, once or several times.
///
/// ```
/// use llem_sdk::{Request, RequestList, WorkloadPolicy};
///
/// let requests = ["short", "long"].map(|label| Request::from_text("hello").label(label));
/// let mut workload = RequestList::new(requests).rounds(2);
/// let mut labels = Vec::new();
/// while let Some(request) = workload.next(None)? {
///     labels.push(request.label);
/// }
/// assert_eq!(labels, ["short", "long", "short", "long"]);
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequestList {
    requests: Vec<Request>,
    rounds: usize,
    /// The number of requests that were returned.
    returned: usize,
}

impl RequestList {
    /// Creates a workload that runs each request once.
    pub fn new(requests: impl IntoIterator<Item = Request>) -> Self {
        Self { requests: requests.into_iter().collect(), rounds: 1, returned: 0 }
    }

    /// Removes requests that do not fit the model's context, and adds a warning to the record if there are any.
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

    /// Sets how often the whole list is run. Repetitions of a request are thus spread over the run, so that drift
    /// affects all requests alike.
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

impl WorkloadPolicy for RequestList {
    fn next(&mut self, _: Option<&Trial>) -> Result<Option<Request>> {
        if self.returned == self.requests.len() * self.rounds {
            return Ok(None);
        }
        let next = self.requests[self.returned % self.requests.len()].clone();
        self.returned += 1;
        Ok(Some(next))
    }

    fn total(&self) -> Option<u64> {
        Some((self.requests.len() * self.rounds) as u64)
    }
}

//! Requests, batches and models, in fewer words.

use crate::{
    Result,
    bindings::{
        BatchOptions, Model, Prompt, Request, Sampling, WhenFull, engine::LoadOptions,
        engine::Parallelism,
    },
    inputs::Random,
};

impl Request {
    /// One prompt of text.
    pub fn text(prompt: impl Into<String>) -> Self {
        Self::of([Prompt::Text(prompt.into())])
    }

    /// One prompt of token ids.
    pub fn tokens(tokens: impl Into<Vec<u32>>) -> Self {
        Self::of([Prompt::Tokens(tokens.into())])
    }

    /// A static batch of prompts.
    pub fn of(prompts: impl IntoIterator<Item = Prompt>) -> Self {
        Self {
            label: "request".to_owned(),
            prompts: prompts.into_iter().collect(),
            max_new_tokens: 32,
            ignore_eos: false,
            stop: Vec::new(),
            sampling: None,
            adapters: Vec::new(),
        }
    }

    /// Names it in the record.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Most tokens to generate for a sequence.
    pub fn max_new_tokens(mut self, most: u32) -> Self {
        self.max_new_tokens = most;
        self
    }

    /// Goes on past end-of-sequence tokens.
    pub fn ignore_eos(mut self) -> Self {
        self.ignore_eos = true;
        self
    }

    /// Runs every prompt with an attached adapter.
    pub fn adapter(mut self, name: impl Into<String>) -> Self {
        self.adapters = vec![Some(name.into())];
        self
    }

    /// Runs every prompt on the base weights, whatever adapters are attached.
    pub fn base_weights(mut self) -> Self {
        self.adapters = vec![None];
        self
    }

    /// Runs each prompt with an adapter of its own, or with none on the base weights.
    pub fn adapters(mut self, names: impl IntoIterator<Item = Option<String>>) -> Self {
        self.adapters = names.into_iter().collect();
        self
    }

    /// Draws tokens instead of taking the most likely.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }
}

impl Prompt {
    /// Random tokens of a vocabulary.
    pub fn random(random: &Random, vocabulary: u32, length: usize) -> Self {
        let token = |_| (random.next_u64() % u64::from(vocabulary)) as u32;
        Self::Tokens((0..length).map(token).collect())
    }
}

impl BatchOptions {
    /// A continuous batch of so many sequences at a time; more wait.
    pub fn sequences(most: u32) -> Self {
        Self {
            max_sequences: most,
            max_tokens: None,
            prefill_chunk: None,
            when_full: WhenFull::Wait,
        }
    }

    /// Most tokens of one sequence, prompt and output: what its KV memory is reserved for.
    pub fn max_tokens(mut self, most: u32) -> Self {
        self.max_tokens = Some(most);
        self
    }

    /// Most rows of a step in which prompt is run.
    pub fn prefill_chunk(mut self, rows: u32) -> Self {
        self.prefill_chunk = Some(rows);
        self
    }

    /// Refuses requests for which there is no KV memory, instead of letting them wait.
    pub fn refuse_when_full(mut self) -> Self {
        self.when_full = WhenFull::Refuse;
        self
    }
}

impl Parallelism {
    /// So many tensor ranks, pipeline stages and replicas.
    pub fn of(tensor: u32, pipeline: u32, data: u32) -> Self {
        let (experts, sharded_adapters, microbatches) = (false, false, None);
        Self { tensor, pipeline, data, experts, sharded_adapters, microbatches }
    }

    /// All ranks.
    pub fn ranks(&self) -> u32 {
        self.tensor * self.pipeline * self.data
    }
}

impl Model {
    /// Loads the model that was given on the command line, split as that says.
    pub fn granted() -> Result<Self> {
        Self::with(None)
    }

    /// Loads the model that was given on the command line, split in this way.
    pub fn split(parallelism: Parallelism) -> Result<Self> {
        Self::with(Some(parallelism))
    }

    fn with(parallelism: Option<Parallelism>) -> Result<Self> {
        let (source, dtype, device, seed) = (None, None, None, None);
        Ok(Self::load(&LoadOptions { source, dtype, device, parallelism, seed })?)
    }
}

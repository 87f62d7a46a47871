//! Requests: prompts, and how their tokens are chosen.

use crate::{Result, bindings::requests, random::Random, sampling::Sampling, wait::nanoseconds};
use std::time::Duration;

pub use requests::{AdapterChoice, AdapterSelection, Chat, Message};

/// Prompts that are run together, and how their tokens are chosen.
///
/// ```
/// use llem_sdk::{Request, Sampling};
///
/// let request = Request::from_text("Why is the sky blue?")
///     .label("short")
///     .max_new_tokens(64)
///     .sampling(Sampling::with_temperature(0.7));
/// assert_eq!((request.prompts.len(), request.max_new_tokens), (1, 64));
/// assert!(!request.ignore_eos);
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    /// The name of the request in the record. Results are grouped by it.
    pub label: String,
    /// The prompts. Each becomes one sequence. At least one.
    pub prompts: Vec<Prompt>,
    /// The maximum number of tokens to generate for a sequence. With 0 the prompt is run and nothing is sampled.
    pub max_new_tokens: u32,
    /// The minimum number of tokens to generate for a sequence. Tokens that would end it earlier are not chosen.
    pub min_new_tokens: u32,
    /// Whether sequences continue after end-of-sequence tokens, so that every output has `max_new_tokens` tokens.
    pub ignore_eos: bool,
    /// Texts that end a sequence when its output contains one of them.
    pub stop_texts: Vec<String>,
    /// Tokens that end a sequence, in addition to the model's own. They count even if `ignore_eos` is set.
    pub stop_tokens: Vec<u32>,
    /// How tokens are chosen. `None` means greedy.
    pub sampling: Option<Sampling>,
    /// The number of most likely tokens, at most 20, whose log-probabilities are returned for each position besides the
    /// chosen token's. 0 returns only the chosen token's, and `None` returns none.
    pub log_probabilities: Option<u32>,
    /// Whether the LM head is computed for all positions of a prompt. Only allowed if `max_new_tokens` is 0.
    pub all_prompt_logits: bool,
    /// Tokens that decode uses instead of choosing them, one list for each prompt. Empty means that tokens are chosen.
    pub given_tokens: Vec<Vec<u32>>,
    /// Whether the script chooses each token ([`Batch::choose`](crate::Batch::choose)). In continuous batches only.
    pub script_chooses: bool,
    /// The adapters that the prompts run with.
    pub adapters: AdapterSelection,
    /// Whether the cache of a sequence is kept when the sequence ends, for
    /// [`Batch::submit_after`](crate::Batch::submit_after). In continuous batches only.
    pub holds_cache: bool,
    /// When the runner sends the request, counted from the beginning of the measurement. `None` means as soon as the
    /// schedule allows it.
    pub arrival: Option<Duration>,
}

/// The prompt of a sequence.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Text, which is encoded with the special tokens that the tokenizer adds.
    Text(String),
    /// Token ids, which are used without change. At least one.
    Tokens(Vec<u32>),
    /// A conversation, which the model's chat template renders.
    Chat(Chat),
}

impl Request {
    /// Creates a request with one prompt of text.
    pub fn from_text(prompt: impl Into<String>) -> Self {
        Self::from_prompts([Prompt::Text(prompt.into())])
    }

    /// Creates a request with one prompt of token ids.
    pub fn from_tokens(tokens: impl Into<Vec<u32>>) -> Self {
        Self::from_prompts([Prompt::Tokens(tokens.into())])
    }

    /// Creates a request with one conversation.
    pub fn from_chat(messages: impl Into<Vec<Message>>) -> Self {
        Self::from_prompts([Prompt::Chat(Chat {
            messages: messages.into(),
            arguments: Vec::new(),
        })])
    }

    /// Creates a request with several prompts: a static batch, or several sequences of a continuous batch. It generates
    /// at most 32 tokens for each, greedily, and has the label `request`.
    pub fn from_prompts(prompts: impl IntoIterator<Item = Prompt>) -> Self {
        Self {
            label: "request".to_owned(),
            prompts: prompts.into_iter().collect(),
            max_new_tokens: 32,
            min_new_tokens: 0,
            ignore_eos: false,
            stop_texts: Vec::new(),
            stop_tokens: Vec::new(),
            sampling: None,
            log_probabilities: None,
            all_prompt_logits: false,
            given_tokens: Vec::new(),
            script_chooses: false,
            adapters: AdapterSelection::OfModel,
            holds_cache: false,
            arrival: None,
        }
    }

    /// Sets the name of the request in the record.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the maximum number of tokens to generate for a sequence.
    pub fn max_new_tokens(mut self, most: u32) -> Self {
        self.max_new_tokens = most;
        self
    }

    /// Makes sequences continue after end-of-sequence tokens.
    pub fn ignore_eos(mut self) -> Self {
        self.ignore_eos = true;
        self
    }

    /// Runs every prompt with an attached adapter.
    pub fn adapter(mut self, name: impl Into<String>) -> Self {
        self.adapters = AdapterSelection::Same(AdapterChoice::Named(name.into()));
        self
    }

    /// Runs every prompt on the base weights, whichever adapters are attached.
    pub fn base_weights(mut self) -> Self {
        self.adapters = AdapterSelection::Same(AdapterChoice::BaseWeights);
        self
    }

    /// Sets the adapter of each prompt, in the order of the prompts. `None` means the base weights.
    pub fn adapters(mut self, names: impl IntoIterator<Item = Option<String>>) -> Self {
        let choice =
            |name: Option<String>| name.map_or(AdapterChoice::BaseWeights, AdapterChoice::Named);
        self.adapters = AdapterSelection::Each(names.into_iter().map(choice).collect());
        self
    }

    /// Samples tokens instead of taking the most likely one.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// Returns the log-probabilities of each generated token and of the `count` most likely tokens, at most 20.
    pub fn log_probabilities(mut self, count: u32) -> Self {
        self.log_probabilities = Some(count);
        self
    }

    /// Lets the script choose each token. In continuous batches only.
    pub fn script_chooses(mut self) -> Self {
        self.script_chooses = true;
        self
    }

    /// Keeps the cache of a sequence when the sequence ends. In continuous batches only.
    pub fn holds_cache(mut self) -> Self {
        self.holds_cache = true;
        self
    }

    /// Sets when the runner sends the request, counted from the beginning of the measurement.
    pub fn arrival(mut self, arrival: Duration) -> Self {
        self.arrival = Some(arrival);
        self
    }
}

impl Prompt {
    /// Draws a prompt of `length` random tokens below `vocabulary`, each with the same probability.
    pub fn random(random: &Random, vocabulary: u32, length: u32) -> Result<Self> {
        Ok(Self::Tokens(random.tokens(length, vocabulary)?))
    }
}

impl From<&Request> for requests::Request {
    fn from(from: &Request) -> Self {
        let request = Self::new(&from.label);
        for prompt in &from.prompts {
            match prompt {
                Prompt::Text(text) => request.add_text(text),
                Prompt::Tokens(tokens) => request.add_tokens(tokens),
                Prompt::Chat(chat) => request.add_chat(chat),
            }
        }
        request.set_max_new_tokens(from.max_new_tokens);
        // Options that have their default value are not set, which saves calls of the host.
        if let Some(sampling) = &from.sampling {
            sampling.write(&request);
        }
        if from.min_new_tokens > 0 {
            request.set_min_new_tokens(from.min_new_tokens);
        }
        if from.ignore_eos {
            request.set_ignores_eos(true);
        }
        if !from.stop_texts.is_empty() {
            request.set_stop_texts(&from.stop_texts);
        }
        if !from.stop_tokens.is_empty() {
            request.set_stop_tokens(&from.stop_tokens);
        }
        if from.log_probabilities.is_some() {
            request.set_log_probabilities(from.log_probabilities);
        }
        if from.all_prompt_logits {
            request.set_all_prompt_logits(true);
        }
        if !from.given_tokens.is_empty() {
            request.set_given_tokens(&from.given_tokens);
        }
        if from.script_chooses {
            request.set_script_chooses(true);
        }
        if !matches!(from.adapters, AdapterSelection::OfModel) {
            request.set_adapters(&from.adapters);
        }
        if from.holds_cache {
            request.set_holds_cache(true);
        }
        if let Some(arrival) = from.arrival {
            request.set_arrival(Some(nanoseconds(arrival)));
        }
        request
    }
}

impl From<&requests::Request> for Request {
    fn from(from: &requests::Request) -> Self {
        let prompt = |index| {
            let text = from.prompt_text(index).map(Prompt::Text);
            text.or_else(|| from.prompt_tokens(index).map(Prompt::Tokens))
                .or_else(|| from.prompt_chat(index).map(Prompt::Chat))
        };
        let sampling = Sampling::read(from);
        Self {
            label: from.label(),
            prompts: (0..from.prompts()).filter_map(prompt).collect(),
            max_new_tokens: from.max_new_tokens(),
            min_new_tokens: from.min_new_tokens(),
            ignore_eos: from.ignores_eos(),
            stop_texts: from.stop_texts(),
            stop_tokens: from.stop_tokens(),
            sampling: (sampling != Sampling::greedy()).then_some(sampling),
            log_probabilities: from.log_probabilities(),
            all_prompt_logits: from.all_prompt_logits(),
            given_tokens: from.given_tokens(),
            script_chooses: from.script_chooses(),
            adapters: from.adapters(),
            holds_cache: from.holds_cache(),
            arrival: from.arrival().map(Duration::from_nanos),
        }
    }
}

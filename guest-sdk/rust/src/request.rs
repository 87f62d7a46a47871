//! What a model is asked.

use crate::{Result, bindings::requests, random::Random, rest::nanoseconds, sampling::Sampling};
use std::time::Duration;

pub use requests::{AdapterChoice, AdapterSelection, Chat, Message};

/// Prompts that are asked together, and how their tokens are chosen.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the request in the record, and groups it with others of its kind.
    pub label: String,
    /// One sequence each, of any lengths. At least one.
    pub prompts: Vec<Prompt>,
    /// Most tokens to generate for a sequence. 0: the prompt is run, and nothing is sampled.
    pub max_new_tokens: u32,
    /// Fewest tokens to generate for a sequence: until then, tokens that would end it are never chosen.
    pub min_new_tokens: u32,
    /// Goes on past end-of-sequence tokens, so that every output has `max_new_tokens` tokens.
    pub ignore_eos: bool,
    /// Ends a sequence when its text contains one of these.
    pub stop: Vec<String>,
    /// Tokens that end a sequence besides the model's own, even where those are ignored.
    pub stop_tokens: Vec<u32>,
    /// How tokens are chosen. None: greedy.
    pub sampling: Option<Sampling>,
    /// For how many of the most likely tokens, at most 20, completions tell log-probabilities; 0: for the chosen one; none:
    /// for none.
    pub log_probabilities: Option<u32>,
    /// Computes the LM head for all positions of a prompt. Only where `max_new_tokens` is 0.
    pub all_prompt_logits: bool,
    /// Tokens that decode is fed with in place of what would have been chosen, a list a prompt; empty: it chooses.
    pub given: Vec<Vec<u32>>,
    /// Whether the script chooses each token ([`Batch::choose`](crate::Batch::choose)). In continuous batches only.
    pub script_chooses: bool,
    /// What the prompts run with.
    pub adapters: AdapterSelection,
    /// Keeps keys and values when a sequence has ended, for [`Batch::submit_after`](crate::Batch::submit_after). In
    /// continuous batches only.
    pub holds_cache: bool,
    /// When the standard runner sends it, counted from when it begins to measure. None: as soon as it may.
    pub arrival: Option<Duration>,
}

/// What a sequence starts from.
#[derive(Clone, Debug)]
pub enum Prompt {
    /// Text, tokenized with the special tokens that the tokenizer adds.
    Text(String),
    /// Token ids, taken as they are. At least one.
    Tokens(Vec<u32>),
    /// A conversation, rendered by the model's chat template.
    Chat(Chat),
}

impl Request {
    /// One prompt of text.
    pub fn text(prompt: impl Into<String>) -> Self {
        Self::of([Prompt::Text(prompt.into())])
    }

    /// One prompt of token ids.
    pub fn tokens(tokens: impl Into<Vec<u32>>) -> Self {
        Self::of([Prompt::Tokens(tokens.into())])
    }

    /// One conversation.
    pub fn chat(messages: impl Into<Vec<Message>>) -> Self {
        Self::of([Prompt::Chat(Chat { messages: messages.into(), arguments: Vec::new() })])
    }

    /// Several prompts: a static batch, or as many sequences of a continuous one. At most 32 tokens each, greedy.
    pub fn of(prompts: impl IntoIterator<Item = Prompt>) -> Self {
        Self {
            label: "request".to_owned(),
            prompts: prompts.into_iter().collect(),
            max_new_tokens: 32,
            min_new_tokens: 0,
            ignore_eos: false,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
            sampling: None,
            log_probabilities: None,
            all_prompt_logits: false,
            given: Vec::new(),
            script_chooses: false,
            adapters: AdapterSelection::OfModel,
            holds_cache: false,
            arrival: None,
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
        self.adapters = AdapterSelection::Same(AdapterChoice::Named(name.into()));
        self
    }

    /// Runs every prompt on the base weights, whatever adapters are attached.
    pub fn base_weights(mut self) -> Self {
        self.adapters = AdapterSelection::Same(AdapterChoice::BaseWeights);
        self
    }

    /// Runs each prompt with an adapter of its own, or with none on the base weights.
    pub fn adapters(mut self, names: impl IntoIterator<Item = Option<String>>) -> Self {
        let choice =
            |name: Option<String>| name.map_or(AdapterChoice::BaseWeights, AdapterChoice::Named);
        self.adapters = AdapterSelection::Each(names.into_iter().map(choice).collect());
        self
    }

    /// Draws tokens instead of taking the most likely.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }

    /// Tells log-probabilities of each generated token and of so many of the most likely ones.
    pub fn log_probabilities(mut self, count: u32) -> Self {
        self.log_probabilities = Some(count);
        self
    }

    /// Lets the script choose each token. In continuous batches only.
    pub fn script_chooses(mut self) -> Self {
        self.script_chooses = true;
        self
    }

    /// Keeps keys and values when a sequence has ended. In continuous batches only.
    pub fn holds_cache(mut self) -> Self {
        self.holds_cache = true;
        self
    }

    /// Arrives at this time, counted from when the standard runner begins to measure.
    pub fn arrival(mut self, arrival: Duration) -> Self {
        self.arrival = Some(arrival);
        self
    }
}

impl Prompt {
    /// Random tokens of a vocabulary, each as likely as any.
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
        // A request that asks for no more than most do costs no more calls of the host than it needs.
        if let Some(sampling) = &from.sampling {
            sampling.write(&request);
        }
        if from.min_new_tokens > 0 {
            request.set_min_new_tokens(from.min_new_tokens);
        }
        if from.ignore_eos {
            request.set_ignores_eos(true);
        }
        if !from.stop.is_empty() {
            request.set_stop_texts(&from.stop);
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
        if !from.given.is_empty() {
            request.set_given_tokens(&from.given);
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
            stop: from.stop_texts(),
            stop_tokens: from.stop_tokens(),
            sampling: (sampling != Sampling::greedy()).then_some(sampling),
            log_probabilities: from.log_probabilities(),
            all_prompt_logits: from.all_prompt_logits(),
            given: from.given_tokens(),
            script_chooses: from.script_chooses(),
            adapters: from.adapters(),
            holds_cache: from.holds_cache(),
            arrival: from.arrival().map(Duration::from_nanos),
        }
    }
}

//! Requests and load options, as a script writes them.

use super::Charge;
use crate::bindings::{requests, types};
use llem_engine::AdapterSelection;

/// A prompt of a request.
#[derive(Clone, Debug)]
pub(crate) enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
    /// A conversation with the arguments of its chat template.
    Chat(requests::Chat),
}

/// A request that a script is writing. `requests.wit` says what each field means.
#[derive(Debug)]
#[allow(missing_docs, reason = "they are the setters of wit/requests.wit")]
pub struct RequestDraft {
    pub label: String,
    pub prompts: Vec<Prompt>,
    pub max_new_tokens: u32,
    pub min_new_tokens: u32,
    pub ignores_eos: bool,
    pub stop_texts: Vec<String>,
    pub stop_tokens: Vec<u32>,
    pub temperature: f32,
    pub top_k: Option<u32>,
    pub top_p: Option<f32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: f32,
    pub frequency_penalty: f32,
    pub presence_penalty: f32,
    pub logit_bias: Vec<(u32, f32)>,
    pub seed: Option<u64>,
    pub log_probabilities: Option<u32>,
    pub all_prompt_logits: bool,
    pub given_tokens: Vec<Vec<u32>>,
    pub script_chooses: bool,
    pub adapters: AdapterSelection,
    pub holds_cache: bool,
    pub arrival: Option<u64>,
    charge: Charge,
}

impl RequestDraft {
    /// Creates a request without prompts.
    pub(crate) fn new(label: String, charge: Charge) -> Self {
        Self {
            label,
            prompts: Vec::new(),
            max_new_tokens: 32,
            min_new_tokens: 0,
            ignores_eos: false,
            stop_texts: Vec::new(),
            stop_tokens: Vec::new(),
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
            log_probabilities: None,
            all_prompt_logits: false,
            given_tokens: Vec::new(),
            script_chooses: false,
            adapters: AdapterSelection::OfModel,
            holds_cache: false,
            arrival: None,
            charge,
        }
    }

    /// Copies the request.
    ///
    /// # Errors
    /// Fails if the script exceeds its memory limit.
    pub(crate) fn copy(&self) -> wasmtime::Result<Self> {
        Ok(Self {
            label: self.label.clone(),
            prompts: self.prompts.clone(),
            stop_texts: self.stop_texts.clone(),
            stop_tokens: self.stop_tokens.clone(),
            logit_bias: self.logit_bias.clone(),
            given_tokens: self.given_tokens.clone(),
            adapters: self.adapters.clone(),
            charge: self.charge.duplicate()?,
            ..*self
        })
    }

    /// Counts the bytes of the request again.
    ///
    /// # Errors
    /// Fails if the script exceeds its memory limit.
    pub(crate) fn recount(&mut self) -> wasmtime::Result<()> {
        let prompts: usize = self.prompts.iter().map(prompt_bytes).sum();
        let stops: usize = self.stop_texts.iter().map(|text| text_bytes(text)).sum();
        let given: usize = self.given_tokens.iter().map(|list| list_bytes(list)).sum();
        let adapters = choice_bytes(&self.adapters);
        let lists = list_bytes(&self.stop_tokens) + list_bytes(&self.logit_bias);
        let all = size_of::<Self>() + self.label.len() + prompts + stops + given + adapters + lists;
        self.charge.set(all)
    }

    /// Adds a prompt.
    ///
    /// # Errors
    /// Fails if the script exceeds its memory limit.
    pub(crate) fn add(&mut self, prompt: Prompt) -> wasmtime::Result<()> {
        self.charge.grow(prompt_bytes(&prompt))?;
        self.prompts.push(prompt);
        Ok(())
    }
}

fn text_bytes(text: &str) -> usize {
    size_of::<String>() + text.len()
}

fn list_bytes<T>(list: &[T]) -> usize {
    size_of::<Vec<T>>() + size_of_val(list)
}

fn choice_bytes(choice: &AdapterSelection) -> usize {
    let name = |name: &Option<String>| size_of_val(name) + name.as_ref().map_or(0, String::len);
    match choice {
        AdapterSelection::OfModel => 0,
        AdapterSelection::Same(one) => name(one),
        AdapterSelection::Each(each) => each.iter().map(name).sum(),
    }
}

fn prompt_bytes(prompt: &Prompt) -> usize {
    let content = match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => size_of_val(&tokens[..]),
        Prompt::Chat(chat) => {
            let message = |message: &requests::Message| {
                text_bytes(&message.role) + text_bytes(&message.content)
            };
            let argument = |(name, value): &(String, types::Value)| {
                let text = if let types::Value::Text(text) = value { text.len() } else { 0 };
                size_of::<types::Value>() + text_bytes(name) + text
            };
            let messages = chat.messages.iter().map(message);
            messages.chain(chat.arguments.iter().map(argument)).sum()
        }
    };
    size_of::<Prompt>() + content
}

/// Load options that a script is writing. `models.wit` says what each field means.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "they are the setters of wit/models.wit")]
pub struct LoadOptionsDraft {
    pub model: Option<String>,
    pub dtype: Option<String>,
    pub kv_dtype: Option<String>,
    pub device: Option<String>,
    pub threads: Option<u32>,
    pub ranks: Option<(u32, u32, u32)>,
    pub whole_experts: Option<bool>,
    pub sharded_adapters: Option<bool>,
    pub microbatches: Option<u32>,
    pub seed: Option<u64>,
}

//! `requests.wit`: a request, as a script writes it, as the engine takes it and as the record keeps it.

use super::names::check_label;
use crate::{
    bindings::{requests, types},
    error::Refusal,
    measure::Asked,
    resources::{Draft, Prompt},
    run::Run,
    sha256::{bytes_of, sha256},
    state::State,
};
use llem_engine::{
    Request, Sampling,
    adapters::Choice,
    chat::{Conversation, Message, TemplateValue},
    flops::Logits,
};
use llem_record::event::{ChosenBy, PromptForm, PromptRecord, RequestRecord, SamplingRecord};
use serde_json::{Value, json};
use wasmtime::component::Resource;

impl requests::Host for State {}

/// A getter and a setter of each of these fields, of which some are lists whose bytes count.
macro_rules! fields {
    ($($get:ident, $set:ident: $kind:ty;)*) => {$(
        fn $get(&mut self, request: Resource<Draft>) -> wasmtime::Result<$kind> {
            Ok(self.table.get(&request)?.$get.clone())
        }

        fn $set(&mut self, request: Resource<Draft>, value: $kind) -> wasmtime::Result<()> {
            let draft = self.table.get_mut(&request)?;
            draft.$get = value;
            if std::mem::needs_drop::<$kind>() { draft.weigh() } else { Ok(()) }
        }
    )*};
}

impl requests::HostRequest for State {
    fields! {
        label, set_label: String;
        max_new_tokens, set_max_new_tokens: u32;
        min_new_tokens, set_min_new_tokens: u32;
        ignores_eos, set_ignores_eos: bool;
        stop_texts, set_stop_texts: Vec<String>;
        stop_tokens, set_stop_tokens: Vec<u32>;
        temperature, set_temperature: f32;
        top_k, set_top_k: Option<u32>;
        top_p, set_top_p: Option<f32>;
        min_p, set_min_p: Option<f32>;
        repetition_penalty, set_repetition_penalty: f32;
        frequency_penalty, set_frequency_penalty: f32;
        presence_penalty, set_presence_penalty: f32;
        logit_bias, set_logit_bias: Vec<(u32, f32)>;
        seed, set_seed: Option<u64>;
        log_probabilities, set_log_probabilities: Option<u32>;
        all_prompt_logits, set_all_prompt_logits: bool;
        given_tokens, set_given_tokens: Vec<Vec<u32>>;
        script_chooses, set_script_chooses: bool;
        holds_cache, set_holds_cache: bool;
        arrival, set_arrival: Option<u64>;
    }

    fn new(&mut self, label: String) -> wasmtime::Result<Resource<Draft>> {
        let charge = self.kept.charge(size_of::<Draft>() + label.len())?;
        self.hand_out(Draft::new(label, charge))
    }

    fn copy(&mut self, request: Resource<Draft>) -> wasmtime::Result<Resource<Draft>> {
        let copy = self.table.get(&request)?.copy()?;
        self.hand_out(copy)
    }

    fn add_text(&mut self, request: Resource<Draft>, text: String) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Text(text))
    }

    fn add_tokens(&mut self, request: Resource<Draft>, tokens: Vec<u32>) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Tokens(tokens))
    }

    fn add_chat(&mut self, request: Resource<Draft>, chat: requests::Chat) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Chat(chat))
    }

    fn prompts(&mut self, request: Resource<Draft>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&request)?.prompts.len() as u32)
    }

    fn prompt_text(
        &mut self,
        request: Resource<Draft>,
        index: u32,
    ) -> wasmtime::Result<Option<String>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Text(text)) => Some(text.clone()),
            _ => None,
        })
    }

    fn prompt_tokens(
        &mut self,
        request: Resource<Draft>,
        index: u32,
    ) -> wasmtime::Result<Option<Vec<u32>>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Tokens(tokens)) => Some(tokens.clone()),
            _ => None,
        })
    }

    fn prompt_chat(
        &mut self,
        request: Resource<Draft>,
        index: u32,
    ) -> wasmtime::Result<Option<requests::Chat>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Chat(chat)) => Some(chat.clone()),
            _ => None,
        })
    }

    fn adapters(
        &mut self,
        request: Resource<Draft>,
    ) -> wasmtime::Result<requests::AdapterSelection> {
        Ok(self.table.get(&request)?.adapters.clone().into())
    }

    fn set_adapters(
        &mut self,
        request: Resource<Draft>,
        selection: requests::AdapterSelection,
    ) -> wasmtime::Result<()> {
        let draft = self.table.get_mut(&request)?;
        draft.adapters = selection.into();
        draft.weigh()
    }

    fn drop(&mut self, request: Resource<Draft>) -> wasmtime::Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl From<Choice> for requests::AdapterSelection {
    fn from(choice: Choice) -> Self {
        let one = |name: Option<String>| match name {
            None => requests::AdapterChoice::BaseWeights,
            Some(name) => requests::AdapterChoice::Named(name),
        };
        match choice {
            Choice::OfModel => Self::OfModel,
            Choice::Same(name) => Self::Same(one(name)),
            Choice::Each(names) => Self::Each(names.into_iter().map(one).collect()),
        }
    }
}

impl From<requests::AdapterSelection> for Choice {
    fn from(selection: requests::AdapterSelection) -> Self {
        let name = |choice| match choice {
            requests::AdapterChoice::BaseWeights => None,
            requests::AdapterChoice::Named(name) => Some(name),
        };
        match selection {
            requests::AdapterSelection::OfModel => Self::OfModel,
            requests::AdapterSelection::Same(choice) => Self::Same(name(choice)),
            requests::AdapterSelection::Each(choices) => {
                Self::Each(choices.into_iter().map(name).collect())
            }
        }
    }
}

impl From<types::Value> for TemplateValue {
    fn from(value: types::Value) -> Self {
        match value {
            types::Value::Text(text) => Self::Text(text),
            types::Value::Integer(integer) => Self::Integer(integer),
            types::Value::Number(number) => Self::Number(number),
            types::Value::Boolean(boolean) => Self::Boolean(boolean),
        }
    }
}

impl From<requests::Chat> for Conversation {
    fn from(chat: requests::Chat) -> Self {
        let messages = chat.messages.into_iter();
        let messages = messages.map(|message| Message::new(message.role, message.content));
        let arguments = chat.arguments.into_iter().map(|(name, value)| (name, value.into()));
        Self::new(messages.collect(), arguments.collect())
    }
}

/// Takes a script's request. Sequences of a run whose script gives no seed draw from streams of their own, numbered in
/// the order in which they are asked for.
pub fn taken(run: &Run, draft: &Draft) -> Result<Asked, Refusal> {
    check_label("request", &draft.label)?;
    let prompts = &draft.prompts;
    let first_stream = run.work.next_streams(prompts.len());
    let keeps = run.settings.keep_prompts;
    let sampling = Sampling {
        temperature: draft.temperature,
        top_k: draft.top_k.map(|k| k as usize),
        top_p: draft.top_p,
        min_p: draft.min_p,
        repetition_penalty: draft.repetition_penalty,
        frequency_penalty: draft.frequency_penalty,
        presence_penalty: draft.presence_penalty,
        logit_bias: draft.logit_bias.clone().into(),
        seed: draft.seed.unwrap_or(run.settings.seed),
        first_stream: if draft.seed.is_some() { 0 } else { first_stream },
    };
    let record = RequestRecord {
        number: 0,
        prompts: prompts.iter().map(|one| prompt_record(one, keeps)).collect(),
        max_new_tokens: draft.max_new_tokens,
        min_new_tokens: draft.min_new_tokens,
        ignore_eos: draft.ignores_eos,
        stop: draft.stop_texts.clone(),
        stop_tokens: draft.stop_tokens.clone(),
        sampling: (!sampling.is_plain_greedy()).then(|| SamplingRecord {
            temperature: draft.temperature,
            top_k: draft.top_k,
            top_p: draft.top_p,
            min_p: draft.min_p,
            repetition_penalty: draft.repetition_penalty,
            frequency_penalty: draft.frequency_penalty,
            presence_penalty: draft.presence_penalty,
            logit_bias: draft
                .logit_bias
                .iter()
                .map(|&(token, bias)| (token, Some(bias).filter(|bias| bias.is_finite())))
                .collect(),
            seed: draft.seed,
            first_stream,
        }),
        log_probabilities: draft.log_probabilities,
        chosen_by: if draft.script_chooses {
            ChosenBy::Script
        } else if draft.given_tokens.is_empty() {
            ChosenBy::Model
        } else {
            ChosenBy::Given
        },
        all_prompt_logits: draft.all_prompt_logits,
        holds_cache: draft.holds_cache,
        adapters: match &draft.adapters {
            Choice::OfModel => Vec::new(),
            Choice::Same(name) => vec![name.clone()],
            Choice::Each(names) => names.clone(),
        },
    };
    let request = Request {
        prompts: prompts.iter().map(prompt).collect(),
        max_new_tokens: draft.max_new_tokens as usize,
        min_new_tokens: draft.min_new_tokens as usize,
        ignore_eos: draft.ignores_eos,
        stop: draft.stop_texts.clone(),
        stop_tokens: draft.stop_tokens.clone().into(),
        sampling,
        log_probabilities: draft.log_probabilities.map(|count| count as usize),
        keep_logits: false,
        prompt_logits: if draft.all_prompt_logits { Logits::All } else { Logits::Last },
        given: draft.given_tokens.clone(),
        caller_chooses: draft.script_chooses,
        hold: draft.holds_cache,
        adapters: draft.adapters.clone(),
    };
    Ok(Asked { label: draft.label.clone(), request, record })
}

fn prompt(prompt: &Prompt) -> llem_engine::Prompt {
    match prompt {
        Prompt::Text(text) => llem_engine::Prompt::Text(text.clone()),
        Prompt::Tokens(tokens) => llem_engine::Prompt::Tokens(tokens.clone()),
        Prompt::Chat(chat) => llem_engine::Prompt::Chat(chat.clone().into()),
    }
}

fn prompt_record(prompt: &Prompt, is_kept: bool) -> PromptRecord {
    let (form, digest, content) = match prompt {
        Prompt::Text(text) => {
            (PromptForm::Text, sha256(text.as_bytes()), is_kept.then(|| json!(text)))
        }
        Prompt::Tokens(tokens) => {
            (PromptForm::Tokens, sha256(&bytes_of(tokens)), is_kept.then(|| json!(tokens)))
        }
        Prompt::Chat(chat) => {
            let turns = chat.messages.iter().map(|turn| json!([turn.role, turn.content]));
            let mut text = Value::from(turns.collect::<Vec<_>>());
            if !chat.arguments.is_empty() {
                let given = chat.arguments.iter();
                let given = given
                    .map(|(name, value)| (name.clone(), json!(TemplateValue::from(value.clone()))));
                text = json!({ "turns": text, "arguments": Value::Object(given.collect()) });
            }
            (PromptForm::Chat, sha256(text.to_string().as_bytes()), is_kept.then_some(text))
        }
    };
    PromptRecord { form, digest, content }
}

//! The interface `requests.wit`: a request as the script writes it, and its conversion for the engine and the record.

use super::names::check_label;
use crate::{
    bindings::{requests, types},
    error::Refusal,
    resources::{Prompt, RequestDraft},
    run::RunContext,
    sha256::{bytes_of, sha256},
    store_data::StoreData,
    window::ScriptRequest,
};
use llem_engine::{
    AdapterSelection, Request, Sampling,
    chat::{Conversation, Message, TemplateValue},
    flops::LogitPositions,
};
use llem_record::{ChosenBy, PromptForm, PromptRecord, RequestRecord, SamplingRecord};
use serde_json::{Value, json};
use wasmtime::component::Resource;

impl requests::Host for StoreData {}

/// Implements a getter and a setter for each field. Setters of lists and texts recount the request's bytes.
macro_rules! fields {
    ($($get:ident, $set:ident: $kind:ty;)*) => {$(
        fn $get(&mut self, request: Resource<RequestDraft>) -> wasmtime::Result<$kind> {
            Ok(self.table.get(&request)?.$get.clone())
        }

        fn $set(&mut self, request: Resource<RequestDraft>, value: $kind) -> wasmtime::Result<()> {
            let draft = self.table.get_mut(&request)?;
            draft.$get = value;
            if std::mem::needs_drop::<$kind>() { draft.recount() } else { Ok(()) }
        }
    )*};
}

impl requests::HostRequest for StoreData {
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

    fn new(&mut self, label: String) -> wasmtime::Result<Resource<RequestDraft>> {
        let charge = self.memory.charge(size_of::<RequestDraft>() + label.len())?;
        self.new_handle(RequestDraft::new(label, charge))
    }

    fn copy(
        &mut self,
        request: Resource<RequestDraft>,
    ) -> wasmtime::Result<Resource<RequestDraft>> {
        let copy = self.table.get(&request)?.copy()?;
        self.new_handle(copy)
    }

    fn add_text(&mut self, request: Resource<RequestDraft>, text: String) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Text(text))
    }

    fn add_tokens(
        &mut self,
        request: Resource<RequestDraft>,
        tokens: Vec<u32>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Tokens(tokens))
    }

    fn add_chat(
        &mut self,
        request: Resource<RequestDraft>,
        chat: requests::Chat,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&request)?.add(Prompt::Chat(chat))
    }

    fn prompts(&mut self, request: Resource<RequestDraft>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&request)?.prompts.len() as u32)
    }

    fn prompt_text(
        &mut self,
        request: Resource<RequestDraft>,
        index: u32,
    ) -> wasmtime::Result<Option<String>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Text(text)) => Some(text.clone()),
            _ => None,
        })
    }

    fn prompt_tokens(
        &mut self,
        request: Resource<RequestDraft>,
        index: u32,
    ) -> wasmtime::Result<Option<Vec<u32>>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Tokens(tokens)) => Some(tokens.clone()),
            _ => None,
        })
    }

    fn prompt_chat(
        &mut self,
        request: Resource<RequestDraft>,
        index: u32,
    ) -> wasmtime::Result<Option<requests::Chat>> {
        Ok(match self.table.get(&request)?.prompts.get(index as usize) {
            Some(Prompt::Chat(chat)) => Some(chat.clone()),
            _ => None,
        })
    }

    fn adapters(
        &mut self,
        request: Resource<RequestDraft>,
    ) -> wasmtime::Result<requests::AdapterSelection> {
        Ok(self.table.get(&request)?.adapters.clone().into())
    }

    fn set_adapters(
        &mut self,
        request: Resource<RequestDraft>,
        selection: requests::AdapterSelection,
    ) -> wasmtime::Result<()> {
        let draft = self.table.get_mut(&request)?;
        draft.adapters = selection.into();
        draft.recount()
    }

    fn drop(&mut self, request: Resource<RequestDraft>) -> wasmtime::Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl From<AdapterSelection> for requests::AdapterSelection {
    fn from(choice: AdapterSelection) -> Self {
        let one = |name: Option<String>| match name {
            None => requests::AdapterChoice::BaseWeights,
            Some(name) => requests::AdapterChoice::Named(name),
        };
        match choice {
            AdapterSelection::OfModel => Self::OfModel,
            AdapterSelection::Same(name) => Self::Same(one(name)),
            AdapterSelection::Each(names) => Self::Each(names.into_iter().map(one).collect()),
        }
    }
}

impl From<requests::AdapterSelection> for AdapterSelection {
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

/// Converts a script's request. If it gives no seed, its sequences draw from random streams of their own, which are
/// numbered in the order of the phase's requests.
pub(super) fn script_request(
    run: &RunContext,
    draft: &RequestDraft,
) -> Result<ScriptRequest, Refusal> {
    check_label("request", &draft.label)?;
    let prompts = &draft.prompts;
    let first_stream = run.work.next_streams(&run.phases.path(), prompts.len());
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
            AdapterSelection::OfModel => Vec::new(),
            AdapterSelection::Same(name) => vec![name.clone()],
            AdapterSelection::Each(names) => names.clone(),
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
        prompt_logits: if draft.all_prompt_logits {
            LogitPositions::All
        } else {
            LogitPositions::Last
        },
        given: draft.given_tokens.clone(),
        caller_chooses: draft.script_chooses,
        hold: draft.holds_cache,
        adapters: draft.adapters.clone(),
    };
    Ok(ScriptRequest { label: draft.label.clone(), request, record })
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

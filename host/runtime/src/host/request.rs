//! `engine.wit`: a request, as the engine takes it and as the record keeps it.

use super::names::check_label;
use crate::{
    bindings::{
        engine::{self, Prompt},
        types::Sampling,
    },
    error::Refusal,
    measure::Asked,
    run::Run,
    sha256::{bytes_of, sha256},
};
use llem_engine::{Request, chat::Message};
use llem_record::event::{PromptForm, PromptRecord, RequestRecord, SamplingRecord};
use serde_json::{Value, json};

/// Takes a script's request. Sequences of a run whose script gives no seed draw from streams of their own, numbered in
/// the order in which they are asked for.
pub fn taken(run: &Run, request: engine::Request) -> Result<Asked, Refusal> {
    let engine::Request { label, prompts, max_new_tokens, ignore_eos, stop, sampling, adapters } =
        request;
    check_label("request", &label)?;
    let first_stream = run.work.next_streams(prompts.len());
    let record = RequestRecord {
        number: 0,
        prompts: prompts.iter().map(|one| prompt_record(one, run.settings.keep_prompts)).collect(),
        max_new_tokens,
        ignore_eos,
        stop: stop.clone(),
        sampling: sampling.map(|sampling| SamplingRecord {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            repetition_penalty: sampling.repetition_penalty,
            seed: sampling.seed,
            first_stream,
        }),
        adapters: adapters.clone(),
    };
    let chosen = |chosen: Sampling| llem_engine::Sampling {
        temperature: chosen.temperature,
        top_k: chosen.top_k.map(|k| k as usize),
        top_p: chosen.top_p,
        repetition_penalty: chosen.repetition_penalty,
        seed: chosen.seed.unwrap_or(run.settings.seed),
        first_stream: if chosen.seed.is_some() { 0 } else { first_stream },
        ..llem_engine::Sampling::default()
    };
    let request = Request {
        prompts: prompts.into_iter().map(prompt).collect(),
        max_new_tokens: max_new_tokens as usize,
        ignore_eos,
        stop,
        sampling: sampling.map_or_else(llem_engine::Sampling::default, chosen),
        adapters,
        ..Request::default()
    };
    Ok(Asked { label, request, record })
}

fn prompt(prompt: Prompt) -> llem_engine::Prompt {
    match prompt {
        Prompt::Text(text) => llem_engine::Prompt::Text(text),
        Prompt::Tokens(tokens) => llem_engine::Prompt::Tokens(tokens),
        Prompt::Chat(turns) => {
            llem_engine::Prompt::Chat(turns.into_iter().map(Into::into).collect())
        }
    }
}

impl From<engine::Message> for Message {
    fn from(message: engine::Message) -> Self {
        Self { role: message.role, content: message.content }
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
        Prompt::Chat(turns) => {
            let turns: Vec<[&str; 2]> =
                turns.iter().map(|turn| [&turn.role[..], &turn.content[..]]).collect();
            let text = Value::from(turns.iter().map(|turn| json!(turn)).collect::<Vec<_>>());
            (PromptForm::Chat, sha256(text.to_string().as_bytes()), is_kept.then_some(text))
        }
    };
    PromptRecord { form, digest, content }
}

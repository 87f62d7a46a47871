//! A request as a script asked it, for the record.

use crate::{
    bindings::engine::{Prompt, Request},
    sha256::sha256,
    state::Run,
};
use llem_record::event::{PromptForm, PromptRecord, RequestRecord, SamplingRecord};
use serde_json::{Value, json};

/// What is kept of a request whose sequences draw from streams from `first_stream` on. It is numbered here.
pub fn record(run: &Run, request: &Request, first_stream: u64) -> RequestRecord {
    let number = {
        let mut progress = run.progress();
        progress.requests += 1;
        progress.requests - 1
    };
    RequestRecord {
        number,
        prompts: request.prompts.iter().map(|one| prompt(one, run.keep_prompts)).collect(),
        max_new_tokens: request.max_new_tokens,
        ignore_eos: request.ignore_eos,
        stop: request.stop.clone(),
        sampling: request.sampling.map(|sampling| SamplingRecord {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            repetition_penalty: sampling.repetition_penalty,
            seed: sampling.seed,
            first_stream,
        }),
        adapters: request.adapters.clone(),
    }
}

/// Bytes that a request adds to the record for what the script chose of it.
pub fn size(run: &Run, request: &Request) -> usize {
    let prompt = |prompt: &Prompt| match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => tokens.len() * size_of::<u32>(),
        Prompt::Chat(turns) => turns.iter().map(|turn| turn.role.len() + turn.content.len()).sum(),
    };
    let prompts: usize = match run.keep_prompts {
        true => request.prompts.iter().map(prompt).sum(),
        false => 0,
    };
    let stop: usize = request.stop.iter().map(String::len).sum();
    let adapters: usize = request.adapters.iter().flatten().map(String::len).sum();
    request.label.len() + prompts + stop + adapters
}

fn prompt(prompt: &Prompt, is_kept: bool) -> PromptRecord {
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

/// Tokens as 32-bit integers, least byte first.
pub fn bytes_of(tokens: &[u32]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
}

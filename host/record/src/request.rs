//! What was asked of a model, as it was asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request as a script asked it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecord {
    /// Its number among all requests of the run.
    pub number: u64,
    /// What each sequence starts from.
    pub prompts: Vec<PromptRecord>,
    /// Most tokens to generate for a sequence.
    pub max_new_tokens: u32,
    /// Fewest tokens to generate for a sequence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_new_tokens: u32,
    /// Whether it goes on past end-of-sequence tokens.
    pub ignore_eos: bool,
    /// Ends a sequence when its text contains one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Tokens that end a sequence besides the model's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_tokens: Vec<u32>,
    /// Who chooses its tokens; absent means the model, by `sampling`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chosen_by: ChosenBy,
    /// For how many of the most likely tokens it tells log-probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_probabilities: Option<u32>,
    /// Whether the LM head is computed for all positions of its prompts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub all_prompt_logits: bool,
    /// Whether keys and values are kept when its sequences have ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holds_cache: bool,
    /// How tokens are chosen; absent means greedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingRecord>,
    /// The adapters asked for, one a prompt or one for all, none meaning the base weights; absent means the model's
    /// default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Option<String>>,
}

/// Who chooses a request's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// The model: by the sampling that was asked for.
    #[default]
    Model,
    /// Nobody: they were given, and are the sequence's.
    Given,
    /// The script, one by one.
    Script,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a sequence starts from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PromptRecord {
    /// How it was given.
    pub form: PromptForm,
    /// SHA-256: of a text's UTF-8; of tokens as 32-bit integers, least byte first; of a conversation as a JSON list of
    /// `[role, content]`, without spaces; of one with arguments of its template as an object of `arguments` and `turns`.
    pub digest: String,
    /// The prompt itself, with `--keep-prompts`: a text, a list of tokens, or a list of `[role, content]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// How a prompt was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptForm {
    /// As text.
    Text,
    /// As token ids.
    Tokens,
    /// As a conversation.
    Chat,
}

/// How tokens are chosen.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SamplingRecord {
    /// Logits are divided by this; 0 means greedy.
    pub temperature: f32,
    /// Only so many of the most likely tokens are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The smallest set whose probability reaches this is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Tokens are kept that are at least this share as likely as the most likely one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Logits of tokens already present are divided or multiplied by this.
    pub repetition_penalty: f32,
    /// Logits are lowered by this for each time that the token was generated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frequency_penalty: f32,
    /// Logits of tokens that were generated are lowered by this.
    #[serde(default, skip_serializing_if = "is_default")]
    pub presence_penalty: f32,
    /// What is added to the logits of tokens; null rules a token out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logit_bias: Vec<(u32, Option<f32>)>,
    /// The seed, where the script gave one; absent means the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The stream of the seed that the first sequence draws from; the next draw from those after it.
    pub first_stream: u64,
}

/// A continuous batch that was opened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchRecord {
    /// Its number, by which requests, sequences and windows name it.
    pub batch: u64,
    /// The model, by its number.
    pub model: u64,
    /// The phases that were open, joined by `/`.
    pub phase: String,
    /// Most sequences that run at a time.
    pub max_sequences: u64,
    /// Most tokens of one sequence, prompt and output; absent means the model's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Most rows of a step in which prompt is run.
    pub prefill_chunk: u64,
    /// What becomes of a sequence for which there is no KV memory: `wait` or `refuse`.
    pub when_full: String,
}

/// A request whose sequences were added to a continuous batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchRequestRecord {
    /// Its label.
    pub label: String,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// The model, by its number.
    pub model: u64,
    /// The batch's number in its run.
    pub batch: u64,
    /// The names of its sequences within the batch, one a prompt.
    pub sequences: Vec<u64>,
    /// When it arrived: TTFT of its sequences counts from here.
    pub arrival_ns: u64,
    /// What was asked.
    pub request: RequestRecord,
}

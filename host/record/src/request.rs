//! Requests and continuous batches in the record, as the script asked for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request of the script.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecord {
    /// The number of the request in the run.
    pub number: u64,
    /// The prompts, one for each sequence.
    pub prompts: Vec<PromptRecord>,
    /// The highest number of tokens to generate for a sequence.
    pub max_new_tokens: u32,
    /// The lowest number of tokens to generate for a sequence.
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_new_tokens: u32,
    /// Whether sequences go on after an end-of-sequence token.
    pub ignore_eos: bool,
    /// Texts that end a sequence when they occur in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Tokens that end a sequence, in addition to the model's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_tokens: Vec<u32>,
    /// Who chooses the tokens. Absent if the model does, by `sampling`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub chosen_by: ChosenBy,
    /// The number of most likely tokens for which log-probabilities are returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_probabilities: Option<u32>,
    /// Whether the LM head is computed for all positions of the prompts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub all_prompt_logits: bool,
    /// Whether keys and values are kept after the sequences have ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub holds_cache: bool,
    /// How tokens are chosen. Absent if decoding is greedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<SamplingRecord>,
    /// The adapters, one for each prompt or one for all. `null` means the base weights. Absent if the request uses the model's
    /// default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Option<String>>,
}

/// Who chooses a request's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChosenBy {
    /// The model, by the request's sampling.
    #[default]
    Model,
    /// Nobody: the request gives the tokens of the sequence.
    Given,
    /// The script, token by token.
    Script,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The prompt of a sequence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PromptRecord {
    /// The form in which the prompt was given.
    pub form: PromptForm,
    /// SHA-256 of the prompt. A text is hashed as UTF-8, and tokens as 32-bit integers, least byte first. A conversation is
    /// hashed as a JSON list of `[role, content]` without spaces, or as an object of `arguments` and `turns` if its template
    /// has arguments.
    pub digest: String,
    /// The prompt itself, with `--keep-prompts`: a text, a list of tokens, or a list of `[role, content]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// The form in which a prompt was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptForm {
    /// The prompt was given as text.
    Text,
    /// Token ids.
    Tokens,
    /// A conversation.
    Chat,
}

/// How tokens are chosen.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SamplingRecord {
    /// Logits are divided by this; 0 means greedy.
    pub temperature: f32,
    /// Only this many of the most likely tokens are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// The smallest set of tokens whose probability reaches this is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// A token is kept if its probability is at least this share of the highest probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Logits of tokens that are already in the sequence are divided or multiplied by this.
    pub repetition_penalty: f32,
    /// The logit of a token is lowered by this each time that the token was generated.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frequency_penalty: f32,
    /// The logit of a token that was generated is lowered by this once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub presence_penalty: f32,
    /// Numbers that are added to the logits of tokens. `null` rules a token out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logit_bias: Vec<(u32, Option<f32>)>,
    /// The seed that the script gave. Absent if the run's seed is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The random stream of the first sequence. Each further sequence uses the next stream. Each phase has streams of its
    /// own.
    pub first_stream: u64,
}

/// A continuous batch that was opened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchRecord {
    /// The batch's number, to which requests, sequences and windows refer.
    pub batch: u64,
    /// The model's number.
    pub model: u64,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The highest number of sequences that run at a time.
    pub max_sequences: u64,
    /// The highest number of tokens of one sequence, prompt and output together. Absent if it is the model's context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The highest number of rows of a step that processes prompts.
    pub prefill_chunk: u64,
    /// What happens to a sequence for which there is no KV memory: `wait` or `refuse`.
    pub when_full: String,
}

/// A request whose sequences were added to a continuous batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchRequestRecord {
    /// The label of the request.
    pub label: String,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The model's number.
    pub model: u64,
    /// The batch's number in its run.
    pub batch: u64,
    /// The names of the request's sequences within the batch, one for each prompt.
    pub sequences: Vec<u64>,
    /// When the request arrived, ns since the run began. TTFT of its sequences counts from here.
    pub arrival_ns: u64,
    /// The request itself.
    pub request: RequestRecord,
}

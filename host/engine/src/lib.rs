//! The model runtime: weights, decoder, KV cache, batching, LoRA adapters, sampling, scores, ranks and analytic FLOPs.
//!
//! ```text
//! ModelSource ──► checkpoint ──► weights ─┐
//!                      └───────► shape ───┴─► Decoder ──► hidden states ──► logits ──► sampler ──► token
//!                                               │ packed rows of all sequences, [tokens, hidden]
//!                                               └ one KV cache for each sequence
//! ```
//!
//! Start at:
//! - [`Model`]: a loaded model. [`Model::load`] takes [`LoadOptions`], [`Model::generate`] runs a static batch.
//! - [`Request`]: prompts, how many tokens to generate, and how each token is chosen ([`Sampling`]).
//! - [`Batch`]: a continuous batch, which sequences join and leave at any step.
//! - [`Split`]: how a model is split over ranks (tensor, pipeline and data parallelism).
//! - [`flops`]: the analytic count of a model's floating-point operations.
//!
//! This crate knows nothing of energy or WebAssembly. Every moment is an [`std::time::Instant`], and the caller
//! converts it to its own time base.

mod adapters;
mod batch;
mod decoder;
mod device_id;
mod dtype;
mod error;
// Public, because its items are one topic that callers name together: `flops::RequestShape`, `flops::FlopEstimate`.
pub mod flops;
mod generate;
mod gpu;
mod kv_cache;
mod layers;
mod load;
mod memory;
mod model;
mod model_info;
mod parallel;
mod peaks;
mod rank_info;
mod request;
mod sampling;
mod score;
mod shares;
mod text_tools;

pub use adapters::{
    ActiveAdapter, Adapter, AdapterFlops, AdapterId, AdapterMode, AdapterSelection, AdapterSource,
};
pub use batch::{
    Admission, Batch, BatchOptions, BatchStatus, BatchStep, Completion, EndedSequence,
    FinishReason, RunOutcome, ScheduledTokens, StepToken, SubmittedSequence, TokenLogProbabilities,
    Until, WhenFull,
};
pub use device_id::DeviceId;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use generate::{Control, Generation};
pub use llem_checkpoint::{DigestOptions, FileDigest, ModelSource, chat, tokenizer};
pub use llem_compute::cpu;
pub use llem_compute::cuda::{
    CudaLibrary as GpuLibrary, LIBRARY_FOLDERS_VARIABLE, load_libraries as gpu_libraries,
};
pub use load::{LoadOptions, RANK_TIMEOUT, SyntheticPasses};
pub use model::Model;
pub use model_info::ModelInfo;
pub use parallel::{
    COMMUNICATOR_VARIABLE, CommunicationTimeError, Split, World, launcher_variables,
};
pub use peaks::{DevicePeaks, PeakRate, measure_peaks};
pub use rank_info::RankInfo;
pub use request::{PreparedRequest, Prompt, Request};
pub use sampling::{LogitsRow, Sampling, TokenLogit};
pub use score::{OnScore, Score, ScoreRequest, ScoreWork, Scoring};
pub use shares::{SequenceRows, StepShare, sequence_operations, step_shares};
pub use text_tools::TextTools;
pub use tokenizer::{SpecialToken, TokenizerFacts};

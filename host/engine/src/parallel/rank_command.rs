//! Commands that the leading rank of a replica sends to the other ranks, and their replies.
//!
//! All ranks run the same command at the same time, each on its own part of the model. So a command says what to do,
//! and never which rank does it.

use crate::{
    Error, Result,
    adapters::{AdapterId, Leftovers},
    decoder::Stage,
    layers::{AdapterTotals, PassSegment},
};
use serde::{Deserialize, Serialize};

/// One command to every rank of a replica. The numbers `u64` are ids of continuous batches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RankCommand {
    /// Reserves KV caches for a static batch: the number of tokens of each sequence.
    Reserve(Vec<usize>),
    /// Reserves the KV caches of a continuous batch: its id, the number of sequences, and the tokens of each.
    Open(u64, usize, usize),
    /// Frees the KV caches of a continuous batch.
    Close(u64),
    /// Copies keys and values between the caches of a continuous batch, in this order.
    Copy(u64, Vec<KvCopy>),
    /// Runs a forward pass. It has no reply, because the ranks meet in their groups during the pass.
    Pass(Pass),
    /// Loads this rank's part of an adapter.
    Attach(Attach),
    /// Drops an adapter.
    Detach(AdapterId),
    /// Adds an adapter's change to the weights.
    Merge(AdapterId),
    /// Reads the base model's weights again in place of merged ones.
    Unmerge,
    /// Waits until the device has finished all queued work.
    Synchronize,
    /// Asks how long communication has taken so far.
    CommunicationTime,
}

/// Copies the first keys and values of one KV cache to another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct KvCopy {
    /// Slot of the cache that is read.
    pub from: usize,
    /// Slot of the cache that is written.
    pub to: usize,
    /// Number of tokens to copy, counted from the first one.
    pub tokens: usize,
}

/// The rows of one forward pass, and the rows whose logits are needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// Id of the continuous batch whose KV caches are used. `None` means the caches of static batches.
    pub batch: Option<u64>,
    pub segments: Vec<OwnedSegment>,
    /// Rows whose logits are needed, in ascending order.
    pub wanted: Vec<u32>,
}

/// A [`PassSegment`] that owns its tokens, so that it can be sent to another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnedSegment {
    slot: usize,
    past: usize,
    tokens: Vec<u32>,
    length: usize,
    adapter: Option<AdapterId>,
    is_prompt: bool,
}

impl From<&PassSegment<'_>> for OwnedSegment {
    fn from(segment: &PassSegment<'_>) -> Self {
        let &PassSegment { slot, past, tokens, length, adapter, is_prompt } = segment;
        Self { slot, past, tokens: tokens.to_vec(), length, adapter, is_prompt }
    }
}

impl OwnedSegment {
    /// Returns the same segment with borrowed tokens.
    pub(crate) fn segment(&self) -> PassSegment<'_> {
        let &Self { slot, past, ref tokens, length, adapter, is_prompt } = self;
        PassSegment { slot, past, tokens, length, adapter, is_prompt }
    }
}

/// Which adapter to attach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attach {
    pub id: AdapterId,
    /// The adapter's source, as [`crate::AdapterSource`] parses it.
    pub source: String,
    /// Seed of a synthetic adapter whose source names no seed.
    pub seed: u64,
}

/// The result of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Loaded(LoadedPart),
    /// Bytes of KV memory that the rank reserved for a continuous batch.
    Reserved(usize),
    Attached(AttachedPart),
    /// Time spent in communication so far, in ns, or the reason why it is not known.
    Time(std::result::Result<u64, CommunicationTimeError>),
    /// The command failed.
    Failed {
        /// The error's message.
        reason: String,
        /// Whether the user's input caused the failure.
        is_input: bool,
    },
}

/// Why the time that a rank has spent in communication is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum CommunicationTimeError {
    /// The rank could not read the time from its device. The text is the cause, as the rank reports it.
    #[error("{0}")]
    Rank(String),
    /// The rank replied with something else.
    #[error("the rank did not tell")]
    NoTime,
}

/// What a rank has loaded of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LoadedPart {
    /// Number of parameters that this rank counts.
    pub parameters: u64,
    /// Bytes of this rank's weights.
    pub bytes: u64,
    /// Weight bytes that a decode step reads. Lookup tables are left out, because a step reads only one row of them
    /// for each token.
    pub decode_bytes: u64,
    /// Bytes of keys and values that this rank stores for each token.
    pub kv_bytes_per_token: u64,
    /// The rank's pipeline stage.
    pub stage: Stage,
    /// The device's id, as [`crate::DeviceId`] parses it.
    pub device: String,
}

/// What a rank has loaded of an adapter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AttachedPart {
    /// Sizes of the parts that this rank reports.
    pub added: AdapterTotals,
    /// FLOP that the adapter adds for each token.
    pub flops_per_token: f64,
    /// FLOP that the adapter adds for each position whose logits are needed.
    pub flops_per_logits: f64,
    /// Tensors that this rank has not used.
    pub leftovers: Leftovers,
}

impl AttachedPart {
    /// Adds what another rank has loaded of the same adapter.
    pub(crate) fn add(&mut self, other: Self) {
        self.added.add(&other.added);
        self.flops_per_token += other.flops_per_token;
        self.flops_per_logits += other.flops_per_logits;
        self.leftovers.combine(other.leftovers);
    }
}

impl Reply {
    /// Returns the reply of rank `rank`, or an error if the command failed there.
    pub(crate) fn into_result(self, rank: usize) -> Result<Self> {
        match self {
            Self::Failed { reason, is_input: true } => Err(Error::Invalid(reason)),
            Self::Failed { reason, is_input: false } => Err(Error::Rank { rank, reason }),
            reply => Ok(reply),
        }
    }
}

impl From<&Error> for Reply {
    fn from(error: &Error) -> Self {
        Self::Failed { reason: error.to_string(), is_input: error.is_input() }
    }
}

impl From<Result<Self>> for Reply {
    fn from(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| Self::from(&error))
    }
}

//! What the leading rank of a replica tells the others to do. All do the same at the same time, each
//! with its part of the model, so that a command says what is to be done and never by whom.

use crate::{
    Error, Result,
    adapters::{AdapterId, Leftovers},
    decoder::Stage,
    layers::{Added, Segment},
};
use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Make room for so many tokens of each sequence of a static batch.
    Reserve(Vec<usize>),
    /// Reserve the memory of a continuous batch: sequences, and tokens of each.
    Open(u64, usize, usize),
    /// Free it.
    Close(u64),
    /// Copy keys and values between the caches of a continuous batch, in this order.
    Copy(u64, Vec<KvCopy>),
    /// Run rows.
    Pass(Pass),
    /// Take from an adapter what is yours.
    Attach(Attach),
    /// Forget an adapter.
    Detach(AdapterId),
    /// Put an adapter into the weights.
    Merge(AdapterId),
    /// Make the weights the base model's.
    Unmerge,
    /// Wait until the device has done all that it was given.
    Synchronize,
    /// Tell how long communication has taken.
    Tell,
}

/// Keys and values that one KV cache takes over from another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KvCopy {
    /// The slot of the cache that has them.
    pub from: usize,
    /// The slot of the cache that takes them.
    pub to: usize,
    /// The tokens that they are of, from the first.
    pub tokens: usize,
}

/// A forward pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pass {
    /// The continuous batch whose KV caches are used; none means those of static batches.
    pub batch: Option<u64>,
    /// The rows.
    pub segments: Vec<OwnedSegment>,
    /// Those whose logits are needed, ascending.
    pub wanted: Vec<u32>,
}

/// A [`Segment`] with tokens of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnedSegment {
    slot: usize,
    past: usize,
    tokens: Vec<u32>,
    length: usize,
    adapter: Option<AdapterId>,
}

impl From<&Segment<'_>> for OwnedSegment {
    fn from(segment: &Segment<'_>) -> Self {
        let &Segment { slot, past, tokens, length, adapter } = segment;
        Self { slot, past, tokens: tokens.to_vec(), length, adapter }
    }
}

impl OwnedSegment {
    /// The same, borrowed.
    pub fn segment(&self) -> Segment<'_> {
        let &Self { slot, past, ref tokens, length, adapter } = self;
        Segment { slot, past, tokens, length, adapter }
    }
}

/// An adapter to attach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attach {
    /// What it is called from then on.
    pub id: AdapterId,
    /// Where it comes from.
    pub source: String,
    /// For one of random numbers that names none.
    pub seed: u64,
}

/// What a command came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The model is loaded.
    Loaded(Loaded),
    /// Bytes that are reserved for a batch.
    Reserved(usize),
    /// The adapter is attached.
    Attached(Attached),
    /// Time in communication so far, ns, or why it is not known.
    Time(std::result::Result<u64, String>),
    /// It could not be done.
    Failed {
        /// Why.
        reason: String,
        /// Whether what was given is at fault.
        is_input: bool,
    },
}

/// What a rank has loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Loaded {
    /// Numbers of the model that it counts.
    pub parameters: u64,
    /// Bytes of its weights.
    pub bytes: u64,
    /// Bytes of them that a decode step reads: all but tables of which it reads a row for each token.
    pub decode_bytes: u64,
    /// Bytes of keys and values that it keeps of a token.
    pub kv_bytes_per_token: u64,
    /// Which part of the pipeline it is.
    pub stage: Stage,
    /// Its device's id.
    pub device: String,
}

/// What a rank has taken from an adapter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Attached {
    /// All that it tells of.
    pub added: Added,
    /// Operations for each token.
    pub flops_per_token: f64,
    /// Operations for each position whose logits are needed.
    pub flops_per_logits: f64,
    /// What it has not taken.
    pub leftovers: Leftovers,
}

impl Attached {
    /// What two ranks have taken together.
    pub fn and(&mut self, other: Self) {
        self.added.and(&other.added);
        self.flops_per_token += other.flops_per_token;
        self.flops_per_logits += other.flops_per_logits;
        self.leftovers.and(other.leftovers);
    }
}

impl Reply {
    /// Of a result.
    pub fn of(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| Self::failed(&error))
    }

    /// That it could not be done.
    pub fn failed(error: &Error) -> Self {
        Self::Failed { reason: error.to_string(), is_input: error.is_input() }
    }

    /// The reply of `rank`, or its failure as an error.
    pub fn of_rank(self, rank: usize) -> Result<Self> {
        match self {
            Self::Failed { reason, is_input: true } => Err(Error::Invalid(reason)),
            Self::Failed { reason, is_input: false } => Err(Error::Rank { rank, reason }),
            reply => Ok(reply),
        }
    }
}

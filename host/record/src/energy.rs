//! Energy in the record: whose it is, and what a total covers.
//!
//! ```text
//! window    total = cpu + accelerators        covers says which devices and domains
//!           total = prefill + decode + mixed + outside
//! sequence  share = prefill + decode          shares of all sequences = the steps' energy
//! ```

use llem_quantity::{Quantity, Reading, ReadingRecord, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A power domain of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainRecord {
    /// The device's id.
    pub device: String,
    /// The power domain within it: `package-0`, `dram-0`, `gpu`.
    pub domain: String,
}

/// What a total lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LackRecord {
    /// The device's id.
    pub device: String,
    /// The power domain within it; `all` where no domain of the device is measured.
    pub domain: String,
    /// Why it is not in the total.
    pub reason: String,
}

/// A window's energy by what the engine did, J. What there is of the four adds up to the window's total.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseEnergyRecord {
    /// Prompt processing; of a static request, tokenization with it. Absent where no step ran prompts alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<ReadingRecord>,
    /// Steps in which sequences only generated; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<ReadingRecord>,
    /// Steps of continuous batches in which some sequences generated while prompts of others were run; absent where
    /// there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<ReadingRecord>,
    /// The rest: between steps, and what the script did besides. Absent of a static request, whose phases are all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<ReadingRecord>,
}

/// The share of one sequence in the energy of the steps that it took part in, J.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceEnergy {
    /// Its share: that of its prompt and that of its tokens.
    pub share: ReadingRecord,
    /// Its share of steps in which its prompt was run; absent where `share` is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<ReadingRecord>,
    /// Its share of steps in which it generated; absent where `share` is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<ReadingRecord>,
    /// What it is a share of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<DomainRecord>,
    /// The rule by which a step's energy is shared among its sequences: `operations-and-bytes` is half way between their shares of
    /// the operations, and of the bytes read: all weights in equal parts, keys and values by their owner. What the two
    /// differ by is part of the uncertainty.
    pub shared_by: String,
}

/// The rule in [`SequenceEnergy::shared_by`].
pub const OPERATIONS_AND_BYTES: &str = "operations-and-bytes";

/// An energy for each of some tokens, J/{token}; where there are none, for the reason `nothing`.
pub fn per_token(energy: &Reading, tokens: u64, nothing: &str) -> Reading {
    let tokens = Quantity::exact(tokens as f64, "{token}", Source::Counted);
    let energy = energy.as_ref().map_err(Clone::clone)?;
    energy.per(&tokens, "J/{token}").ok_or_else(|| nothing.to_owned())
}

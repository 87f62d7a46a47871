//! Energy in the record: by domain, by phase and by sequence, and what a total covers.
//!
//! ```text
//! window    total = cpu + accelerators        covers says which devices and domains
//!           total = prefill + decode + mixed + outside
//! sequence  share = prefill + decode          shares of all sequences = the steps' energy
//! ```

use llem_quantity::{Cause, Quantity, Reading, ReadingRecord, Source, Unavailable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A power domain of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainRecord {
    /// The device's id.
    pub device: String,
    /// The domain's name within the device: `package-0`, `dram-0` or `gpu`.
    pub domain: String,
}

/// A domain that is missing from a total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LackRecord {
    /// The device's id.
    pub device: String,
    /// The domain's name within the device; `all` if no domain of the device is measured.
    pub domain: String,
    /// Why the domain is not in the total.
    pub reason: String,
}

/// A window's energy by what the engine did, J. The parts that are present add up to the window's total.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseEnergyRecord {
    /// Energy of prompt processing, J. For a static request, it includes tokenization. Absent if no step processed only
    /// prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<ReadingRecord>,
    /// Energy of steps in which sequences only generated, J. Absent if there was no such step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<ReadingRecord>,
    /// Energy of mixed steps of continuous batches, J: some sequences generated while prompts of others were processed.
    /// Absent if there was no such step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<ReadingRecord>,
    /// Energy outside of all steps, J, for example while the script ran. Absent for a static request, because its phases
    /// cover all of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<ReadingRecord>,
}

/// The share of one sequence in the energy of the steps that it took part in, J.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceEnergy {
    /// The whole share, J: for the prompt and for the generated tokens.
    pub share: ReadingRecord,
    /// The share of steps that processed the sequence's prompt, J. Absent if `share` is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill: Option<ReadingRecord>,
    /// The share of steps in which the sequence generated, J. Absent if `share` is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<ReadingRecord>,
    /// The domains whose energy is shared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covers: Vec<DomainRecord>,
    /// The rule that shares a step's energy among its sequences. `operations-and-bytes` is the mean of a sequence's share of
    /// the operations and its share of the bytes read. Weights count for all sequences in equal parts, keys and values for
    /// the sequence that owns them. The difference between the two shares is part of the uncertainty.
    pub shared_by: String,
}

/// The name of the only rule in [`SequenceEnergy::shared_by`].
pub const OPERATIONS_AND_BYTES: &str = "operations-and-bytes";

/// Divides an energy by a number of tokens, J/{token}. If there are no tokens, the reason is `nothing`.
pub fn per_token(energy: &Reading, tokens: u64, nothing: &str) -> Reading {
    let tokens = Quantity::exact(tokens as f64, "{token}", Source::Counted);
    let energy = energy.as_ref().map_err(Clone::clone)?;
    energy.per(&tokens, "J/{token}").ok_or_else(|| Unavailable::new(Cause::NoWork, nothing))
}

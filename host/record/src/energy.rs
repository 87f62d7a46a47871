//! Energy in the record: whose it is, what a total covers, and sums over several windows.
//!
//! ```text
//! window    total = cpu + accelerators        covers says which devices and domains
//!           total = prefill + decode + mixed + outside
//! sequence  share = prefill + decode          shares of all sequences = the steps' energy
//! ```

use crate::event::WindowRecord;
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

/// A window's energy by what the engine did, J. The four add up to the window's total.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseEnergyRecord {
    /// Prompt processing.
    pub prefill: ReadingRecord,
    /// Steps in which sequences only generated.
    pub decode: ReadingRecord,
    /// Steps of continuous batches in which some sequences generated while prompts of others were run.
    pub mixed: ReadingRecord,
    /// The rest: between steps, and what the script did besides.
    pub outside: ReadingRecord,
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
    /// How a step's energy is shared among its sequences: `operations-and-bytes` is half way between their shares of
    /// the operations, and of the bytes read: all weights in equal parts, keys and values by their owner. What the two
    /// differ by is part of the uncertainty.
    pub model: String,
}

/// The name of the model in [`SequenceEnergy::model`].
pub const OPERATIONS_AND_BYTES: &str = "operations-and-bytes";

/// The energy of several windows: their sum, or a reason why there is none, for a sum without a part would pass for the
/// whole.
#[derive(Debug, Default)]
pub(crate) struct EnergySum(Option<Reading>);

impl EnergySum {
    /// Counts an energy in. The first reason stays.
    pub fn add(&mut self, energy: &ReadingRecord) {
        self.0 = Some(match (self.0.take(), energy.reading()) {
            (None, energy) => energy,
            (Some(Ok(sum)), Ok(more)) => sum.plus(&more).ok_or_else(|| "units differ".to_owned()),
            (Some(Err(reason)), _) | (_, Err(reason)) => Err(reason),
        });
    }

    /// Notes that a part has no energy of its own.
    pub fn lose(&mut self, reason: &str) {
        self.0 = Some(Err(reason.to_owned()));
    }

    /// The sum; where nothing was counted in, there is none for the reason `nothing`.
    pub fn total(&self, nothing: &str) -> Reading {
        self.0.clone().unwrap_or_else(|| Err(nothing.to_owned()))
    }

    /// The same, or nothing where nothing was counted in.
    pub fn known(&self) -> Option<ReadingRecord> {
        self.0.as_ref().map(ReadingRecord::from)
    }
}

/// What windows of one kind used together.
#[derive(Debug, Default)]
pub(crate) struct EnergySums {
    pub total: EnergySum,
    covers: Option<Vec<DomainRecord>>,
    pub cpu: EnergySum,
    pub accelerators: EnergySum,
    pub prefill: EnergySum,
    pub decode: EnergySum,
}

impl EnergySums {
    /// Counts a window in.
    pub fn add(&mut self, window: &WindowRecord) {
        self.add_total(&window.energy_total, &window.energy_covers);
        let mut part = |of: fn(&mut Self) -> &mut EnergySum, energy: Option<&ReadingRecord>| {
            if let Some(energy) = energy {
                of(self).add(energy);
            }
        };
        part(|sums| &mut sums.cpu, window.energy_cpu.as_ref());
        part(|sums| &mut sums.accelerators, window.energy_accelerators.as_ref());
        let Some(phases) = &window.energy_by_phase else {
            let reason = window.energy_total.reading().err();
            let reason = reason.unwrap_or_else(|| "energy by phase was not told".to_owned());
            for sum in [&mut self.prefill, &mut self.decode] {
                sum.lose(&reason);
            }
            return;
        };
        self.prefill.add(&phases.prefill);
        self.decode.add(&phases.decode);
    }

    /// Counts a sequence of a continuous batch in by its share.
    pub fn add_share(&mut self, energy: Option<&SequenceEnergy>) {
        let Some(energy) = energy else {
            let reason = "the energy of its sequences was not told apart";
            for sum in [&mut self.total, &mut self.prefill, &mut self.decode] {
                sum.lose(reason);
            }
            return;
        };
        self.add_total(&energy.share, &energy.covers);
        self.prefill.add(energy.prefill.as_ref().unwrap_or(&energy.share));
        self.decode.add(energy.decode.as_ref().unwrap_or(&energy.share));
    }

    /// Totals of unlike devices are no sum.
    fn add_total(&mut self, total: &ReadingRecord, covers: &[DomainRecord]) {
        self.total.add(total);
        if total.reading().is_err() {
            return;
        }
        let known = self.covers.get_or_insert_with(|| covers.to_vec());
        if known != covers {
            self.total.lose("they cover different devices: each has its own energy");
        }
    }

    /// What all of them cover.
    pub fn covers(&self) -> Vec<DomainRecord> {
        self.covers.clone().unwrap_or_default()
    }
}

/// An energy for each of some tokens, J/{token}; where there are none, for the reason `nothing`.
pub fn per_token(energy: &Reading, tokens: u64, nothing: &str) -> Reading {
    let tokens = Quantity::exact(tokens as f64, "{token}", Source::Counted);
    let energy = energy.as_ref().map_err(Clone::clone)?;
    energy.per(&tokens, "J/{token}").ok_or_else(|| nothing.to_owned())
}

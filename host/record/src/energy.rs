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

    /// Counts a share in: what the shares of one step are wrong by they are wrong by together.
    pub fn add_share(&mut self, energy: &ReadingRecord) {
        let before = self.0.as_ref().and_then(|sum| sum.as_ref().ok()).map(|sum| sum.uncertainty);
        self.add(energy);
        if let (Some(before), Some(Ok(sum)), Ok(more)) = (before, &mut self.0, energy.reading()) {
            sum.uncertainty = before + more.uncertainty;
        }
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

/// What windows, or sequences, of one kind used together.
#[derive(Debug, Default)]
pub(crate) struct EnergySums {
    pub total: EnergySum,
    covers: Option<Vec<DomainRecord>>,
    pub cpu: EnergySum,
    pub accelerators: EnergySum,
    pub prefill: EnergySum,
    pub decode: EnergySum,
    windows: u64,
}

impl EnergySums {
    /// Counts a window in.
    pub fn add(&mut self, window: &WindowRecord) {
        let has_accelerators = window.energy_accelerators.is_some();
        let differs = self.windows > 0 && has_accelerators != self.accelerators.known().is_some();
        self.windows += 1;
        if let Some(cpu) = &window.energy_cpu {
            self.cpu.add(cpu);
        }
        if let Some(accelerators) = &window.energy_accelerators {
            self.accelerators.add(accelerators);
        }
        match (&window.energy_by_phase, window.energy_total.reading()) {
            (Some(phases), _) => {
                let add = |sum: &mut EnergySum, energy: &Option<ReadingRecord>| {
                    energy.iter().for_each(|energy| sum.add(energy));
                };
                add(&mut self.prefill, &phases.prefill);
                add(&mut self.decode, &phases.decode);
            }
            (None, Err(reason)) => [&mut self.prefill, &mut self.decode].lose(&reason),
            // An older record.
            (None, Ok(_)) => {
                [&mut self.prefill, &mut self.decode].lose("energy by phase was not told");
            }
        }
        self.total.add(&window.energy_total);
        self.check_covers(&window.energy_total, &window.energy_covers);
        if differs {
            self.lose_all(UNLIKE);
        }
    }

    /// Counts a sequence of a continuous batch in by its share.
    pub fn add_share(&mut self, energy: Option<&SequenceEnergy>) {
        let Some(energy) = energy else {
            let all = [&mut self.total, &mut self.prefill, &mut self.decode];
            return all.lose("the energy of its sequences was not told apart");
        };
        self.prefill.add_share(energy.prefill.as_ref().unwrap_or(&energy.share));
        self.decode.add_share(energy.decode.as_ref().unwrap_or(&energy.share));
        self.total.add_share(&energy.share);
        // One that never ran is of nothing.
        if !energy.covers.is_empty() {
            self.check_covers(&energy.share, &energy.covers);
        }
    }

    /// Notes that a part has no energy of its own: no sum is one without it.
    fn lose_all(&mut self, reason: &str) {
        let Self { total, covers, cpu, accelerators, prefill, decode, .. } = self;
        [total, prefill, decode].lose(reason);
        // Of what was never there nothing is lost.
        for part in [cpu, accelerators].into_iter().filter(|part| part.known().is_some()) {
            part.lose(reason);
        }
        *covers = Some(Vec::new());
    }

    /// Totals of unlike devices are no sum.
    fn check_covers(&mut self, total: &ReadingRecord, covers: &[DomainRecord]) {
        if total.reading().is_ok() && self.covers.get_or_insert_with(|| covers.to_vec()) != covers {
            self.lose_all(UNLIKE);
        }
    }

    /// What all of them cover.
    pub fn covers(&self) -> Vec<DomainRecord> {
        self.covers.clone().unwrap_or_default()
    }
}

/// Why energies of unlike devices have no sum.
const UNLIKE: &str = "they cover different devices: each has its own energy";

/// Several sums that lack the same.
trait Lose {
    fn lose(self, reason: &str);
}

impl<const N: usize> Lose for [&mut EnergySum; N] {
    fn lose(self, reason: &str) {
        self.into_iter().for_each(|sum| sum.lose(reason));
    }
}

/// An energy for each of some tokens, J/{token}; where there are none, for the reason `nothing`.
pub fn per_token(energy: &Reading, tokens: u64, nothing: &str) -> Reading {
    let tokens = Quantity::exact(tokens as f64, "{token}", Source::Counted);
    let energy = energy.as_ref().map_err(Clone::clone)?;
    energy.per(&tokens, "J/{token}").ok_or_else(|| nothing.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(joules: f64, device: &str) -> SequenceEnergy {
        let energy = |joules| (&Ok(Quantity::new(joules, 0.1, "J", Source::Derived))).into();
        SequenceEnergy {
            share: energy(joules),
            prefill: Some(energy(joules / 4.0)),
            decode: Some(energy(joules * 3.0 / 4.0)),
            covers: vec![DomainRecord { device: device.to_owned(), domain: "gpu".to_owned() }],
            shared_by: OPERATIONS_AND_BYTES.to_owned(),
        }
    }

    #[test]
    fn energies_of_unlike_devices_have_no_sum_nor_any_part_of_one() {
        let mut sums = EnergySums::default();
        sums.add_share(Some(&share(4.0, "cuda:0")));
        sums.add_share(Some(&share(8.0, "cuda:0")));
        assert_eq!(sums.total.total("").map(|sum| sum.value), Ok(12.0));
        assert_eq!(sums.prefill.total("").map(|sum| sum.value), Ok(3.0));
        assert_eq!(sums.covers().len(), 1);
        sums.add_share(Some(&share(4.0, "cuda:1")));
        for sum in [&sums.total, &sums.prefill, &sums.decode] {
            assert_eq!(sum.total(""), Err(UNLIKE.to_owned()));
        }
        assert!(sums.covers().is_empty() && sums.cpu.known().is_none());
        sums.add_share(Some(&share(4.0, "cuda:0")));
        assert!(sums.total.total("").is_err(), "it stays lost");
    }
}

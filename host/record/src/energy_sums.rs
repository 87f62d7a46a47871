//! Energy of several windows or sequences together.

use crate::{
    energy::{DomainRecord, SequenceEnergy},
    window::WindowRecord,
};
use llem_quantity::{Reading, ReadingRecord};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::OPERATIONS_AND_BYTES;
    use llem_quantity::{Quantity, Source};

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

//! Sums of energy over several windows or sequences.

use crate::{
    energy::{DomainRecord, SequenceEnergy},
    window::WindowRecord,
};
use llem_quantity::{Cause, Reading, ReadingRecord, Unavailable};

/// The sum of several energies, or a reason why there is none. If one of them is not known, there is no sum, because it
/// would look complete without that part. `None` until the first energy is added.
#[derive(Debug, Default)]
pub(crate) struct EnergySum(Option<Reading>);

impl EnergySum {
    /// Adds an energy. If several are not known, the first reason is kept.
    pub(crate) fn add(&mut self, energy: &ReadingRecord) {
        self.0 = Some(match (self.0.take(), energy.reading()) {
            (None, energy) => energy,
            (Some(Ok(sum)), Ok(more)) => {
                sum.plus(&more).ok_or_else(|| Unavailable::new(Cause::Other, "units differ"))
            }
            (Some(Err(reason)), _) | (_, Err(reason)) => Err(reason),
        });
    }

    /// Adds a share of a step's energy. Uncertainties add linearly, because the shares of one step have the same error.
    pub(crate) fn add_share(&mut self, energy: &ReadingRecord) {
        let before = self.0.as_ref().and_then(|sum| sum.as_ref().ok()).map(|sum| sum.uncertainty);
        self.add(energy);
        if let (Some(before), Some(Ok(sum)), Ok(more)) = (before, &mut self.0, energy.reading()) {
            sum.uncertainty = before + more.uncertainty;
        }
    }

    /// Makes the sum unavailable, because the energy of a part is not known.
    pub(crate) fn lose(&mut self, reason: &Unavailable) {
        self.0 = Some(Err(reason.clone()));
    }

    /// Returns the sum. If nothing was added, the reason is `nothing`.
    pub(crate) fn total(&self, nothing: &str) -> Reading {
        self.0.clone().unwrap_or_else(|| Err(Unavailable::new(Cause::NoWork, nothing)))
    }

    /// Returns the sum, or `None` if nothing was added.
    pub(crate) fn known(&self) -> Option<ReadingRecord> {
        self.0.as_ref().map(ReadingRecord::from)
    }
}

/// The energy of all windows or sequences of one group, as a total and by its parts.
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
    /// Adds a window.
    pub(crate) fn add(&mut self, window: &WindowRecord) {
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
            // The record is older than energy by phase.
            (None, Ok(_)) => {
                let reason = Unavailable::new(Cause::NotAsked, "energy by phase was not told");
                [&mut self.prefill, &mut self.decode].lose(&reason);
            }
        }
        self.total.add(&window.energy_total);
        self.check_covers(&window.energy_total, &window.energy_covers);
        if differs {
            self.lose_all();
        }
    }

    /// Adds a sequence of a continuous batch by its share.
    pub(crate) fn add_share(&mut self, energy: Option<&SequenceEnergy>) {
        let Some(energy) = energy else {
            let all = [&mut self.total, &mut self.prefill, &mut self.decode];
            let reason = "the energy of its sequences was not told apart";
            return all.lose(&Unavailable::new(Cause::NotSeparable, reason));
        };
        self.prefill.add_share(energy.prefill.as_ref().unwrap_or(&energy.share));
        self.decode.add_share(energy.decode.as_ref().unwrap_or(&energy.share));
        self.total.add_share(&energy.share);
        // A sequence that never ran covers nothing.
        if !energy.covers.is_empty() {
            self.check_covers(&energy.share, &energy.covers);
        }
    }

    /// Makes all sums unavailable, because they would mix different devices.
    fn lose_all(&mut self) {
        let reason = &unlike_devices();
        let Self { total, covers, cpu, accelerators, prefill, decode, .. } = self;
        [total, prefill, decode].lose(reason);
        // A sum to which nothing was added stays absent.
        for part in [cpu, accelerators].into_iter().filter(|part| part.known().is_some()) {
            part.lose(reason);
        }
        *covers = Some(Vec::new());
    }

    /// Makes all sums unavailable if a total covers other domains than the totals before it.
    fn check_covers(&mut self, total: &ReadingRecord, covers: &[DomainRecord]) {
        if total.reading().is_ok() && self.covers.get_or_insert_with(|| covers.to_vec()) != covers {
            self.lose_all();
        }
    }

    /// Returns the domains that all totals cover.
    pub(crate) fn covers(&self) -> Vec<DomainRecord> {
        self.covers.clone().unwrap_or_default()
    }
}

/// Returns the reason for which energies of different devices have no sum.
fn unlike_devices() -> Unavailable {
    Unavailable::new(Cause::Other, "they cover different devices: each has its own energy")
}

/// Several sums that become unavailable for the same reason.
trait Lose {
    fn lose(self, reason: &Unavailable);
}

impl<const N: usize> Lose for [&mut EnergySum; N] {
    fn lose(self, reason: &Unavailable) {
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
            assert_eq!(sum.total(""), Err(unlike_devices()));
        }
        assert!(sums.covers().is_empty() && sums.cpu.known().is_none());
        sums.add_share(Some(&share(4.0, "cuda:0")));
        assert!(sums.total.total("").is_err(), "it stays lost");
    }
}

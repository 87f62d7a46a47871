//! The energy of the requests so far, by outermost phase.

use llem_quantity::{Cause, Reading, ReadingRecord, Unavailable};

/// The most phases whose energy is kept. A script may open any number.
const PHASES: usize = 100;

/// Sums of energy, by outermost phase, in the order of the phases.
#[derive(Debug, Default)]
pub(super) struct EnergyByPhase(Vec<PhaseEnergy>);

/// The energy of one phase's requests.
#[derive(Debug)]
pub(super) struct PhaseEnergy {
    pub phase: String,
    /// The number of requests, or of sequences of continuous batches.
    pub parts: u64,
    /// `None` until a request has ended. One unknown energy makes the sum unknown, as in the record, because it would
    /// look complete without that part.
    sum: Option<Reading>,
}

impl EnergyByPhase {
    /// Adds the energy of a request's own window.
    pub(super) fn add(&mut self, phase: &str, energy: &ReadingRecord) {
        if let Some(found) = self.phase(phase) {
            found.add(energy);
        }
    }

    /// Adds the share of a sequence in the energy of a continuous batch. Uncertainties add linearly, because the shares
    /// of one step have the same error.
    pub(super) fn add_share(&mut self, phase: &str, energy: &ReadingRecord) {
        if let Some(found) = self.phase(phase) {
            let before = found.total().map_or(0.0, |sum| sum.uncertainty);
            found.add(energy);
            if let (Some(Ok(sum)), ReadingRecord::Known(more)) = (&mut found.sum, energy) {
                sum.uncertainty = before + more.uncertainty;
            }
        }
    }

    fn phase(&mut self, phase: &str) -> Option<&mut PhaseEnergy> {
        let outermost = phase.split('/').next().unwrap_or_default();
        let place = self.0.iter().position(|known| known.phase == outermost);
        if place.is_none() && self.0.len() < PHASES {
            let phase = outermost.to_owned();
            self.0.push(PhaseEnergy { phase, parts: 0, sum: None });
        }
        let last = self.0.len().checked_sub(1)?;
        self.0.get_mut(place.unwrap_or(last)).filter(|found| found.phase == outermost)
    }

    /// The energy of the outermost phase of `phase`, or of the last phase with requests if this one has none.
    pub(super) fn of(&self, phase: &str) -> Option<&PhaseEnergy> {
        let outermost = phase.split('/').next().unwrap_or_default();
        self.0.iter().find(|known| known.phase == outermost).or(self.0.last())
    }
}

impl PhaseEnergy {
    fn add(&mut self, energy: &ReadingRecord) {
        self.parts += 1;
        self.sum = Some(match (self.sum.take(), energy.reading()) {
            (None, energy) => energy,
            (Some(Ok(sum)), Ok(more)) => {
                sum.plus(&more).ok_or_else(|| Unavailable::new(Cause::Other, "units differ"))
            }
            (Some(Err(reason)), _) | (_, Err(reason)) => Err(reason),
        });
    }

    /// The sum, or why there is none.
    pub(super) fn total(&self) -> Reading {
        let nothing = || Err(Unavailable::new(Cause::NoWork, "no request has ended"));
        self.sum.clone().unwrap_or_else(nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_quantity::{Quantity, Source};

    #[test]
    fn uncertainties_add_as_in_the_record() {
        let joules = |value| ReadingRecord::Known(Quantity::new(value, 0.3, "J", Source::Rapl));
        let mut energy = EnergyByPhase::default();
        energy.add("warmup", &joules(100.0));
        energy.add("measure/long", &joules(1.0));
        energy.add("measure/short", &joules(2.0));
        let measured = energy.of("measure").expect("a phase").total().expect("it is known");
        assert_eq!(measured.value, 3.0);
        assert!((measured.uncertainty - 0.3f64.hypot(0.3)).abs() < 1e-12, "independent windows");
        energy.add_share("batch", &joules(1.0));
        energy.add_share("batch", &joules(1.0));
        let shared = energy.of("batch").expect("a phase").total().expect("it is known");
        assert!((shared.uncertainty - 0.6).abs() < 1e-12, "shares have the same error");
        assert_eq!(energy.of("derive").map(|last| &last.phase[..]), Some("batch"));
    }

    #[test]
    fn one_unknown_part_leaves_the_reason_in_place_of_the_sum() {
        let mut energy = EnergyByPhase::default();
        energy.add("measure", &ReadingRecord::Known(Quantity::new(1.0, 0.1, "J", Source::Rapl)));
        let unavailable = "no counter can be read".to_owned();
        energy.add("measure", &ReadingRecord::Unavailable { unavailable, cause: None });
        let reason = energy.of("measure").expect("a phase").total().expect_err("a part is unknown");
        assert_eq!(reason.detail, "no counter can be read");
    }
}

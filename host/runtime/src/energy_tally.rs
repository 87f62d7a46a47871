//! A sum of energy over steps, and how well it is known.
//!
//! The uncertainty of a sum over steps has three parts ([`llem_meter::EnergyUncertainty`]). That of moments follows from
//! the moments at which the share changes. Between two adjacent steps with one share, the moment cancels out. If a
//! counter ticks less often than the work changes, its errors have the same sign each time, so they add up linearly
//! within a sum. Variances of readings add up, and the error of a model has one sign at all times, so it adds up linearly.

use llem_meter::EnergyUntil;
use std::time::{Duration, Instant};

/// Steps that are nearer to each other than this count as adjacent.
pub(crate) const NEAR: Duration = Duration::from_millis(1);

/// A sum of energy over steps, each times a share, in order of time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub joules: f64,
    /// The uncertainty of the sum from moments between its first and last, in joules.
    inner: f64,
    /// The uncertainty of the sum from its first moment, in joules.
    first: f64,
    /// The variance of the sum from readings, J².
    readings: f64,
    /// The uncertainty of the sum from the model of a power, in joules.
    pub model: f64,
    /// The energy until the sum's first moment, in joules.
    began: f64,
    /// The largest share of a step.
    largest_share: f64,
    last: Option<StepEnd>,
}

/// The end of the last step of a sum: the step's share, the moment, and the energy until then.
#[derive(Clone, Copy, Debug)]
struct StepEnd {
    share: f64,
    at: Instant,
    energy: EnergyUntil,
}

impl Tally {
    /// Adds a step's share of the energy between two moments. Steps come in order of time.
    pub(crate) fn add(
        &mut self,
        share: f64,
        from: (Instant, EnergyUntil),
        to: (Instant, EnergyUntil),
    ) {
        self.joules += share * (to.1.joules - from.1.joules);
        let (before, after) = (from.1.uncertainty, to.1.uncertainty);
        self.readings += share.powi(2) * (after.readings - before.readings).max(0.0);
        self.model += share * (after.model - before.model);
        let starts = share * before.moment;
        match self.last {
            None => (self.first, self.began) = (starts, from.1.joules),
            Some(edge) => {
                let ended = edge.share * edge.energy.uncertainty.moment;
                let follows = from.0.saturating_duration_since(edge.at) < NEAR;
                self.inner += if follows { (ended - starts).abs() } else { ended + starts };
            }
        }
        self.largest_share = self.largest_share.max(share);
        self.last = Some(StepEnd { share, at: to.0, energy: to.1 });
    }

    /// Returns the variance of the sum without that of a model, J². However many moments lie within it, the sum is at
    /// least 0 and at most the largest share of all energy from its first moment to its last (GUM 4.3.7).
    pub(crate) fn variance(&self) -> f64 {
        let Some(StepEnd { share, energy, .. }) = self.last else { return 0.0 };
        let anything = self.largest_share * (energy.joules - self.began) / 12f64.sqrt();
        let (last, inner) = (share * energy.uncertainty.moment, self.inner.min(anything));
        self.first.powi(2) + inner.powi(2) + last.powi(2) + self.readings
    }

    /// Returns the standard uncertainty of the sum, J.
    pub(crate) fn uncertainty(&self) -> f64 {
        self.variance().sqrt().hypot(self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_meter::EnergyUncertainty;

    /// A sum over steps of 1 s and 2 J, each after a pause of 1 s and 2 J.
    fn tally(steps: u64, uncertainty: impl Fn(f64) -> EnergyUncertainty) -> Tally {
        let began = Instant::now();
        let mut tally = Tally::default();
        for step in 0..steps {
            let at = |seconds: u64| {
                let joules = 2.0 * seconds as f64;
                let energy = EnergyUntil { joules, uncertainty: uncertainty(joules) };
                (began + Duration::from_secs(seconds), energy)
            };
            tally.add(1.0, at(2 * step), at(2 * step + 1));
        }
        tally
    }

    fn of_moments(moment: f64) -> impl Fn(f64) -> EnergyUncertainty {
        move |_| EnergyUncertainty { moment, ..EnergyUncertainty::default() }
    }

    #[test]
    fn a_sum_over_many_steps_is_no_more_uncertain_than_all_energy_between_its_ends() {
        for (steps, uncertainty) in [(500, 300.0), (5, 300.0), (500, 0.0)] {
            let told = tally(steps, of_moments(uncertainty)).uncertainty();
            let all = 2.0 * (2 * steps - 1) as f64;
            let at_most = uncertainty.hypot(uncertainty).hypot(all / 12f64.sqrt());
            assert!(told <= at_most, "{steps} steps: {told} J");
        }
    }

    #[test]
    fn uncertainties_of_few_steps_add_up_linearly() {
        // Two ends, and two moments between.
        let told = tally(2, of_moments(0.1)).uncertainty();
        assert!((told - 0.1f64.hypot(0.1).hypot(0.2)).abs() < 1e-12, "{told}");
    }

    #[test]
    fn a_model_is_as_uncertain_over_steps_as_over_their_energy() {
        // A declared power that is off by 10 % is off by 10 % in every step, however many there are.
        let model = |joules: f64| EnergyUncertainty { model: 0.1 * joules, ..Default::default() };
        for steps in [1, 2, 500] {
            let tally = tally(steps, model);
            assert!((tally.uncertainty() - 0.1 * tally.joules).abs() < 1e-9, "{steps} steps");
        }
    }

    #[test]
    fn readings_of_the_time_between_steps_do_not_count() {
        let readings = |joules: f64| EnergyUncertainty { readings: joules, ..Default::default() };
        let told = tally(8, readings).uncertainty();
        assert!((told - 16f64.sqrt()).abs() < 1e-12, "{told}");
    }
}

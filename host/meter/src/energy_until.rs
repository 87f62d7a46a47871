//! The energy until a moment, and how errors at two moments go together.
//!
//! ```text
//! moment     ·   ·   ·     each moment has its own: where it lies between two ticks        of a span   √(u₁² + u₂²)
//! readings   ─·──·──·─     each reading adds its own: how power changed in between         of a span   √(v₂ − v₁)
//! model      ─────────     one error at all times: a power that somebody declared          of a span   u₂ − u₁
//! ```
//!
//! A span late in a long run has the errors of its own readings and of its own part of the model, not those of the time
//! before (GUM 5.2.2: an error that two numbers share cancels in their difference).

use crate::uncertain_value::UncertainValue;

/// The energy until a moment, counted from an arbitrary start. Only differences have a meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyUntil {
    /// The energy, J.
    pub joules: f64,
    /// How well it is known.
    pub uncertainty: EnergyUncertainty,
}

/// The uncertainty of the energy until a moment, by how its errors go together with those of other moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EnergyUncertainty {
    /// From the moment alone, one standard deviation in J. It is independent from one moment to another.
    pub moment: f64,
    /// The variance that the readings since the start have gathered, J².
    pub readings: f64,
    /// From an error that has one sign at all times and grows with the energy, one standard deviation in J.
    pub model: f64,
}

impl EnergyUntil {
    /// Returns the energy from an earlier moment to this one, J.
    pub fn since(self, earlier: Self) -> UncertainValue {
        let (from, to) = (earlier.uncertainty, self.uncertainty);
        let gathered = (to.readings - from.readings).max(0.0).sqrt();
        let parts = [from.moment, to.moment, gathered, to.model - from.model];
        let uncertainty = parts.into_iter().fold(0.0, f64::hypot);
        UncertainValue { value: self.joules - earlier.joules, uncertainty }
    }

    /// Returns the energy of both domains. Their moments and readings are independent; errors of their models may have
    /// the same sign.
    pub(crate) fn plus(self, other: Self) -> Self {
        let (one, two) = (self.uncertainty, other.uncertainty);
        let uncertainty = EnergyUncertainty {
            moment: one.moment.hypot(two.moment),
            readings: one.readings + two.readings,
            model: one.model + two.model,
        };
        Self { joules: self.joules + other.joules, uncertainty }
    }
}

impl EnergyUncertainty {
    /// An energy without uncertainty.
    pub(crate) const NONE: Self = Self { moment: 0.0, readings: 0.0, model: 0.0 };

    /// Creates the uncertainty of a moment alone, from one standard deviation in J.
    pub(crate) fn of_moment(moment: f64) -> Self {
        Self { moment, ..Self::NONE }
    }

    /// Returns this uncertainty with one more of the moment, in J.
    pub(crate) fn and_moment(self, moment: f64) -> Self {
        Self { moment: self.moment.hypot(moment), ..self }
    }

    /// Returns the uncertainty between this moment and a later one: at `share` of the way, from 0 to 1.
    pub(crate) fn towards(self, later: Self, share: f64) -> Self {
        let between = |from: f64, to: f64| from * (1.0 - share) + to * share;
        Self {
            moment: between(self.moment, later.moment),
            readings: between(self.readings, later.readings),
            model: between(self.model, later.model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(joules: f64, moment: f64, readings: f64, model: f64) -> EnergyUntil {
        EnergyUntil { joules, uncertainty: EnergyUncertainty { moment, readings, model } }
    }

    #[test]
    fn a_span_has_its_own_errors_and_not_those_of_the_time_before() {
        let span = until(1050.0, 3.0, 100.0, 105.0).since(until(1000.0, 4.0, 84.0, 100.0));
        assert_eq!(span.value, 50.0);
        // 3 and 4 of the moments, 4 of the readings between, 5 of the model.
        assert!((span.uncertainty - 66f64.sqrt()).abs() < 1e-12, "{span:?}");
    }

    #[test]
    fn errors_of_models_of_two_domains_may_have_the_same_sign() {
        let both = until(10.0, 3.0, 9.0, 1.0).plus(until(20.0, 4.0, 16.0, 2.0));
        assert_eq!(both, until(30.0, 5.0, 25.0, 3.0));
    }
}

//! Lengths of prompts and outputs, in tokens, drawn from distributions.

use crate::{
    Error, Result,
    arrivals::{exponential, normal},
    random::UniformSource,
};

/// A distribution of lengths, in tokens.
///
/// A drawn number is limited to the bounds and then rounded. Numbers beyond a bound become the bound itself, so the mean of
/// the lengths differs from that of the distribution if the bounds cut much of it off. Bounds are 1 and 2^32 - 1 unless
/// [`Self::within`] sets others.
///
/// ```no_run
/// use llem_sdk::{Lengths, Random};
///
/// let lengths = Lengths::normal(512.0, 128.0).within(16, 1024);
/// let drawn = lengths.draw(100, &mut Random::new("prompts"))?;
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    distribution: Distribution,
    minimum: u32,
    maximum: u32,
}

/// What numbers are drawn from, before they become lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Distribution {
    Fixed(u32),
    Uniform { low: u32, high: u32 },
    Normal { mean: f64, deviation: f64 },
    Exponential { mean: f64 },
    Pareto { mean: f64, shape: f64 },
    Lognormal { mean: f64, deviation: f64 },
}

impl Lengths {
    fn new(distribution: Distribution) -> Self {
        Self { distribution, minimum: 1, maximum: u32::MAX }
    }

    /// Makes all lengths equal. No random number is drawn. The length may be 0.
    pub fn fixed(length: u32) -> Self {
        Self::new(Distribution::Fixed(length)).within(0, u32::MAX)
    }

    /// Draws each length from `low` to `high`, both included, with the same probability.
    pub fn uniform(low: u32, high: u32) -> Self {
        Self::new(Distribution::Uniform { low, high }).within(0, u32::MAX)
    }

    /// Draws lengths from a normal distribution of this mean and standard deviation.
    pub fn normal(mean: f64, deviation: f64) -> Self {
        Self::new(Distribution::Normal { mean, deviation })
    }

    /// Draws lengths from an exponential distribution of this mean.
    pub fn exponential(mean: f64) -> Self {
        Self::new(Distribution::Exponential { mean })
    }

    /// Draws lengths from a Pareto distribution of this mean and shape (exponent), which is above 1. The smallest number
    /// of the distribution is `mean * (shape - 1) / shape`.
    pub fn pareto(mean: f64, shape: f64) -> Self {
        Self::new(Distribution::Pareto { mean, shape })
    }

    /// Draws lengths from a log-normal distribution of this mean and standard deviation (not of the logarithm).
    pub fn lognormal(mean: f64, deviation: f64) -> Self {
        Self::new(Distribution::Lognormal { mean, deviation })
    }

    /// Limits the lengths.
    pub fn within(self, minimum: u32, maximum: u32) -> Self {
        Self { minimum, maximum, ..self }
    }

    /// Draws `count` lengths. `uniform` is a [`Random`](crate::Random). Fails with `invalid-argument` if the
    /// distribution does not exist, such as one of a mean of zero.
    pub fn draw(&self, count: u32, uniform: &mut dyn UniformSource) -> Result<Vec<u32>> {
        if let Some(problem) = self.problem() {
            let sentence =
                format!("the distribution of lengths {:?}: {problem}", self.distribution);
            return Err(Error::invalid_argument(sentence));
        }
        let (minimum, maximum) = (f64::from(self.minimum), f64::from(self.maximum));
        let length = |number: f64| (number.clamp(minimum, maximum) + 0.5).floor() as u32;
        Ok((0..count).map(|_| length(self.distribution.draw(uniform))).collect())
    }

    /// Returns why the distribution does not exist, or `None` if it does.
    fn problem(&self) -> Option<&'static str> {
        let is_above_zero = |number: f64| number.is_finite() && number > 0.0;
        let is_deviation = |number: f64| number.is_finite() && number >= 0.0;
        let (is_valid, problem) = match self.distribution {
            Distribution::Fixed(_) => (true, ""),
            Distribution::Uniform { low, high } => {
                (low <= high, "the lower end is above the upper one")
            }
            Distribution::Normal { mean, deviation }
            | Distribution::Lognormal { mean, deviation } => (
                is_above_zero(mean) && is_deviation(deviation),
                "the mean must be above 0, and the deviation 0 or more",
            ),
            Distribution::Exponential { mean } => (is_above_zero(mean), "the mean must be above 0"),
            Distribution::Pareto { mean, shape } => (
                is_above_zero(mean) && shape.is_finite() && shape > 1.0,
                "the mean must be above 0, and the shape above 1",
            ),
        };
        if !is_valid {
            return Some(problem);
        }
        (self.minimum > self.maximum).then_some("its smallest length is above the largest one")
    }
}

impl Distribution {
    fn draw(self, uniform: &mut dyn UniformSource) -> f64 {
        match self {
            Self::Fixed(length) => f64::from(length),
            Self::Uniform { low, high } => {
                let (low, high) = (f64::from(low), f64::from(high));
                low + (uniform.next_uniform() * (high - low + 1.0)).floor()
            }
            Self::Normal { mean, deviation } => mean + deviation * normal(uniform),
            Self::Exponential { mean } => mean * exponential(uniform),
            Self::Pareto { mean, shape } => {
                mean * (shape - 1.0) / shape * (exponential(uniform) / shape).exp()
            }
            Self::Lognormal { mean, deviation } => {
                // The variance of the logarithm.
                let variance = (deviation / mean).powi(2).ln_1p();
                mean * (variance.sqrt() * normal(uniform) - variance / 2.0).exp()
            }
        }
    }
}

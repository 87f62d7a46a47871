//! Confidence intervals of means, and how much values vary.

use crate::quantity::Quantity;

/// A mean with its 95 % confidence interval by Student's t distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Of repeated, independent values; none of fewer than two, which have no known spread.
    pub fn of_mean(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half = t_quantile(count - 1.0) * (squares / (count - 1.0) / count).sqrt();
        Some(Self { mean, low: mean - half, high: mean + half })
    }
}

/// Sample standard deviation over mean; infinite where the mean is zero.
pub fn coefficient_of_variation(values: &[f64]) -> f64 {
    let mean = Quantity::mean(values, "s").filter(|mean| mean.value > 0.0);
    // The mean's uncertainty is the standard deviation over sqrt(n).
    mean.map_or(f64::INFINITY, |mean| mean.uncertainty * (values.len() as f64).sqrt() / mean.value)
}

/// The normal distribution's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;

/// Student's t distribution's 97.5 % quantile: exact for 1 and 2 degrees of freedom, else the expansion of
/// Abramowitz and Stegun, 26.7.5, which is within 0.5 % for 3 and better for more.
fn t_quantile(freedom: f64) -> f64 {
    match freedom {
        1.0 => 12.706_204_736,
        2.0 => 4.302_652_73,
        n => {
            let terms = [
                (Z.powi(3) + Z) / 4.0,
                (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0,
                (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0,
                (79.0 * Z.powi(9) + 776.0 * Z.powi(7) + 1482.0 * Z.powi(5)
                    - 1920.0 * Z.powi(3)
                    - 945.0 * Z)
                    / 92160.0,
            ];
            terms.iter().zip(1..).fold(Z, |sum, (term, power)| sum + term / n.powi(power))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // scipy.stats.t.ppf(0.975, n)
    #[test]
    fn quantiles_are_those_of_scipy() {
        for (freedom, expected) in [
            (1.0, 12.706_204_736_432_1),
            (2.0, 4.302_652_729_911_28),
            (3.0, 3.182_446_305_284_26),
            (4.0, 2.776_445_105_198),
            (9.0, 2.262_157_162_740_99),
            (30.0, 2.042_272_456_301_24),
        ] {
            let ratio = t_quantile(freedom) / expected;
            assert!((ratio - 1.0).abs() < 0.005, "{freedom}: {ratio}");
        }
    }

    // scipy.stats.t.interval(0.95, 3, 2.5, scipy.stats.sem([1, 2, 3, 4]))
    #[test]
    fn the_interval_of_four_values() {
        let interval = Interval::of_mean(&[1.0, 2.0, 3.0, 4.0]).expect("four values");
        assert!((interval.low - 0.445_739_7).abs() < 0.01, "{interval:?}");
        assert!((interval.high - 4.554_260_3).abs() < 0.01, "{interval:?}");
        assert!(Interval::of_mean(&[1.0]).is_none());
    }
}

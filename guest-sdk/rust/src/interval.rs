//! Confidence intervals of means, and the coefficient of variation.

use crate::quantity::Quantity;

/// A mean with its 95 % confidence interval by Student's t distribution. All numbers are in the unit of the values.
///
/// ```
/// use llem_sdk::Interval;
///
/// let interval = Interval::from_values(&[1.0, 2.0, 3.0, 4.0]).ok_or("fewer than two values")?;
/// assert_eq!(interval.mean, 2.5);
/// // scipy.stats.t.interval gives 0.4457 and 4.5543.
/// assert!((interval.low - 0.446).abs() < 0.01);
/// assert!((interval.high - 4.554).abs() < 0.01);
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean of the values, in the unit of the values.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Interval {
    /// Computes the interval of repeated, independent values. Returns `None` if there are fewer than two values,
    /// because their spread is then not known.
    pub fn from_values(values: &[f64]) -> Option<Self> {
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

/// Returns the sample standard deviation divided by the mean. Returns infinity if the mean is not above zero.
///
/// ```
/// use llem_sdk::coefficient_of_variation;
///
/// assert!((coefficient_of_variation(&[9.0, 10.0, 11.0]) - 0.1).abs() < 1e-12);
/// ```
pub fn coefficient_of_variation(values: &[f64]) -> f64 {
    let mean = Quantity::mean(values, "s").filter(|mean| mean.value > 0.0);
    // The uncertainty of the mean is the standard deviation divided by sqrt(n).
    mean.map_or(f64::INFINITY, |mean| mean.uncertainty * (values.len() as f64).sqrt() / mean.value)
}

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Returns the 97.5 % quantile of Student's t distribution. It is exact for 1 and 2 degrees of freedom. Otherwise it is
/// the expansion of Abramowitz and Stegun, 26.7.5, which is within 0.5 % for 3 degrees of freedom and better for more.
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
    fn quantiles_agree_with_scipy() {
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
    fn the_interval_of_four_values_agrees_with_scipy() {
        let interval = Interval::from_values(&[1.0, 2.0, 3.0, 4.0]).expect("four values");
        assert!((interval.low - 0.445_739_7).abs() < 0.01, "{interval:?}");
        assert!((interval.high - 4.554_260_3).abs() < 0.01, "{interval:?}");
        assert!(Interval::from_values(&[1.0]).is_none());
    }
}

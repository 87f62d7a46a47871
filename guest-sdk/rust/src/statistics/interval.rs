//! Confidence intervals of means.

use super::{mean, standard_error, t_quantile};

/// A mean with its confidence interval. All numbers are in the unit of the values. [`interval`] computes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean of the values.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Interval {
    /// Computes the 95 % [`interval`] of repeated, independent values. Returns `None` if there are fewer than two
    /// values.
    ///
    /// ```
    /// use llem_sdk::Interval;
    ///
    /// let interval = Interval::from_values(&[1.0, 2.0, 3.0, 4.0]).ok_or("fewer than two values")?;
    /// assert_eq!(interval.mean, 2.5);
    /// // scipy.stats.t.interval(0.95, 3, 2.5, scipy.stats.sem([1, 2, 3, 4]))
    /// assert!((interval.low - 0.445_739_743_239_121).abs() < 1e-12);
    /// assert!((interval.high - 4.554_260_256_760_879).abs() < 1e-12);
    /// # Ok::<(), llem_sdk::Error>(())
    /// ```
    pub fn from_values(values: &[f64]) -> Option<Self> {
        interval(values, 0.95)
    }
}

/// Computes the confidence interval of the mean of repeated, independent values, by Student's t distribution.
/// `confidence` is the probability with which such intervals contain the mean of the distribution that the values come
/// from: 0.95 is usual. Returns `None` if there are fewer than two values or if `confidence` is not between 0 and 1.
pub fn interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let (mean, error) = (mean(values)?, standard_error(values)?);
    if !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    // The lower tail has more digits than the upper one if the confidence is close to 1.
    let half = -t_quantile((1.0 - confidence) / 2.0, (values.len() - 1) as f64)? * error;
    Some(Interval { mean, low: mean - half, high: mean + half })
}

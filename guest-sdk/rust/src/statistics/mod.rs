//! Statistics of repeated values: mean, spread, percentiles and confidence intervals.
//!
//! The functions have the same names and give the same numbers in the SDK of every language: `guest-sdk/numbers.json`
//! holds cases whose results come from numpy and scipy. Sums are made from left to right. All functions return `None`
//! where a statistic is not defined, and NaN if one of the values is NaN.

mod interval;
mod students_t;
mod weighted;

pub use interval::{Interval, interval};
pub use students_t::t_quantile;
pub use weighted::{weighted_mean, weighted_percentile};

/// Returns the arithmetic mean, in the unit of the values. Returns `None` if there are no values.
///
/// ```
/// use llem_sdk::statistics::mean;
///
/// assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
/// assert_eq!(mean(&[]), None);
/// ```
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the sample standard deviation (divided by n - 1, numpy's `ddof=1`), in the unit of the values. Returns `None`
/// if there are fewer than two values, because their spread is then not known.
///
/// ```
/// use llem_sdk::statistics::standard_deviation;
///
/// assert_eq!(standard_deviation(&[9.0, 10.0, 11.0]), Some(1.0));
/// assert_eq!(standard_deviation(&[9.0]), None);
/// ```
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Returns the population standard deviation (divided by n, numpy's default), in the unit of the values. It describes the
/// values themselves, and [`standard_deviation`] the spread of what they were drawn from. Returns `None` if there are no
/// values.
///
/// ```
/// use llem_sdk::statistics::population_standard_deviation;
///
/// assert_eq!(population_standard_deviation(&[2.0, 4.0]), Some(1.0));
/// assert_eq!(population_standard_deviation(&[9.0]), Some(0.0));
/// ```
pub fn population_standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some((squares / values.len() as f64).sqrt())
}

/// Returns the standard deviation of the mean: the sample standard deviation divided by sqrt(n) (GUM 4.2.3), in the unit
/// of the values. Returns `None` if there are fewer than two values.
pub fn standard_error(values: &[f64]) -> Option<f64> {
    Some(standard_deviation(values)? / (values.len() as f64).sqrt())
}

/// Returns the sample standard deviation divided by the mean, without a unit. Returns `None` if there are fewer than two
/// values or if the mean is not above zero.
///
/// ```
/// use llem_sdk::statistics::coefficient_of_variation;
///
/// assert_eq!(coefficient_of_variation(&[9.0, 10.0, 11.0]), Some(0.1));
/// assert_eq!(coefficient_of_variation(&[-1.0, 1.0]), None);
/// ```
pub fn coefficient_of_variation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|mean| mean.is_nan() || *mean > 0.0)?;
    Some(standard_deviation(values)? / mean)
}

/// Returns the value below which `p` percent of the values lie, in the unit of the values. Between two values it
/// interpolates linearly, as numpy's `percentile` does by default (Hyndman and Fan, The American Statistician 50(4),
/// 1996, definition 7). The values need not be sorted. Returns `None` if there are no values or if `p` is not within 0
/// and 100.
///
/// ```
/// use llem_sdk::statistics::percentile;
///
/// // numpy.percentile([4, 1, 3, 2], 90)
/// assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 90.0), Some(3.7));
/// ```
pub fn percentile(values: &[f64], p: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=100.0).contains(&p) {
        return None;
    }
    if values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let position = p / 100.0 * last as f64;
    // Rounding may put the position of a percentile below 100 on the last value.
    let below = (position.floor() as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let share = position - below as f64;
    // Interpolates from the closer value, as numpy does, so that the percentile 100 is the largest value itself.
    Some(match share {
        0.0 => low,
        share if share < 0.5 => low + (high - low) * share,
        share => high - (high - low) * (1.0 - share),
    })
}

/// Returns the median, in the unit of the values: the 50th [`percentile`]. Returns `None` if there are no values.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50.0)
}

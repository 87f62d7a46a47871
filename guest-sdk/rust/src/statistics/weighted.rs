//! Statistics of values that count by their weights.

/// Returns the mean of values that count by their weights (numpy's `average`), in the unit of the values. Returns `None` if
/// there are not as many weights as values, if a weight is negative or not finite, or if the weights add up to zero.
///
/// ```
/// use llem_sdk::statistics::weighted_mean;
///
/// assert_eq!(weighted_mean(&[1.0, 4.0], &[2.0, 1.0]), Some(2.0));
/// ```
pub fn weighted_mean(values: &[f64], weights: &[f64]) -> Option<f64> {
    let total = sum_of_weights(weights, values.len())?;
    let sum: f64 = values.iter().zip(weights).map(|(value, weight)| value * weight).sum();
    Some(sum / total)
}

/// Returns the smallest value such that the values up to it have `p` percent of the weight or more, in the unit of the
/// values. This is numpy's `percentile` with `weights` and `method="inverted_cdf"`. The result is always one of the values.
/// Values of weight zero are left out. Returns `None` if there are not as many weights as values, if a weight is negative
/// or not finite, if the weights add up to zero, or if `p` is not within 0 and 100.
///
/// ```
/// use llem_sdk::statistics::weighted_percentile;
///
/// // numpy.percentile([1, 2, 3], 90, weights=[8, 1, 1], method="inverted_cdf")
/// assert_eq!(weighted_percentile(&[1.0, 2.0, 3.0], &[8.0, 1.0, 1.0], 90.0), Some(2.0));
/// ```
pub fn weighted_percentile(values: &[f64], weights: &[f64], p: f64) -> Option<f64> {
    sum_of_weights(weights, values.len()).filter(|_| (0.0..=100.0).contains(&p))?;
    if values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let pairs = values.iter().copied().zip(weights.iter().copied());
    let mut ordered: Vec<(f64, f64)> = pairs.filter(|(_, weight)| *weight > 0.0).collect();
    ordered.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    let total: f64 = ordered.iter().map(|(_, weight)| weight).sum();
    let mut reached = 0.0;
    let found = ordered.iter().find(|(_, weight)| {
        reached += weight;
        reached / total >= p / 100.0
    });
    found.or(ordered.last()).map(|(value, _)| *value)
}

/// Returns the sum of the weights of `count` values, or `None` if they are no weights.
fn sum_of_weights(weights: &[f64], count: usize) -> Option<f64> {
    let sum: f64 = weights.iter().sum();
    let are_valid = weights.iter().all(|weight| *weight >= 0.0 && weight.is_finite());
    (weights.len() == count && are_valid && sum > 0.0).then_some(sum)
}

//! Quantiles of ordered values.

/// Returns a quantile by linear interpolation between order statistics: type 7 of Hyndman and Fan, The American Statistician 50
/// (1996), numpy's default. `count` is the number of values, `share` lies between 0 and 1, and `value_at` gives the value at an index in
/// ascending order. Returns `None` if there are no values.
///
/// ```
/// // numpy.percentile([1, 2, 3, 4, 10], 90) = 7.6
/// let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
/// let p90 = llem_quantity::quantile(5, 0.9, |index| sorted[index]).expect("there are values");
/// assert!((p90 - 7.6).abs() < 1e-12);
/// assert_eq!(llem_quantity::quantile(0, 0.5, |_| 0.0), None);
/// ```
pub fn quantile(count: usize, share: f64, value_at: impl Fn(usize) -> f64) -> Option<f64> {
    let last = count.checked_sub(1)?;
    let position = (share * last as f64).clamp(0.0, last as f64);
    let [below, above] = [position.floor(), position.ceil()].map(|at| value_at(at as usize));
    Some(below + (above - below) * (position - position.floor()))
}

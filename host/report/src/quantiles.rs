//! Quantiles of samples with their uncertainty, and empirical distribution functions.

/// A quantile with its standard uncertainty, in the samples' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile {
    pub value: f64,
    pub uncertainty: f64,
}

/// Returns a quantile of sorted samples, as [`llem_quantity::quantile`] does. Returns `None` if there are no samples.
///
/// The number of samples below the quantile is binomial, so half the distance between the order statistics at one standard
/// deviation, sqrt(n p (1 - p)), below and above is its standard uncertainty (Conover, Practical Nonparametric Statistics, 3.2).
/// It is 0 for fewer than five samples, from which it cannot be known.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<Quantile> {
    let count = sorted.len();
    let value_at = |share| llem_quantity::quantile(count, share, |index| sorted[index]);
    let value = value_at(share)?;
    if count < 5 {
        return Some(Quantile { value, uncertainty: 0.0 });
    }
    let deviation = (count as f64 * share * (1.0 - share)).sqrt() / (count - 1) as f64;
    let uncertainty = (value_at(share + deviation)? - value_at(share - deviation)?) / 2.0;
    Some(Quantile { value, uncertainty })
}

/// The most points of a curve. An ECDF of more samples is shown at evenly spaced ranks, with both extremes.
pub(crate) const POINTS: usize = 500;

/// Returns the points (value, share of samples at or below it) of the empirical distribution function of sorted samples.
pub(crate) fn ecdf(sorted: &[f64]) -> Vec<(f64, f64)> {
    let count = sorted.len();
    let shown = count.min(POINTS);
    let rank =
        |point: usize| if count <= POINTS { point } else { point * (count - 1) / (shown - 1) };
    (0..shown).map(rank).map(|rank| (sorted[rank], (rank + 1) as f64 / count as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // numpy.percentile([1, 2, 3, 4, 10], [50, 90]) = [3, 7.6]
    #[test]
    fn quantiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 10.0];
        let of = |share| quantile(&sorted, share).map(|quantile| quantile.value);
        assert_eq!(of(0.5), Some(3.0));
        assert!((of(0.9).expect("samples") - 7.6).abs() < 1e-12);
        assert_eq!(quantile(&[], 0.5), None);
    }

    // The median of n uniform values on [0, 1] has the standard deviation 1 / (2 sqrt(n)) for large n: 0.005 for 10000.
    #[test]
    fn the_uncertainty_of_a_median_is_that_of_order_statistics() {
        let sorted: Vec<f64> = (0..10_000).map(|place| f64::from(place) / 1e4).collect();
        let median = quantile(&sorted, 0.5).expect("samples");
        assert!((median.uncertainty - 0.005).abs() < 1e-4, "{median:?}");
    }

    #[test]
    fn a_long_ecdf_keeps_its_extremes() {
        let sorted: Vec<f64> = (0..100_000).map(f64::from).collect();
        let points = ecdf(&sorted);
        assert_eq!((points.len(), points[0].0, points[POINTS - 1]), (POINTS, 0.0, (99_999.0, 1.0)));
        assert_eq!(ecdf(&[1.0, 2.0]), [(1.0, 0.5), (2.0, 1.0)]);
    }
}

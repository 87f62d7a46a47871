//! How values are distributed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A distribution of values in one unit: of durations, s; of energies, J.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (n - 1); 0 for one value.
    pub standard_deviation: f64,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Distribution {
    /// Of at least one value; none of no values.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_deviation =
            if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        let at = |share| percentile(&values, share);
        Some(Self {
            count: values.len() as u64,
            mean,
            standard_deviation,
            min,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max,
        })
    }
}

/// Linear interpolation between order statistics: Hyndman and Fan's type 7, numpy's default.
/// `sorted` is not empty.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    // numpy.percentile([1, 2, 3, 4, 10], [50, 90, 99]) = [3, 7.6, 9.76]; numpy.std(ddof=1) = 3.5355
    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = Distribution::of(vec![10.0, 1.0, 4.0, 2.0, 3.0]).expect("values");
        assert!((values.p50 - 3.0).abs() < 1e-12);
        assert!((values.p90 - 7.6).abs() < 1e-12);
        assert!((values.p99 - 9.76).abs() < 1e-12);
        assert!((values.standard_deviation - 3.535_533_905_932_737_8).abs() < 1e-12);
        assert!(Distribution::of(vec![]).is_none());
    }
}

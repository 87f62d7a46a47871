//! The distribution of values, in memory that does not grow with their number.
//!
//! Count, mean, deviation and extremes are exact. Percentiles come from a histogram whose bucket width grows with the
//! value, like that of HdrHistogram: a bucket holds the values whose first 11 binary digits are the same.

use llem_quantity::quantile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The distribution of values in one unit, such as durations in s or energies in J.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Number of values.
    pub count: u64,
    /// Arithmetic mean of the values.
    pub mean: f64,
    /// Sample standard deviation (n - 1), which is 0 for one value.
    pub standard_deviation: f64,
    /// Smallest value.
    pub min: f64,
    /// Median value.
    pub p50: f64,
    /// 90th percentile of the values.
    pub p90: f64,
    /// 99th percentile of the values.
    pub p99: f64,
    /// Largest value.
    pub max: f64,
}

/// The number of binary digits, of the 52 stored ones, in which the values of one bucket may differ: all but 10. Values of
/// a bucket then differ by less than 2^-10, 0.1 %, and there are 1024 buckets from one power of two to the next.
const WITHIN_A_BUCKET: u32 = 42;

/// Collects values and keeps only their distribution.
///
/// ```
/// use llem_record::Samples;
///
/// let mut samples = Samples::default();
/// samples.extend([10.0, 1.0, 4.0, 2.0, 3.0]);
/// let seconds = samples.distribution().expect("there are values");
/// assert_eq!((seconds.count, seconds.mean, seconds.p50, seconds.max), (5, 4.0, 3.0, 10.0));
/// assert!((seconds.p90 - 7.6).abs() < 1e-9, "as numpy.percentile");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Samples {
    count: u64,
    sum: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
    buckets: BTreeMap<i64, Bucket>,
}

/// Values that are nearly equal.
#[derive(Clone, Debug, Default)]
struct Bucket {
    count: u64,
    mean: f64,
}

impl Samples {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let before = if self.count == 0 { value } else { self.mean() };
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.sum += value;
        // Welford, Technometrics 4 (1962).
        self.squares += (value - before) * (value - self.mean());
        let bucket = self.buckets.entry(bucket_of(value)).or_default();
        bucket.count += 1;
        bucket.mean += (value - bucket.mean) / bucket.count as f64;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Returns the distribution of all values, or `None` if there are none.
    pub fn distribution(&self) -> Option<Distribution> {
        let standard_deviation =
            if self.count > 1 { (self.squares / (self.count - 1) as f64).sqrt() } else { 0.0 };
        (self.count > 0).then(|| Distribution {
            count: self.count,
            mean: self.mean(),
            standard_deviation,
            min: self.min,
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            max: self.max,
        })
    }

    /// Returns a percentile of the values, or 0 if there are none.
    fn percentile(&self, share: f64) -> f64 {
        quantile(self.count as usize, share, |index| self.at(index as u64)).unwrap_or_default()
    }

    /// Returns the value at this index in ascending order, approximated by the mean of its bucket.
    fn at(&self, index: u64) -> f64 {
        let mut end = 0;
        let mut buckets = self.buckets.values();
        let found = buckets.find(|bucket| {
            end += bucket.count;
            index < end
        });
        found.map_or(self.max, |bucket| bucket.mean)
    }
}

impl Extend<f64> for Samples {
    fn extend<T: IntoIterator<Item = f64>>(&mut self, values: T) {
        values.into_iter().for_each(|value| self.add(value));
    }
}

/// Returns the number of a value's bucket. Buckets are numbered in the order of their values, with the same bit operation as
/// `f64::total_cmp`.
fn bucket_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    (bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()) >> WITHIN_A_BUCKET
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: impl IntoIterator<Item = f64>) -> Samples {
        let mut samples = Samples::default();
        samples.extend(values);
        samples
    }

    // numpy.percentile([1, 2, 3, 4, 10], [50, 90, 99]) = [3, 7.6, 9.76]; numpy.std(ddof=1) = 3.5355
    #[test]
    fn percentiles_are_those_of_numpy() {
        let values = samples([10.0, 1.0, 4.0, 2.0, 3.0]).distribution().expect("values");
        assert!((values.p50 - 3.0).abs() < 1e-12);
        assert!((values.p90 - 7.6).abs() < 1e-12);
        assert!((values.p99 - 9.76).abs() < 1e-12);
        assert!((values.standard_deviation - 3.535_533_905_932_737_8).abs() < 1e-12);
        assert!(Samples::default().distribution().is_none());
    }

    #[test]
    fn buckets_are_in_the_order_of_their_values() {
        let ordered = [-3.0, -2.0, -1e-9, 0.0, 1e-9, 2.0, 2.002, 3.0];
        assert!(ordered.map(bucket_of).is_sorted_by(|a, b| a < b));
        let values = samples(ordered).distribution().expect("values");
        assert_eq!((values.min, values.p50, values.max), (-3.0, 0.5e-9, 3.0));
    }

    /// A million distinct values from 1 ms to 1 s with evenly spaced logarithms, in a mixed order.
    #[test]
    fn many_values_take_the_memory_of_their_range_and_keep_three_digits() {
        const COUNT: u32 = 1_000_000;
        let value = |place: u32| 10f64.powf(-3.0 + 3.0 * f64::from(place) / f64::from(COUNT - 1));
        let mixed = (0..COUNT).map(|place| (u64::from(place) * 617_647 % u64::from(COUNT)) as u32);
        let samples = samples(mixed.map(value));
        let told = samples.distribution().expect("values");
        // 1 s is less than 10 powers of two above 1 ms.
        assert!(samples.buckets.len() <= 10 * 1024, "{}", samples.buckets.len());
        let exact = [(told.p50, 0.5), (told.p90, 0.9), (told.p99, 0.99)];
        for (told, share) in exact {
            let exact = 10f64.powf(-3.0 + 3.0 * share);
            assert!((told / exact - 1.0).abs() < 1e-3, "{told} for {exact}");
        }
        assert_eq!((told.count, told.min, told.max), (u64::from(COUNT), 1e-3, 1.0));
        let values: Vec<f64> = (0..COUNT).map(value).collect();
        let mean = values.iter().sum::<f64>() / f64::from(COUNT);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / f64::from(COUNT - 1)).sqrt();
        assert!((told.mean / mean - 1.0).abs() < 1e-9, "{told:?}");
        assert!((told.standard_deviation / deviation - 1.0).abs() < 1e-9, "{told:?}");
    }
}

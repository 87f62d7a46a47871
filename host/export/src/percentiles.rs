//! Percentiles of samples.

/// Samples in ascending order, at least one.
pub(crate) struct Percentiles {
    sorted: Vec<f64>,
}

impl Percentiles {
    /// Sorts samples. Returns `None` if there are none.
    pub(crate) fn new(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        (!samples.is_empty()).then_some(Self { sorted: samples })
    }

    /// Returns the number of samples.
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Returns the arithmetic mean.
    pub(crate) fn mean(&self) -> f64 {
        self.sorted.iter().sum::<f64>() / self.sorted.len() as f64
    }

    /// Returns the percentile of a share from 0 to 1, by linear interpolation between order statistics: numpy's default.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let position = share * (self.sorted.len() - 1) as f64;
        let [below, above] =
            [position.floor(), position.ceil()].map(|place| self.sorted[place as usize]);
        below + (above - below) * (position - position.floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // numpy.percentile([10, 1, 4, 2, 3], [50, 90, 95]) is [3, 7.6, 8.8].
    #[test]
    fn percentiles_are_numpys() {
        let of = Percentiles::new(vec![10.0, 1.0, 4.0, 2.0, 3.0]).expect("samples");
        assert_eq!((of.mean(), of.at(0.5), of.at(1.0)), (4.0, 3.0, 10.0));
        assert!((of.at(0.9) - 7.6).abs() < 1e-9 && (of.at(0.95) - 8.8).abs() < 1e-9);
    }
}

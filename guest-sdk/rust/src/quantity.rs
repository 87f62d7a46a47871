//! Arithmetic on quantities that keeps unit and uncertainty. First order, independent inputs
//! (JCGM 100:2008, GUM, 5.1.2).

use crate::bindings::{Metric, Quantity, Source};

impl Quantity {
    /// A value without uncertainty.
    pub fn exact(value: f64, unit: &str, source: Source) -> Self {
        Self { value, uncertainty: 0.0, unit: unit.to_owned(), source }
    }

    /// The mean of repeated values with the standard deviation of the mean (GUM 4.2.3). None of no
    /// values; one value alone has no known spread and is given without uncertainty.
    pub fn mean(values: &[f64], unit: &str) -> Option<Self> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let uncertainty =
            if values.len() > 1 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
        Some(Self { value: mean, uncertainty, unit: unit.to_owned(), source: Source::Derived })
    }

    /// The same of quantities in one unit; none where there is none or the units differ. The spread
    /// of the values says more than their own uncertainties, unless those are larger.
    pub fn mean_of(quantities: impl IntoIterator<Item = Self>) -> Option<Self> {
        let quantities: Vec<Self> = quantities.into_iter().collect();
        let unit = &quantities.first()?.unit;
        if quantities.iter().any(|quantity| quantity.unit != *unit) {
            return None;
        }
        let values: Vec<f64> = quantities.iter().map(|quantity| quantity.value).collect();
        let own = quantities.iter().fold(0.0, |sum: f64, quantity| sum.hypot(quantity.uncertainty));
        let mean = Self::mean(&values, unit)?;
        Some(Self { uncertainty: mean.uncertainty.max(own / values.len() as f64), ..mean })
    }

    /// `12.34 ± 0.56`: as many decimals as two digits of the uncertainty take.
    pub fn in_two_digits(&self) -> String {
        let (value, uncertainty) = (self.value, self.uncertainty);
        let decimals = match uncertainty > 0.0 {
            true => (1.0 - uncertainty.log10().floor()).clamp(0.0, 9.0) as usize,
            false => 1,
        };
        format!("{value:.decimals$} ± {uncertainty:.decimals$}")
    }

    /// The sum; none where the units differ.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        (self.unit == other.unit).then(|| Self {
            value: self.value + other.value,
            uncertainty: self.uncertainty.hypot(other.uncertainty),
            unit: self.unit.clone(),
            source: if self.source == other.source { self.source } else { Source::Derived },
        })
    }

    /// Divided by an exact number, in another unit; none where it is zero.
    pub fn per(&self, divisor: f64, unit: &str) -> Option<Self> {
        (divisor != 0.0).then(|| Self {
            value: self.value / divisor,
            uncertainty: (self.uncertainty / divisor).abs(),
            unit: unit.to_owned(),
            source: Source::Derived,
        })
    }

    /// As a metric of this name.
    pub fn named(self, name: &str) -> Metric {
        Metric { name: name.to_owned(), quantity: self, labels: Vec::new() }
    }
}

impl Metric {
    /// Adds a label.
    pub fn label(mut self, name: &str, value: impl Into<String>) -> Self {
        self.labels.push((name.to_owned(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_equal_values_is_certain() {
        let mean = Quantity::mean(&[2.0, 2.0, 2.0], "s").expect("values");
        assert_eq!((mean.value, mean.uncertainty), (2.0, 0.0));
        assert!(Quantity::mean(&[], "s").is_none());
    }

    // statistics.stdev([1, 2, 3, 4]) / 2 = 0.6454972243679028
    #[test]
    fn the_mean_of_unequal_values_is_not() {
        let mean = Quantity::mean(&[1.0, 2.0, 3.0, 4.0], "s").expect("values");
        assert!((mean.uncertainty - 0.645_497_224_367_902_8).abs() < 1e-12);
    }
}

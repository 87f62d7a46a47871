//! What energy means where it is drawn: carbon and cost.

use crate::quantity::{Quantity, Source};

const JOULES_PER_KWH: f64 = 3.6e6;

/// A grid and a building, as the experiment's author knows them.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Grams of CO2 equivalent per kWh, e.g. of Electricity Maps or of the IEA, for the place and time.
    pub intensity: Quantity,
    /// Power usage effectiveness (ISO/IEC 30134-2): energy of the building over that of its computers; at least 1.
    pub pue: Quantity,
    /// Price of a kWh, in its currency: `EUR`.
    pub price: Option<(Quantity, String)>,
}

impl Grid {
    /// Exact figures without a price: grams per kWh, and the building's PUE.
    pub fn new(grams_per_kwh: f64, pue: f64) -> Self {
        let given = |value, unit: &str| Quantity::exact(value, unit, Source::Modelled);
        Self { intensity: given(grams_per_kwh, "g/kWh"), pue: given(pue, "1"), price: None }
    }

    /// With a price per kWh.
    pub fn priced(mut self, price: f64, currency: &str) -> Self {
        let unit = format!("{currency}/kWh");
        self.price = Some((Quantity::exact(price, &unit, Source::Modelled), currency.to_owned()));
        self
    }

    /// Grams of CO2 equivalent for an energy in J. None for another unit.
    pub fn carbon(&self, energy: &Quantity) -> Option<Quantity> {
        Some(self.drawn(energy)?.times(&self.intensity, "g"))
    }

    /// Price of an energy in J. None for another unit, and without a price.
    pub fn cost(&self, energy: &Quantity) -> Option<Quantity> {
        let (price, currency) = self.price.as_ref()?;
        Some(self.drawn(energy)?.times(price, currency))
    }

    /// What the building draws for it, kWh.
    fn drawn(&self, energy: &Quantity) -> Option<Quantity> {
        let energy = Some(energy).filter(|energy| energy.unit == "J")?;
        Some(energy.per(JOULES_PER_KWH, "kWh")?.times(&self.pue, "kWh"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilowatt_hour_is_as_dirty_and_as_dear_as_the_grid_says() {
        let grid = Grid::new(400.0, 1.5).priced(0.3, "EUR");
        let energy = Quantity::new(3.6e6, 3.6e4, "J", Source::NvmlCounter);
        let carbon = grid.carbon(&energy).expect("joules");
        assert!((carbon.value - 600.0).abs() < 1e-9 && (carbon.uncertainty - 6.0).abs() < 1e-9);
        assert_eq!((carbon.unit.as_str(), carbon.source), ("g", Source::Modelled));
        let cost = grid.cost(&energy).expect("a price");
        assert!((cost.value - 0.45).abs() < 1e-12 && cost.unit == "EUR");
        assert!(grid.carbon(&Quantity::exact(1.0, "W", Source::Sensor)).is_none());
    }
}

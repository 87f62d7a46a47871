//! Carbon and cost of energy.

use crate::quantity::{Quantity, Source};

const JOULES_PER_KWH: f64 = 3.6e6;

/// The carbon intensity and price of electricity, and the overhead of the building, as the experiment's author states
/// them.
///
/// ```
/// use llem_sdk::{ElectricitySupply, Quantity, Source};
///
/// // 400 g/kWh, a PUE of 1.5, and 0.30 EUR/kWh.
/// let supply = ElectricitySupply::new(400.0, 1.5).with_price(0.3, "EUR");
/// let energy = Quantity::new(3.6e6, 3.6e4, "J", Source::NvmlCounter);
/// let carbon = supply.carbon(&energy).ok_or("the unit is not J")?;
/// assert_eq!((carbon.value.round(), carbon.uncertainty.round()), (600.0, 6.0));
/// let cost = supply.cost(&energy).ok_or("there is no price")?;
/// assert!((cost.value - 0.45).abs() < 1e-12);
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ElectricitySupply {
    /// The carbon intensity at this place and time, in grams of CO2 equivalent per kWh. Sources are, for example,
    /// Electricity Maps or the IEA.
    pub intensity: Quantity,
    /// Power usage effectiveness (ISO/IEC 30134-2): the energy of the building divided by the energy of its computers.
    /// At least 1.
    pub pue: Quantity,
    /// The price of a kWh, and its currency: `EUR`.
    pub price: Option<(Quantity, String)>,
}

impl ElectricitySupply {
    /// Creates a supply without a price, from exact numbers: the carbon intensity in g/kWh and the PUE.
    pub fn new(grams_per_kwh: f64, pue: f64) -> Self {
        let given = |value, unit: &str| Quantity::exact(value, unit, Source::Modelled);
        Self { intensity: given(grams_per_kwh, "g/kWh"), pue: given(pue, "1"), price: None }
    }

    /// Sets the price of a kWh.
    pub fn with_price(mut self, price: f64, currency: &str) -> Self {
        let unit = format!("{currency}/kWh");
        self.price = Some((Quantity::exact(price, &unit, Source::Modelled), currency.to_owned()));
        self
    }

    /// Returns the emissions of an energy, in grams of CO2 equivalent, or `None` if its unit is not `J`.
    pub fn carbon(&self, energy: &Quantity) -> Option<Quantity> {
        Some(self.building_energy(energy)?.times(&self.intensity, "g"))
    }

    /// Returns the cost of an energy, or `None` if its unit is not `J` or if there is no price.
    pub fn cost(&self, energy: &Quantity) -> Option<Quantity> {
        let (price, currency) = self.price.as_ref()?;
        Some(self.building_energy(energy)?.times(price, currency))
    }

    /// Returns the energy that the building draws for this energy of its computers, in kWh.
    fn building_energy(&self, energy: &Quantity) -> Option<Quantity> {
        let energy = Some(energy).filter(|energy| energy.unit == "J")?;
        Some(energy.per(JOULES_PER_KWH, "kWh")?.times(&self.pue, "kWh"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emissions_and_cost_follow_from_energy_pue_and_intensity() {
        let supply = ElectricitySupply::new(400.0, 1.5).with_price(0.3, "EUR");
        let energy = Quantity::new(3.6e6, 3.6e4, "J", Source::NvmlCounter);
        let carbon = supply.carbon(&energy).expect("joules");
        assert!((carbon.value - 600.0).abs() < 1e-9 && (carbon.uncertainty - 6.0).abs() < 1e-9);
        assert_eq!((carbon.unit.as_str(), carbon.source), ("g", Source::Modelled));
        let cost = supply.cost(&energy).expect("a price");
        assert!((cost.value - 0.45).abs() < 1e-12 && cost.unit == "EUR");
        assert!(supply.carbon(&Quantity::exact(1.0, "W", Source::Sensor)).is_none());
    }
}

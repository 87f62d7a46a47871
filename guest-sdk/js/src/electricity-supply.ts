/** Carbon and cost of energy. */

import { Quantity } from "./quantity.js";

const JOULES_PER_KWH = 3.6e6;

/** The price of a kWh. */
export interface Price {
  /** The price of a kWh in the currency. */
  readonly perKwh: number;
  /** The currency: `EUR`. */
  readonly currency: string;
}

/**
 * The carbon intensity and price of electricity, and the overhead of the building, as the experiment's author states
 * them.
 *
 * ```ts
 * // 400 g/kWh, a PUE of 1.5, and 0.30 EUR/kWh.
 * const supply = new ElectricitySupply(400, 1.5, { perKwh: 0.3, currency: "EUR" });
 * const carbon = supply.carbon(new Quantity(3.6e6, 3.6e4, "J", "nvml-counter")); // 600 ± 6 g
 * ```
 */
export class ElectricitySupply {
  /** The carbon intensity at this place and time, in grams of CO2 equivalent per kWh. */
  readonly intensity: Quantity;
  /**
   * Power usage effectiveness (ISO/IEC 30134-2): the energy of the building divided by the energy of its computers. At
   * least 1.
   */
  readonly pue: Quantity;
  /** The price of a kWh, if it is known. */
  readonly price: Price | undefined;

  /** Creates a supply from exact numbers: the carbon intensity in g/kWh, the PUE and the price. */
  constructor(gramsPerKwh: number, pue: number, price?: Price) {
    this.intensity = Quantity.exact(gramsPerKwh, "g/kWh", "modelled");
    this.pue = Quantity.exact(pue, "1", "modelled");
    this.price = price;
  }

  /** Returns the emissions of an energy, in grams of CO2 equivalent, or `undefined` if its unit is not `J`. */
  carbon(energy: Quantity): Quantity | undefined {
    return this.buildingEnergy(energy)?.times(this.intensity, "g");
  }

  /** Returns the cost of an energy, or `undefined` if its unit is not `J` or if there is no price. */
  cost(energy: Quantity): Quantity | undefined {
    if (this.price === undefined) return undefined;
    const { perKwh, currency } = this.price;
    return this.buildingEnergy(energy)?.times(Quantity.exact(perKwh, `${currency}/kWh`, "modelled"), currency);
  }

  /** Returns the energy that the building draws for this energy of its computers, in kWh. */
  private buildingEnergy(energy: Quantity): Quantity | undefined {
    if (energy.unit !== "J") return undefined;
    return energy.per(JOULES_PER_KWH, "kWh")?.times(this.pue, "kWh");
  }
}

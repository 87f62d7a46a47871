"""Carbon and cost of energy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .quantity import Quantity, Source

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class ElectricitySupply:
    """The carbon intensity and price of electricity, and the overhead of the building, as the author states them.

    >>> supply = ElectricitySupply.new(400.0, 1.5).with_price(0.3, "EUR")
    >>> energy = Quantity(3.6e6, 3.6e4, "J", Source.NVML_COUNTER)
    >>> round(supply.carbon(energy).value), round(supply.cost(energy).value, 12)
    (600, 0.45)
    """

    intensity: Quantity
    """The carbon intensity at this place and time, in grams of CO2 equivalent per kWh. Sources are, for example,
    Electricity Maps or the IEA."""
    pue: Quantity
    """Power usage effectiveness (ISO/IEC 30134-2): the energy of the building divided by the energy of its computers.
    At least 1."""
    price: tuple[Quantity, str] | None = None
    """The price of a kWh, and its currency: `EUR`."""

    @classmethod
    def new(cls, grams_per_kwh: float, pue: float) -> ElectricitySupply:
        """Creates a supply without a price, from exact numbers: the carbon intensity in g/kWh and the PUE."""
        return cls(Quantity.exact(grams_per_kwh, "g/kWh", Source.MODELLED), Quantity.exact(pue, "1", Source.MODELLED))

    def with_price(self, price: float, currency: str) -> ElectricitySupply:
        """Sets the price of a kWh."""
        return replace(self, price=(Quantity.exact(price, f"{currency}/kWh", Source.MODELLED), currency))

    def carbon(self, energy: Quantity) -> Quantity | None:
        """Returns the emissions of an energy, in grams of CO2 equivalent, or `None` if its unit is not `J`."""
        building = self._building_energy(energy)
        return None if building is None else building.times(self.intensity, "g")

    def cost(self, energy: Quantity) -> Quantity | None:
        """Returns the cost of an energy, or `None` if its unit is not `J` or if there is no price."""
        building = self._building_energy(energy)
        if building is None or self.price is None:
            return None
        price, currency = self.price
        return building.times(price, currency)

    def _building_energy(self, energy: Quantity) -> Quantity | None:
        """Returns the energy that the building draws for this energy of its computers, in kWh."""
        if energy.unit != "J":
            return None
        at_computers = energy.per(_JOULES_PER_KWH, "kWh")
        return None if at_computers is None else at_computers.times(self.pue, "kWh")

"""Cases of arithmetic on quantities.

Uncertainties of independent quantities are propagated by the package `uncertainties`. Those of a power model (source
`modelled`) are fully correlated, and are added here (GUM 5.2.2, note 1).
"""

import math
import warnings

import numpy
import scipy.stats
import uncertainties

# Exact quantities have no uncertainty, which the package warns about.
warnings.filterwarnings("ignore", message="Using UFloat objects with std_dev==0")

# The sources that a result keeps, the first of them first.
NOT_MEASURED = ["script", "simulated", "modelled"]


def quantity(value, uncertainty, unit, source):
    return {"value": value, "uncertainty": uncertainty, "unit": unit, "source": source}


def derived(*sources):
    return next((source for source in NOT_MEASURED if source in sources), "derived")


def number(of):
    return uncertainties.ufloat(of["value"], of["uncertainty"])


def result_of(made, unit, source):
    # A number without uncertainty makes `uncertainties` return a plain one.
    value, uncertainty = getattr(made, "nominal_value", made), getattr(made, "std_dev", 0.0)
    return quantity(float(value), float(uncertainty), unit, source)


def cases():
    energy = quantity(50.0, 1.25, "J", "nvml-counter")
    more = quantity(7.5, 0.5, "J", "rapl")
    same = quantity(12.0, 0.75, "J", "nvml-counter")
    modelled = quantity(30.0, 3.0, "J", "modelled")
    also_modelled = quantity(20.0, 1.5, "J", "modelled")
    simulated = quantity(4.0, 0.0, "J", "simulated")
    negative = quantity(-6.0, 0.25, "J", "derived")
    nothing = quantity(0.0, 0.1, "J", "sensor")
    time = quantity(2.5, 0.01, "s", "clock")
    stopped = quantity(0.0, 0.01, "s", "clock")
    claimed = quantity(3.0, 0.2, "s", "script")
    yield from sums(energy, more, same, modelled, also_modelled, simulated, negative, time)
    yield from products(energy, modelled, simulated, negative, nothing, time, stopped, claimed)
    yield from means(energy, more, same, modelled, also_modelled, simulated, time)


def sums(energy, more, same, modelled, also_modelled, simulated, negative, time):
    pairs = [(energy, more), (energy, same), (energy, modelled), (modelled, also_modelled), (energy, simulated),
             (simulated, simulated), (more, negative), (energy, time)]
    for first, second in pairs:
        for function, sign in (("plus", 1), ("minus", -1)):
            result = None
            if first["unit"] == second["unit"]:
                sources = [first["source"], second["source"]]
                # Two separate variables, even if both are the same quantity.
                made = number(first) + sign * number(second)
                result = result_of(made, "J", sources[0] if sources[0] == sources[1] else derived(*sources))
                if sources == ["modelled", "modelled"]:
                    result["uncertainty"] = first["uncertainty"] + second["uncertainty"]
            yield {"function": f"quantity.{function}", "arguments": {"first": first, "second": second},
                   "result": result}


def products(energy, modelled, simulated, negative, nothing, time, stopped, claimed):
    for first, second in [(energy, time), (modelled, time), (simulated, time), (negative, time), (nothing, time),
                          (simulated, claimed), (energy, stopped)]:
        source = derived(first["source"], second["source"])
        arguments = {"first": first, "second": second}
        yield {"function": "quantity.times", "arguments": {**arguments, "unit": "J.s"},
               "result": result_of(number(first) * number(second), "J.s", source)}
        result = None
        if second["value"] != 0.0:
            result = result_of(number(first) / number(second), "W", source)
        yield {"function": "quantity.over", "arguments": {**arguments, "unit": "W"}, "result": result}
    for first, divisor in [(energy, 20.0), (modelled, 7.0), (negative, -3.0), (energy, 0.0)]:
        result = None
        if divisor != 0.0:
            result = result_of(number(first) / divisor, "J/{token}", derived(first["source"]))
        yield {"function": "quantity.per", "arguments": {"first": first, "divisor": divisor, "unit": "J/{token}"},
               "result": result}


def means(energy, more, same, modelled, also_modelled, simulated, time):
    for values in ([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0], [5.5], []):
        result = None
        if values:
            error = float(scipy.stats.sem(values)) if len(values) > 1 else 0.0
            result = quantity(float(numpy.mean(values)), error, "s", "derived")
        yield {"function": "quantity.mean", "arguments": {"values": values, "unit": "s"}, "result": result}
    close = [quantity(10.0 + index / 8, 2.0, "J", "rapl") for index in range(4)]
    close_modelled = [quantity(10.0 + index / 8, 2.0, "J", "modelled") for index in range(4)]
    for quantities in ([energy, more, same], [modelled, also_modelled], close, close_modelled,
                       [simulated, simulated], [energy, simulated], [energy], [energy, time], []):
        result = None
        if quantities and len({each["unit"] for each in quantities}) == 1:
            values = [each["value"] for each in quantities]
            sources = [each["source"] for each in quantities]
            spread = float(scipy.stats.sem(values)) if len(values) > 1 else 0.0
            own = [each["uncertainty"] for each in quantities]
            propagated = (sum(own) if "modelled" in sources else math.hypot(*own)) / len(own)
            result = quantity(float(numpy.mean(values)), max(spread, propagated), "J", derived(*sources))
        yield {"function": "quantity.mean_of", "arguments": {"quantities": quantities}, "result": result}

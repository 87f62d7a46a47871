"""Cases of arithmetic on readings. An input that is unavailable makes the result unavailable, with its reason.

Where all are known, the results are those of quantities of the same name.
"""

from . import quantities

NONE = {"unavailable": "no counter can be read"}
OTHER = {"unavailable": "the window was too short"}
NOTHING = "there is no device"


def unavailable(reason):
    return {"unavailable": reason}


def cases():
    energy = quantities.quantity(50.0, 1.25, "J", "nvml-counter")
    more = quantities.quantity(7.5, 0.5, "J", "rapl")
    modelled = quantities.quantity(30.0, 3.0, "J", "modelled")
    time = quantities.quantity(2.5, 0.01, "s", "clock")
    stopped = quantities.quantity(0.0, 0.01, "s", "clock")
    known = {(case["function"].removeprefix("quantity."), repr(case["arguments"])): case["result"]
             for case in quantities.cases()}

    def case(name, result, **arguments):
        return {"function": f"reading.{name}", "arguments": arguments, "result": result}

    # Those that tests of quantities have, too.
    for first, second in [(energy, more), (modelled, modelled | {"value": 20.0, "uncertainty": 1.5})]:
        arguments = {"first": first, "second": second}
        for name in ("plus", "minus"):
            yield case(name, known[name, repr(arguments)], **arguments)
    for name, unit in (("times", "J.s"), ("over", "W")):
        arguments = {"first": energy, "second": time, "unit": unit}
        reference = known[name, repr(arguments)]
        yield case(name, reference, **arguments)
    yield case("per", known["per", repr({"first": energy, "divisor": 20.0, "unit": "J/{token}"})],
               first=energy, divisor=20.0, unit="J/{token}")
    yield case("scaled", quantities.result_of(quantities.number(energy) * 1e3, "mJ", "derived"),
               first=energy, factor=1e3, unit="mJ")
    yield case("scaled", quantities.result_of(quantities.number(modelled) * -0.5, "J", "modelled"),
               first=modelled, factor=-0.5, unit="J")

    # The first reason is kept.
    for first, second, reason in [(NONE, energy, NONE), (energy, NONE, NONE), (NONE, OTHER, NONE)]:
        yield case("plus", reason, first=first, second=second)
        yield case("minus", reason, first=first, second=second)
        yield case("times", reason, first=first, second=second, unit="J.s")
        yield case("over", reason, first=first, second=second, unit="W")
    yield case("per", NONE, first=NONE, divisor=0.0, unit="W")
    yield case("scaled", NONE, first=NONE, factor=2.0, unit="J")

    # What is not defined.
    yield case("plus", unavailable("J and s cannot be added"), first=energy, second=time)
    yield case("minus", unavailable("s cannot be subtracted from J"), first=energy, second=time)
    yield case("over", unavailable("the divisor is zero"), first=energy, second=stopped, unit="W")
    yield case("per", unavailable("the divisor is zero"), first=energy, divisor=0.0, unit="J/{token}")

    several = [energy, more, quantities.quantity(12.0, 0.75, "J", "nvml-counter")]
    total = sum(map(quantities.number, several))
    yield case("total", quantities.result_of(total, "J", "derived"), readings=several, otherwise=NOTHING)
    yield case("total", energy, readings=[energy], otherwise=NOTHING)
    mean = next(case["result"] for case in quantities.cases()
                if case["function"] == "quantity.mean_of" and case["arguments"]["quantities"] == several)
    yield case("mean", mean, readings=several, otherwise=NOTHING)
    for name, verb in (("total", "added"), ("mean", "averaged")):
        yield case(name, unavailable(NOTHING), readings=[], otherwise=NOTHING)
        yield case(name, NONE, readings=[energy, NONE, OTHER], otherwise=NOTHING)
        yield case(name, unavailable(f"J and s cannot be {verb}"), readings=[energy, time], otherwise=NOTHING)

"""Energies and memory of devices, times of steps, and ranges of parameters."""

from dataclasses import replace

import pytest
from fixtures import generation
from llem_sdk import Completion, DeviceEnergy, Domain, Error, Measurement, MemoryPeak, Quantity, Source, Unavailable
from llem_sdk.inputs import within
from llem_sdk.reading import value


def joules(number: float) -> Quantity:
    return Quantity(number, 0.5, "J", Source.RAPL)


MEASUREMENT = Measurement(
    "",
    0,
    1,
    energy=(
        DeviceEnergy("cpu", "package-0", joules(10.0)),
        DeviceEnergy("cpu", "package-1", joules(20.0)),
        DeviceEnergy("cpu", "dram-0", joules(3.0)),
        DeviceEnergy("cuda:0", "gpu", joules(100.0)),
        DeviceEnergy("cuda:1", "gpu", Unavailable("the window was too short")),
        DeviceEnergy("cuda:2", "gpu", joules(7.0)),
    ),
    energy_covers=tuple(
        Domain(device, domain)
        for device, domain in [
            ("cpu", "package-0"),
            ("cpu", "package-1"),
            ("cpu", "dram-0"),
            ("cuda:0", "gpu"),
            ("cuda:1", "gpu"),
        ]
    ),
    memory_peaks=(
        MemoryPeak("cpu", "process-resident", Quantity.exact(5e6, "By", Source.COUNTED)),
        MemoryPeak("cpu", "device", Quantity.exact(9e6, "By", Source.COUNTED)),
        MemoryPeak("cuda:0", "device", Quantity.exact(1e6, "By", Source.COUNTED)),
        MemoryPeak("cuda:1", "device", Quantity.exact(2e6, "By", Source.COUNTED)),
    ),
)


def test_energies_are_summed_over_the_domains_of_a_kind() -> None:
    assert value(MEASUREMENT.energy_of("cpu")) == 33.0
    assert value(MEASUREMENT.energy_of("cpu", "package")) == 30.0
    assert value(MEASUREMENT.energy_of("cpu", "package-1")) == 20.0
    assert value(MEASUREMENT.energy_of("cpu", "dram")) == 3.0
    assert value(MEASUREMENT.energy_of("cuda:0")) == 100.0


def test_an_energy_that_the_total_lacks_or_that_was_not_measured_is_unavailable() -> None:
    assert MEASUREMENT.energy_of("cuda") == Unavailable("the window was too short")
    assert MEASUREMENT.energy_of("cuda:2") == Unavailable("no energy of cuda:2 is part of the total")
    assert MEASUREMENT.energy_of("cpu", "pack") == Unavailable("no energy of cpu pack is part of the total")


def test_memory_peaks_are_summed_over_the_devices_of_a_kind() -> None:
    assert value(MEASUREMENT.memory_peak("process-resident")) == 5e6
    assert value(MEASUREMENT.memory_peak("device", "cuda")) == 3e6
    assert value(MEASUREMENT.memory_peak("device")) == 12e6
    reason = "no memory of the kind process-device cuda was read"
    assert MEASUREMENT.memory_peak("process-device", "cuda") == Unavailable(reason)


def test_a_step_is_over_when_its_last_sequence_has_its_token() -> None:
    completions = (
        Completion.from_token_times(10, [30, 45, 60]),
        Completion.from_token_times(11, [31, 44]),
    )
    assert replace(generation(5, 100), completions=completions).step_times() == [10, 31, 45, 60]
    assert replace(generation(5, 100), completions=()).step_times() == [5]


def test_a_number_out_of_its_range_is_refused_with_the_range() -> None:
    assert within("rounds", 3, 1, 3) == 3
    assert within("rate", 2.5, 0.0, None) == 2.5
    with pytest.raises(Error, match=r"rounds is 0: set it to 1 or more with -p rounds=NUMBER"):
        within("rounds", 0, 1, None)
    with pytest.raises(Error, match=r"share is 1.5: set it to a number from 0.0 to 1.0 with -p share=NUMBER"):
        within("share", 1.5, 0.0, 1.0)
    with pytest.raises(Error):
        within("rate", float("nan"), 0.0, None)

"""What an experiment measured, and what LLenergyMeasure derives from it: energy above rest, FLOPs, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latency import TokenTimes
from llem_sdk import Measurement, Model, Quantity, Reading, Source, Unavailable, facts
from llem_sdk.meter import Baseline
from llem_sdk.wait import NS
from warmup import WarmupResult


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of a batch."""

    time_ms: float
    """From its submission to its last token."""
    prompt_lengths: tuple[int, ...]
    output_lengths: tuple[int, ...]
    sequences: tuple[TokenTimes, ...]

    @property
    def padding(self) -> int:
        """The padding tokens that the tool's tokenizer would add to the shorter prompts."""
        return max(self.prompt_lengths) * len(self.prompt_lengths) - sum(self.prompt_lengths)

    @property
    def counted_output(self) -> int:
        """The output tokens as the tool counts them: the width of its output minus each prompt's own length.

        So padding before a shorter prompt counts as output, and so does what follows the end of a shorter answer.
        """
        return max(self.output_lengths) * len(self.output_lengths) + self.padding


@dataclass(frozen=True, slots=True)
class Experiment:
    """All that was measured."""

    model: Model
    baseline: Baseline | None
    warmup: WarmupResult | None
    batches: Sequence[Batch]
    batch_size: int
    load: Measurement
    measurement: Measurement
    samples: int
    """The samples of power in the window."""
    domains: int
    """The power domains that they are of."""

    @property
    def seconds(self) -> float:
        """The time of the window."""
        return self.measurement.wall_time * NS

    @property
    def input_tokens(self) -> int:
        """The tokens of all prompts."""
        return sum(sum(batch.prompt_lengths) for batch in self.batches)

    @property
    def output_tokens(self) -> int:
        """The output tokens as the tool counts them."""
        return sum(batch.counted_output for batch in self.batches)

    @property
    def generated_tokens(self) -> int:
        """The tokens that were generated."""
        return sum(sum(batch.output_lengths) for batch in self.batches)

    def baseline_power(self) -> Reading:
        """Returns the power at rest, in W, of what the energy covers."""
        if self.baseline is None:
            return Unavailable("no baseline was measured")
        covered = {(one.device, one.domain) for one in self.measurement.energy_covers}
        total: Reading = Unavailable("nothing that the energy covers has a baseline")
        for one in self.baseline.power:
            if (one.device, one.domain) in covered:
                if not one.power:
                    return one.power
                total = (total.plus(one.power) if total else one.power) or Unavailable("the units differ")
        return total

    def adjusted_energy(self) -> Reading:
        """Returns the energy above the power at rest, in J, and 0 where that is negative, as in the tool."""
        energy, power = self.measurement.energy_total, self.baseline_power()
        if not energy or not power:
            return power if energy else energy
        rest = power.times(Quantity.exact(self.seconds, "s", Source.CLOCK), "J")
        above = energy.minus(rest) or Unavailable("the units differ")
        return above if not above or above.value >= 0.0 else Quantity(0.0, above.uncertainty, "J", above.source)

    def accelerators(self) -> list[str]:
        """Returns the ids of the devices that worked and are not the CPU."""
        return [
            device for device in dict.fromkeys(one.device for one in self.measurement.energy_covers) if device != "cpu"
        ]

    def device_energies(self) -> list[float] | None:
        """Returns the energy of each accelerator, in J. `None` if there is none, or if one is not measured."""
        energies = [one.energy for one in self.measurement.energy if one.device in self.accelerators()]
        known = [one.value for one in energies if one]
        return known if known and len(known) == len(energies) else None


def flops(model: Model, tokens: int) -> float:
    """Returns two operations for each token and parameter whose name has no "embed" in it (`estimate_flops_palm`).

    Of a GPT-2 these are all parameters, because its embeddings are called `wte` and `wpe`. An attached adapter's
    parameters count.
    """
    info = model.info()
    parameters = info.parameters_without_embeddings
    if info.architecture.startswith("GPT2"):
        parameters = info.parameters
    adapters = sum(one.parameters for one in model.adapters()[:1] if not one.is_merged)
    return float(2 * (parameters + adapters) * tokens)


def warnings(of: Experiment) -> list[str]:
    """Returns the warnings under the tool's names (`collect_measurement_warnings`)."""
    found = []
    if of.seconds < 10.0:
        found.append(f"short_measurement_duration: {of.seconds:.1f} s, below 10 s: use more prompts or longer outputs")
    for device in of.accelerators():
        if facts.fact(f"{device.replace(':', '-')}-persistence") == "off":
            found.append(f"gpu_persistence_mode_off: {device}: its power state may change; run nvidia-smi -pm 1")
    for course in of.measurement.temperatures():
        if course.device in of.accelerators() and abs(course.last - course.first) > 10.0:
            drift = abs(course.last - course.first)
            found.append(f"thermal_drift_detected: {course.device}: {drift:.1f} C, above 10 C: rest longer")
    if of.measurement.energy_total and of.samples < 10 * max(of.domains, 1):
        found.append(
            "nvml_low_sample_count: fewer than 10 samples of power; the energy is a counter's, where there is one"
        )
    if not of.measurement.energy_total:
        found.append(f"energy_measurement_unavailable: {of.measurement.energy_total.reason}")
    energy = of.measurement.energy_total
    if energy and energy.source in (Source.SIMULATED, Source.MODELLED):
        found.append(f"{energy.source}: the energy was not measured")
    if of.output_tokens != of.generated_tokens:
        found.append(
            f"output_tokens: {of.output_tokens} with padding, as LLenergyMeasure counts a batch; "
            f"{of.generated_tokens} were generated"
        )
    return [*found, *of.measurement.warnings]

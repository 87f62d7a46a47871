"""Trials from equal temperatures, as `zeus.profile` runs them (`zeus/profile.py`).

    |<-- cooldown_duration -->|          |<-- measurement_duration -->|
    +---------- idle ---------+- warmup -+- iter, iter, ..., iter ----+      one trial

The number of iterations of a trial is fixed beforehand, from a calibrated length of one iteration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from llem_sdk import Phase, Reading, Window, devices, meter, reading, report, sleep_for
from llem_sdk.statistics import mean, standard_deviation
from llem_sdk.wait import NS
from zeus_monitor import ACCELERATOR, Measurement

MEASUREMENT_DURATION = "measurement_duration"
COOLDOWN_DURATION = "cooldown_duration"


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The result of one trial. Energies are in J, times in s and temperatures in Cel; `None` is not known."""

    energy: Reading
    """The energy of the window: of all GPUs or, on a machine without one, of all CPU packages."""
    total_time: float
    iterations: int
    temperature_before: float | None
    temperature_after: float | None

    @property
    def total_energy(self) -> float | None:
        """The value of `energy`."""
        return reading.value(self.energy)

    @property
    def energy_per_iter(self) -> float | None:
        """The energy of an iteration."""
        return None if self.total_energy is None else self.total_energy / self.iterations

    @property
    def time_per_iter(self) -> float:
        """The time of an iteration."""
        return self.total_time / self.iterations

    def as_report(self) -> dict[str, object]:
        """Returns the result with Zeus' fields, and the uncertainty of the energy, which Zeus does not have."""
        return {
            "energy_per_iter": self.energy_per_iter,
            "time_per_iter": self.time_per_iter,
            "total_energy": self.total_energy,
            "total_time": self.total_time,
            "iterations": self.iterations,
            "temperature_before": self.temperature_before,
            "temperature_after": self.temperature_after,
            "total_energy_uncertainty": self.energy.uncertainty if self.energy else None,
        }


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The trials of one setting. `is_valid` is true if their standard deviation is below the threshold."""

    measurement_duration: float
    cooldown_duration: float
    trials: tuple[TrialResult, ...]
    energy_mean: float | None
    energy_std: float | None
    avg_temperature_before: float | None
    avg_temperature_after: float | None
    avg_total_time: float | None
    avg_total_energy: float | None
    is_valid: bool | None

    @classmethod
    def of(cls, measurement: float, cooldown: float, trials: Sequence[TrialResult], threshold: float) -> SweepResult:
        """Computes the statistics of trials. The standard deviation is the sample's, and 0 for a single trial."""
        energies = _known([trial.energy_per_iter for trial in trials])
        std = None if energies is None else (standard_deviation(energies) or 0.0)
        return cls(
            measurement_duration=measurement,
            cooldown_duration=cooldown,
            trials=tuple(trials),
            energy_mean=_mean([trial.energy_per_iter for trial in trials]),
            energy_std=std,
            avg_temperature_before=_mean([trial.temperature_before for trial in trials]),
            avg_temperature_after=_mean([trial.temperature_after for trial in trials]),
            avg_total_time=_mean([trial.total_time for trial in trials]),
            avg_total_energy=_mean([trial.total_energy for trial in trials]),
            is_valid=None if std is None else std < threshold,
        )

    def as_report(self) -> dict[str, object]:
        """Returns the result with Zeus' fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"trials": [trial.as_report() for trial in self.trials]}


@dataclass(frozen=True, slots=True)
class SweepReport:
    """A sweep over one parameter, while the other is fixed."""

    sweep_param: tuple[str, tuple[float, ...]]
    fixed_param: tuple[str, float]
    entries: tuple[SweepResult, ...]

    def as_report(self) -> dict[str, object]:
        """Returns the sweep with Zeus' fields."""
        entries = [entry.as_report() for entry in self.entries]
        return {"sweep_param": self.sweep_param, "fixed_param": self.fixed_param, "entries": entries}


@dataclass(frozen=True, slots=True)
class Profiler:
    """How trials are run. The defaults of the counts are Zeus'."""

    work: Callable[[], object]
    """One iteration."""
    num_trials: int = 10
    num_warmup_trials: int = 2
    trial_stddev_threshold: float = 0.01
    """The standard deviation of `energy_per_iter` below which trials are valid, in J."""
    num_warmup_iterations: int = 10
    num_calibration_iterations: int = 100

    def measure(self, measurement: float, cooldown: float) -> TrialResult:
        """Runs one trial."""
        return self._trial(measurement, cooldown, self.num_warmup_iterations, self._calibrate())

    def profile_measurement_duration(self, measurements: Sequence[float], cooldown: float) -> SweepReport:
        """Sweeps over measurement durations."""
        iteration = self._calibrate()
        self._warmup_trials(max(measurements), iteration)
        return self._sweep(MEASUREMENT_DURATION, measurements, cooldown, iteration)

    def profile_cooldown_duration(self, cooldowns: Sequence[float], measurement: float) -> SweepReport:
        """Sweeps over cooldown durations."""
        iteration = self._calibrate()
        self._warmup_trials(measurement, iteration)
        return self._sweep(COOLDOWN_DURATION, cooldowns, measurement, iteration)

    def profile_parameters(
        self, measurements: Sequence[float], cooldowns: Sequence[float]
    ) -> tuple[SweepReport, SweepReport]:
        """Sweeps over both, each with the longest of the other. Only the first sweep has warm-up trials."""
        iteration = self._calibrate()
        self._warmup_trials(max(measurements), iteration)
        return (
            self._sweep(MEASUREMENT_DURATION, measurements, max(cooldowns), iteration),
            self._sweep(COOLDOWN_DURATION, cooldowns, max(measurements), iteration),
        )

    def _calibrate(self) -> float:
        """Returns the mean length of an iteration, in s, after a warm-up."""
        with Phase("warmup"):
            for _ in range(self.num_warmup_iterations):
                self.work()
        with Phase("calibration"):
            began = meter.now()
            for _ in range(self.num_calibration_iterations):
                self.work()
            return (meter.now() - began) * NS / self.num_calibration_iterations

    def _warmup_trials(self, measurement: float, iteration: float) -> None:
        """Runs trials without cooldown and warm-up, whose results are not used."""
        with Phase("warmup"):
            for _ in range(self.num_warmup_trials):
                self._trial(measurement, cooldown=0.0, warmup_iterations=0, iteration=iteration)

    def _sweep(self, name: str, values: Sequence[float], fixed: float, iteration: float) -> SweepReport:
        is_cooldown = name == COOLDOWN_DURATION
        entries = []
        for number, value in enumerate(values):
            measurement, cooldown = (fixed, value) if is_cooldown else (value, fixed)
            trials = []
            for trial in range(self.num_trials):
                trials.append(self._trial(measurement, cooldown, self.num_warmup_iterations, iteration))
                report.show_progress(number * self.num_trials + trial + 1, len(values) * self.num_trials, name)
            entries.append(SweepResult.of(measurement, cooldown, trials, self.trial_stddev_threshold))
        other = MEASUREMENT_DURATION if is_cooldown else COOLDOWN_DURATION
        return SweepReport((name, tuple(values)), (other, fixed), tuple(entries))

    def _trial(self, measurement: float, cooldown: float, warmup_iterations: int, iteration: float) -> TrialResult:
        iterations = max(1, math.ceil(measurement / iteration))
        with Phase("cooldown"):
            if cooldown > 0.0:
                sleep_for(cooldown)
        with Phase("warmup"):
            for _ in range(warmup_iterations):
                self.work()
        with Phase("trial"):
            before = _mean_temperature()
            with Window("trial") as window:
                for _ in range(iterations):
                    self.work()
            after = _mean_temperature()
        result = Measurement.of(window.measurement)
        return TrialResult(
            energy=result.total_energy if result.gpu_energy else result.total_cpu_energy,
            total_time=result.time,
            iterations=iterations,
            temperature_before=before,
            temperature_after=after,
        )


def _mean_temperature() -> float | None:
    """Returns the mean temperature of all GPUs, or that of the CPU if there is none. `None` if it cannot be read."""
    ids = [device.id for device in devices.list_devices()]
    gpus = [id for id in ids if id.startswith(ACCELERATOR)]
    return _mean([reading.value(devices.read_state(id).temperature) for id in gpus or ids])


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return None if known is None else mean(known)


def _known(values: Sequence[float | None]) -> list[float] | None:
    """Returns the values, or `None` if one of them is not known or if there are none."""
    known = [value for value in values if value is not None]
    return known if known and len(known) == len(values) else None

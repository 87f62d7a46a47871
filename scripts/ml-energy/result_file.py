"""The benchmark's result file (`results.json`), its fields in its order, and the metrics that are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from energies import WindowEnergy, of_tokens, per_token
from latencies import RequestTimes, latency_metrics, mean_gap_ms
from llem_sdk import Completion, Metric, Model, Quantity, Reading, Source, Unavailable
from llem_sdk import facts, reading
from llem_sdk.statistics import mean
from llem_sdk.wait import NS
from steady_state import Served
from workload import SampleRequest


class Counts(Protocol):
    """The tokens of a load."""

    steady_tokens: int
    generated_tokens: int


INTERRUPTED = ("interrupted", "cancelled")
"""Why a sequence ended, if it is no success."""

NO_TOKENS = Unavailable("no token was generated in the steady state: it needs more requests than max_num_seqs + 1")


@dataclass(frozen=True, slots=True)
class Energies:
    """The energies of one kind of device, in J and J/{token}."""

    steady: Reading
    steady_per_token: Reading
    entire: Reading
    entire_per_token: Reading
    average_per_generation: Reading
    """The mean over requests of what their output took, at the steady state's energy per token."""

    @classmethod
    def of(cls, steady: Reading, entire: Reading, served: Counts, mean_output: float) -> Energies:
        each = per_token(steady, served.steady_tokens) if served.steady_tokens else (steady and NO_TOKENS)
        return cls(steady, each, entire, per_token(entire, served.generated_tokens), of_tokens(each, mean_output))

    def metrics(self, infix: str) -> Iterator[Metric]:
        """Returns the known energies as metrics. `infix` is empty for the GPUs, which the benchmark means."""
        for name, energy in (
            (f"steady_state_{infix}energy", self.steady),
            (f"steady_state_{infix}energy_per_token", self.steady_per_token),
            (f"entire_benchmark_{infix}energy", self.entire),
            (f"entire_benchmark_{infix}energy_per_token", self.entire_per_token),
            (f"average_{infix}energy_per_generation", self.average_per_generation),
        ):
            if energy:
                yield energy.into_metric(name)


class Results:
    """What a load measured, under the benchmark's names."""

    def __init__(self, served: Served, samples: Sequence[SampleRequest]) -> None:
        self.served, self.samples = served, samples
        self.entire, self.steady = WindowEnergy.of(served.entire), WindowEnergy.of(served.steady)
        self.lengths = [_length(one) for one in served.completions]
        completed = [one for one in served.completions if isinstance(one, Completion) and _length(one)]
        self.times = [RequestTimes.of(one) for one in completed]
        mean_output = sum(self.lengths) / len(self.times) if self.times else 0.0
        self.gpu = Energies.of(self.steady.gpu, self.entire.gpu, served, mean_output)
        self.cpu = Energies.of(self.steady.cpu, self.entire.cpu, served, mean_output)

    @property
    def completed(self) -> int:
        """The number of requests that have an output."""
        return len(self.times)

    @property
    def no_energy(self) -> str | None:
        """Why the benchmark's energies are missing, or `None` if they are not."""
        return None if self.gpu.steady_per_token else self.gpu.steady_per_token.reason

    def rates(self) -> dict[str, float]:
        """Returns the throughputs over the whole run, in 1/s."""
        output, duration = sum(self.lengths), self.entire.time
        prompt = self._input_tokens()
        return {
            "request_throughput": self.completed / duration,
            "output_throughput": output / duration,
            "total_token_throughput": (prompt + output) / duration,
        }

    def as_file(self, model: Model, setup: Mapping[str, object]) -> dict[str, Any]:
        """Returns the content of `results.json`. `setup` is what the parameters decide."""
        served = self.served
        return {
            "date": facts.run_began().strftime("%Y%m%d-%H%M%S"),
            **_identity(model, setup),
            "duration": self.entire.time,
            "completed": self.completed,
            "steady_state_duration": self.steady.time,
            "steady_state_energy": reading.value(self.gpu.steady),
            "steady_state_energy_per_token": reading.value(self.gpu.steady_per_token),
            "total_input_tokens": self._input_tokens(),
            "total_output_tokens": sum(self.lengths),
            **self.rates(),
            "steady_state_measurement": self.steady.as_zeus(),
            "entire_benchmark_measurement": self.entire.as_zeus(),
            "timeline": self._timeline(),
            **dict(latency_metrics(self.times)),
            "llem": self._additions(),
            "results": [
                self._result(one, length, sample)
                for one, length, sample in zip(served.completions, self.lengths, self.samples, strict=True)
            ],
        }

    def metrics(self) -> Iterator[Metric]:
        """Returns all metrics: energies, durations, throughputs, latencies, and what the server was busy with."""
        yield from self.gpu.metrics("")
        yield from self.cpu.metrics("cpu_")
        if power := self.gpu.steady and self.gpu.steady.per(self.steady.time, "W"):
            yield power.into_metric("steady_state_average_power")
        counts = {"duration": (self.entire.time, "s"), "steady_state_duration": (self.steady.time, "s")}
        counts |= {"completed": (float(self.completed), "1")}
        units = {"request_throughput": "{request}/s"}
        counts |= {name: (rate, units.get(name, "{token}/s")) for name, rate in self.rates().items()}
        counts |= {name: (value, "ms") for name, value in latency_metrics(self.times)}
        if gap := mean_gap_ms(self.times):
            counts["mean_token_gap_ms"] = (gap, "ms")
        means = self.served.occupancy.means()
        for name, key in (("num_requests_running", "num_requests_running"), ("kv_cache_usage", "kv_cache_usage_perc")):
            if f"vllm:{key}" in means:
                counts[f"steady_state_{name}"] = (means[f"vllm:{key}"], "1")
        for name, (value, unit) in counts.items():
            yield Quantity.exact(value, unit, Source.DERIVED).into_metric(name)

    def _input_tokens(self) -> int:
        """Returns the prompt tokens of the requests that were completed."""
        return sum(sample.length for sample, length in zip(self.samples, self.lengths, strict=True) if length)

    def _result(self, outcome: Completion | str, length: int, sample: SampleRequest) -> dict[str, object]:
        times = RequestTimes.of(outcome) if isinstance(outcome, Completion) and length else None
        return {
            "prompt": sample.text,
            "output_text": outcome.text if isinstance(outcome, Completion) else "",
            "reasoning_output_text": "",
            "input_len": sample.length,
            "output_len": length,
            "dataset_output_len": sample.expected_output_len,
            "latency": times.latency if times else 0.0,
            "ttft": times.ttft if times else 0.0,
            "itl": times.itl if times else [],
            "success": times is not None,
            "error": "" if times else _failure(outcome),
            "energy": reading.value(of_tokens(self.gpu.steady_per_token, float(length))),
            "cpu_energy": reading.value(of_tokens(self.cpu.steady_per_token, float(length))),
        }

    def _timeline(self) -> dict[str, object]:
        """Returns times in s since 1970 and the power. Temperatures are those at both ends, which the host keeps."""
        began = facts.run_began().timestamp()
        entire, steady = self.served.entire, self.served.steady
        ends = {"benchmark": entire, "steady_state": steady}
        times: dict[str, object] = {}
        for name, window in ends.items():
            times[f"{name}_start_time"] = began + window.started * NS
            times[f"{name}_end_time"] = began + (window.started + window.wall_time) * NS
        power = {
            str(gpu): [[began + at, watts] for at, watts in readings]
            for gpu, readings in self.served.power.readings.items()
        }
        first, last = times["benchmark_start_time"], times["benchmark_end_time"]
        temperature = {
            str(gpu): [[first, course.first], [last, course.last]] for gpu, course in self.entire.temperatures.items()
        }
        kinds = {"device_instant": power, "device_average": {}, "memory_average": {}}
        return {**times, "power": kinds, "temperature": temperature}

    def _additions(self) -> dict[str, object]:
        """Returns what the benchmark's file does not have: the CPU, uncertainties, reasons."""
        energies = {"steady_state": self.cpu.steady, "steady_state_per_token": self.cpu.steady_per_token}
        energies |= {"entire_benchmark": self.cpu.entire, "entire_benchmark_per_token": self.cpu.entire_per_token}
        return {
            "cpu_energy": {name: reading.value(energy) for name, energy in energies.items()},
            "cpu_energy_missing": None if self.cpu.steady else self.cpu.steady.reason,
            "gpu_energy_missing": self.no_energy,
            "steady_state_energy_uncertainty": self.gpu.steady.uncertainty if self.gpu.steady else None,
            "steady_state_tokens": self.served.steady_tokens,
            "counted_tokens": self.served.generated_tokens,
            "mean_token_gap_ms": mean_gap_ms(self.times),
            "mean_output_len": mean([float(length) for length in self.lengths]),
            "temperature_range": {
                str(gpu): [course.min, course.max] for gpu, course in self.entire.temperatures.items()
            },
        }


def _identity(model: Model, setup: Mapping[str, object]) -> dict[str, object]:
    """Returns the fields that say what was measured, in the file's order."""
    info = model.info()
    gpus = sorted({rank.device for rank in info.ranks if "cuda" in rank.device})
    name = facts.fact(f"{gpus[0].replace(':', '-')}-name") if gpus else None
    fields = {**setup, "model_id": info.source, "gpu_model": name, "num_gpus": len(gpus)}
    order = ["endpoint_type", "model_id", "seed", "num_unique_prompts", "num_prompts", "num_request_repeats"]
    order += [
        "gpu_model",
        "num_gpus",
        "max_num_seqs",
        "max_num_batched_tokens",
        "request_rate",
        "burstiness",
        "max_concurrency",
    ]
    return {key: fields[key] for key in (*order, "max_output_tokens")}


def _length(outcome: Completion | str) -> int:
    """Returns the tokens of an output, or 0 if the request failed."""
    if isinstance(outcome, str) or str(outcome.finish) in INTERRUPTED:
        return 0
    return len(outcome.tokens)


def _failure(outcome: Completion | str) -> str:
    return outcome if isinstance(outcome, str) else f"no output: {outcome.finish}"

"""optimum-benchmark's scenario `inference` for the task text-generation, with llem as the backend.

    load_model -> full -> first_generate (full) -> 2 tokens, warmup_runs times -> latency -> memory -> energy

Each arrow leads to runs of their own: latency, memory and energy never share one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import llem_sdk
from benchmark_report import TargetMeasurements, write
from energy import Efficiency, Energy, Memory
from latency import GenerationTimes, Latency, Throughput, per_token
from llem_sdk import About, Error, Metric, Model, Phase, Quantity, Random, Request, Source, TokensPrompt, Window
from llem_sdk import facts, meter, parameter, parameter_within, report, seed
from llem_sdk.statistics import percentile
from llem_sdk.wait import NS, nanoseconds

TARGETS = ("load_model", "first_generate", "generate", "prefill", "decode")


def about() -> About:
    return (
        About("optimum-benchmark", "0.1.0", "optimum-benchmark's inference scenario for text generation")
        .integer("batch-size", 2, "sequences of a batch (input_shapes.batch_size)")
        .integer("sequence-length", 16, "prompt tokens of a sequence (input_shapes.sequence_length)")
        .integer("max-new-tokens", 100, "tokens generated for a sequence (generate_kwargs.max_new_tokens)")
        .integer("warmup-runs", 10, "warm-up runs of two tokens; 0 means no warm-up and no first_generate")
        .integer("iterations", 10, "fewest runs of a series; 0 means that only the duration counts")
        .number("duration", 10.0, "shortest series, in seconds; 0 means that only the iterations count")
        .boolean("latency", True, "whether latencies and throughputs are measured")
        .boolean("memory", False, "whether the highest memory use is measured")
        .boolean("energy", False, "whether energy and efficiency are measured")
        .boolean("per-token", True, "whether token times are used, as with the tool's PyTorch backend")
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """The parameters of the run under the tool's names."""

    batch_size: int
    sequence_length: int
    max_new_tokens: int
    warmup_runs: int
    iterations: int
    duration: float
    latency: bool
    memory: bool
    energy: bool
    per_token: bool

    @classmethod
    def from_parameters(cls) -> Scenario:
        """Reads and checks the parameters."""
        scenario = cls(
            batch_size=parameter_within("batch-size", int, 1),
            sequence_length=parameter_within("sequence-length", int, 1),
            max_new_tokens=parameter_within("max-new-tokens", int, 1),
            warmup_runs=parameter_within("warmup-runs", int, 0),
            iterations=parameter_within("iterations", int, 0),
            duration=parameter_within("duration", float, 0.0),
            latency=parameter("latency", bool),
            memory=parameter("memory", bool),
            energy=parameter("energy", bool),
            per_token=parameter("per-token", bool),
        )
        if scenario.iterations == 0 and scenario.duration == 0.0:
            raise Error.invalid_argument("iterations and duration are both 0: set one of them above 0")
        return scenario

    @property
    def decode_volume(self) -> int:
        """The tokens that the decode of a batch generates: all but the first of each sequence."""
        return self.batch_size * (self.max_new_tokens - 1)

    def as_config(self, model: Model) -> dict[str, object]:
        """Returns the content of `benchmark_config.json`, with llem as the backend."""
        tracked = {name: getattr(self, name) for name in ("latency", "memory", "energy")}
        lengths = {"max_new_tokens": self.max_new_tokens, "min_new_tokens": self.max_new_tokens}
        info = model.info()
        return {
            "name": "llem",
            "backend": {
                "name": "llem",
                "version": facts.fact("llem-version"),
                "task": "text-generation",
                "model": info.source,
                "device": info.device,
                "torch_dtype": str(info.dtype),
                "seed": seed(),
            },
            "scenario": {
                "name": "inference",
                "iterations": self.iterations,
                "duration": self.duration,
                "warmup_runs": self.warmup_runs,
                "input_shapes": {"batch_size": self.batch_size, "sequence_length": self.sequence_length},
                **tracked,
                "generate_kwargs": {"num_return_sequences": 1, **lengths, "do_sample": False, "num_beams": 1},
            },
            "environment": facts.list_facts(),
        }


class Inference:
    """The scenario: what it has measured so far, and the model that it measures."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.targets = {target: TargetMeasurements() for target in TARGETS}
        if scenario.per_token:
            self.targets["per_token"] = TargetMeasurements()
        self.model = self._load()
        self.inputs = self._inputs()

    def _load(self) -> Model:
        with Phase("load_model"), Window("load_model") as window:
            model = Model.load_granted()
        load_time = model.info().load_time * NS
        self._track("load_model", load_time, window)
        return model

    def _inputs(self) -> tuple[TokensPrompt, ...]:
        """Draws the prompts of the batch, which every run uses: each token has the same probability."""
        scenario, random = self.scenario, Random("input_ids")
        vocabulary = self.model.info().vocab_size
        return tuple(
            TokensPrompt.random(random, vocabulary, scenario.sequence_length) for _ in range(scenario.batch_size)
        )

    def run(self) -> None:
        """Runs what the scenario asks for, in the tool's order."""
        scenario = self.scenario
        if scenario.warmup_runs > 0:
            self._warm_up()
        if scenario.latency:
            self._latency_by_token() if scenario.per_token else self._latency_by_series()
        if scenario.memory:
            self._memory()
        if scenario.energy:
            self._energy()
        write(scenario.as_config(self.model), self.targets)

    def _generate(self, label: str, new_tokens: int | None = None) -> GenerationTimes:
        """Generates for the whole batch. Tokens that would end a sequence are never chosen (`min_new_tokens`)."""
        count = self.scenario.max_new_tokens if new_tokens is None else new_tokens
        request = Request.from_prompts(self.inputs, label=label, max_new_tokens=count, min_new_tokens=count)
        return GenerationTimes.of(self.model.generate(request))

    def _warm_up(self) -> None:
        with Phase("warmup"):
            self._generate("generate")
            with Window("first_generate") as window:
                first = self._generate("first_generate")
            self._track("first_generate", first.generate, window)
            for _ in range(self.scenario.warmup_runs):
                self._generate("warmup", new_tokens=2)

    def _track(self, target: str, seconds: float, window: Window) -> None:
        """Records a target that runs once, with everything that is tracked."""
        scenario, measured = self.scenario, self.targets[target]
        measured.latency = Latency.from_values([seconds]) if scenario.latency else None
        measured.memory = Memory.of(window.measurement) if scenario.memory else None
        measured.energy = Energy.of(window.measurement) if scenario.energy else None

    def _series(self, label: str, work: Callable[[], GenerationTimes]) -> list[GenerationTimes]:
        """Repeats a run until both the duration and the iterations are reached. Both are looked at before each run."""
        scenario, began = self.scenario, meter.now()
        runs: list[GenerationTimes] = []
        while meter.now() - began < nanoseconds(scenario.duration) or len(runs) < scenario.iterations:
            runs.append(work())
            report.show_progress(len(runs), 0, label)
        return runs

    def _latency_by_token(self) -> None:
        with Phase("latency"):
            runs = self._series("generate", lambda: self._generate("generate"))
        targets = self.targets
        targets["generate"].latency = Latency.from_values([run.generate for run in runs])
        targets["prefill"].latency = Latency.from_values([run.prefill for run in runs])
        targets["decode"].latency = Latency.from_values([run.decode for run in runs])
        targets["per_token"].latency = per_token(runs)
        self._throughputs(generate_volume=self.scenario.decode_volume)
        gaps = [gap for run in runs for gap in run.gaps]
        if mean := Quantity.mean(gaps, "s"):
            report.add_metric(mean.into_metric("itl_mean"))
        for p in (50, 90, 95, 99):
            if (value := percentile(gaps, p)) is not None:
                report.add_metric(Metric(f"itl_p{p}", Quantity.exact(value, "s", Source.DERIVED)))

    def _latency_by_series(self) -> None:
        with Phase("latency"):
            prefills = self._series("prefill", lambda: self._generate("prefill", new_tokens=1))
            generates = self._series("generate", lambda: self._generate("generate"))
        targets = self.targets
        prefill = targets["prefill"].latency = Latency.from_values([run.generate for run in prefills])
        generate = targets["generate"].latency = Latency.from_values([run.generate for run in generates])
        decode = generate - prefill
        if min(decode.values) < 0.0:
            raise Error.failed("a generate run took less time than the mean prefill run: raise max-new-tokens")
        targets["decode"].latency = decode
        self._throughputs(generate_volume=self.scenario.batch_size)

    def _throughputs(self, generate_volume: int) -> None:
        volumes = {
            "generate": (generate_volume, "samples/s"),
            "prefill": (self.scenario.batch_size, "samples/s"),
            "decode": (self.scenario.decode_volume, "tokens/s"),
        }
        for target, (volume, unit) in volumes.items():
            measured = self.targets[target]
            if measured.latency:
                measured.throughput = Throughput.from_latency(measured.latency, volume, unit)

    def _memory(self) -> None:
        with Phase("memory"):
            with Window("prefill") as window:
                self._generate("prefill", new_tokens=1)
            self.targets["prefill"].memory = Memory.of(window.measurement)
            with Window("generate") as window:
                self._generate("generate")
            self.targets["generate"].memory = self.targets["decode"].memory = Memory.of(window.measurement)

    def _energy(self) -> None:
        scenario, targets = self.scenario, self.targets

        def mean_energy(label: str, new_tokens: int) -> Energy:
            with Window(label) as window:
                runs = self._series(label, lambda: self._generate(label, new_tokens=new_tokens))
            return Energy.of(window.measurement) / len(runs)

        with Phase("energy"):
            prefill = mean_energy("prefill", 1)
            generate = mean_energy("generate", scenario.max_new_tokens)
        for target, energy, volume, unit in (
            ("prefill", prefill, scenario.batch_size, "samples/kWh"),
            ("generate", generate, scenario.batch_size, "samples/kWh"),
            ("decode", generate - prefill, scenario.decode_volume, "tokens/kWh"),
        ):
            targets[target].energy = energy
            targets[target].efficiency = Efficiency.from_energy(energy, volume, unit)


def run() -> None:
    Inference(Scenario.from_parameters()).run()


llem_sdk.experiment(about, run)

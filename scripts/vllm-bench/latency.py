"""`vllm bench latency`: one batch, again and again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import results
from llem_sdk import Generation, Model, Phase, Quantity, Random, Request, Sampling, TokensPrompt, Window
from llem_sdk import parameter_within, report
from llem_sdk.statistics import percentile, population_standard_deviation
from llem_sdk.wait import NS
from options import model_id

HIGHEST_TOKEN = 10_000
"""Token ids of prompts are below this, as in the tool, or below the vocabulary's size if that is smaller."""

PERCENTAGES = (10, 25, 50, 75, 90, 99)


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latencies of iterations and their statistics, in s."""

    values: tuple[float, ...]

    @property
    def average(self) -> float:
        """The mean."""
        return math.fsum(self.values) / len(self.values)

    @property
    def std(self) -> float:
        """The standard deviation of the population."""
        return population_standard_deviation(self.values) or 0.0

    @property
    def percentiles(self) -> dict[str, float]:
        """The percentiles by their numbers."""
        return {str(p): percentile(self.values, p) or 0.0 for p in PERCENTAGES}

    def lines(self) -> list[str]:
        """Returns the lines that the tool prints."""
        average = [f"Avg latency: {self.average} seconds", f"Std latency: {self.std} seconds"]
        return average + [f"{p}% percentile latency: {value} seconds" for p, value in self.percentiles.items()]


def latency_of(generation: Generation) -> float:
    """Returns the time from the submission of a batch to its last token, in s."""
    completions = generation.completions
    last = max(completion.token_times[-1] for completion in completions)
    return (last - min(completion.submitted for completion in completions)) * NS


def run(model: Model) -> None:
    """Runs the benchmark, as the parameters say. Warm-up iterations are the same as measured ones."""
    input_len, output_len = parameter_within("input-len", int, 0) or 32, parameter_within("output-len", int, 0) or 128
    batch = parameter_within("batch-size", int, 1)
    warmups, iterations = parameter_within("num-iters-warmup", int, 0), parameter_within("num-iters", int, 1)
    request = Request.from_prompts(
        _prompts(model, batch, input_len),
        label="latency",
        max_new_tokens=output_len,
        ignore_eos=True,
        sampling=Sampling(temperature=1.0),
    )
    with Phase("warmup"):
        for done in range(warmups):
            model.generate(request)
            report.show_progress(done + 1, warmups, "warm-up iterations")
    values = []
    with Phase("benchmark"), Window("latency") as window:
        for done in range(iterations):
            values.append(latency_of(model.generate(request)))
            report.show_progress(done + 1, iterations, "iterations")
    latencies = Latencies(tuple(values))
    print("\n".join(latencies.lines()))
    energy, tokens = window.measurement.energy_total, batch * output_len * iterations
    _report(latencies)
    results.report_energy(energy, tokens, {})
    result: dict[str, object] = {
        "model_id": model_id(model),
        "avg_latency": latencies.average,
        "std_latency": latencies.std,
        "latencies": values,
        "percentiles": latencies.percentiles,
    }
    results.write_json("latency.json", result | results.energy_fields(energy, tokens), indent=4)


def _prompts(model: Model, batch: int, length: int) -> Sequence[TokensPrompt]:
    """Draws the prompts, which all iterations use."""
    random, highest = Random("prompts"), min(HIGHEST_TOKEN, model.info().vocab_size)
    return [TokensPrompt.random(random, highest, length) for _ in range(batch)]


def _report(latencies: Latencies) -> None:
    if mean := Quantity.mean(latencies.values, "s"):
        report.add_metric(mean.into_metric("avg_latency"))
    results.add_metric("std_latency", latencies.std, "s", {})
    for p, value in latencies.percentiles.items():
        results.add_metric(f"p{p}_latency", value, "s", {})

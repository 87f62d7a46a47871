"""Trials with given latencies, and a model, for tests without a host. The Rust SDK's tests have the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llem_sdk import (
    Activity,
    Completion,
    Course,
    Done,
    Generation,
    Measurement,
    ModelInfo,
    Parallelism,
    Rank,
    Request,
    Trial,
    WarmupPolicy,
)
from llem_sdk.devices import Dtype


def completion(tokens: int) -> Completion:
    """Creates a completion with ten prompt tokens and this many generated tokens, all of them at time zero."""
    return Completion.from_token_times(0, [0] * tokens, prompt_tokens=10)


def generation(started: int, wall_time: int) -> Generation:
    """Creates a static batch of one sequence from its beginning and length in ns."""
    activity = Activity(requests=1, decode_time=wall_time)
    measurement = Measurement("", started, wall_time, devices_used=1, activity=activity)
    return Generation((completion(1),), 0, wall_time, measurement)


def trials_lasting(seconds: Sequence[float]) -> list[Trial]:
    """Creates trials of these lengths in seconds, one right after the other."""
    trials, now = [], 1_000
    for index, length in enumerate(seconds):
        wall_time = int(length * 1e9)
        trials.append(Trial.from_generation(index, Request.from_tokens([0]), generation(now, wall_time)))
        now += wall_time
    return trials


def trials_heating(seconds: float, temperatures: Sequence[float]) -> list[Trial]:
    """Creates trials of equal length in seconds, with a GPU that has these temperatures in Cel at their ends."""
    trials, previous = [], temperatures[0]
    for trial, last in zip(trials_lasting([seconds] * len(temperatures)), temperatures, strict=True):
        low, high = min(previous, last), max(previous, last)
        course = Course("cuda:0", "temperature", "Cel", previous, last, low, high, (previous + last) / 2)
        measurement = replace(trial.generation.measurement, courses=(course,))
        trials.append(replace(trial, outcome=replace(trial.generation, measurement=measurement)))
        previous = last
    return trials


def model(ranks: int = 1, experts: int = 0) -> ModelInfo:
    """Creates a model on this many ranks, whose decode steps read 900 of its 1000 bytes of weights."""
    return ModelInfo(
        source="",
        architecture="",
        digest="",
        parameters=250,
        parameters_without_embeddings=240,
        weight_bytes=1000,
        decode_weight_bytes=900,
        dtype=Dtype.F32,
        kv_dtype=Dtype.F32,
        quantization=None,
        device="cpu",
        threads=1,
        parallelism=Parallelism(ranks, 1, 1),
        ranks=(Rank("cpu", 0, 1, 1000 // ranks),) * ranks,
        context_length=64,
        vocab_size=10,
        layers=1,
        hidden_size=1,
        intermediate_size=1,
        heads=1,
        kv_heads=1,
        head_size=1,
        experts=experts,
        experts_per_token=0,
        expert_size=None,
        has_tied_embeddings=False,
        attention_windows=(None,),
        kv_bytes_per_token=10,
        eos_tokens=(),
        has_tokenizer=False,
        load_time=0,
    )


def runs_until_done(policy: WarmupPolicy, trials: Sequence[Trial]) -> int | None:
    """Returns after how many of the given trials a policy is done."""
    steps = (policy.next(trials[:runs]) for runs in range(len(trials) + 1))
    return next((runs for runs, step in enumerate(steps) if isinstance(step, Done)), None)

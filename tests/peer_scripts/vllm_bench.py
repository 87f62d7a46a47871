"""Checks that what scripts/vllm-bench reports follows from the times of tokens and the windows in its record."""

import csv
import io
import json
import math
import statistics
from collections.abc import Callable
from typing import Any

from .comparison import assert_close, percentile

LATENCIES = ("ttft", "tpot", "itl", "e2el", "client_queue_time", "e2el_including_client_queue")


def measured(run: Any, label: str) -> list[dict]:
    """The measured sequences of a benchmark, in the order in which they were submitted."""
    found = [one for one in run.of_kind("batch-sequence") if one["label"] == label and "warmup" not in one["phase"]]
    [batch] = {one["batch"] for one in found}
    asked = [one for one in run.of_kind("batch-request") if one["label"] == label and one["batch"] == batch]
    by_request = {one["request"]: one["sequence"] for one in found}
    return [by_request[one["request"]["number"]] for one in asked]


def lengths_in_use(sequence: dict) -> int:
    """The tokens of a prompt, with those of the prefix cache."""
    return sequence["prompt_tokens"] + sequence.get("cached_tokens", 0)


def latencies_of(sequences: list[dict], due: list[int]) -> dict[str, list[float]]:
    """The latencies of a benchmark, in s, under the tool's names."""
    times = [one["token_ns"] for one in sequences]
    sent = [one["submitted_ns"] for one in sequences]
    e2el = [(each[-1] - start) * 1e-9 for each, start in zip(times, sent)]
    queued = [(start - arrival) * 1e-9 for start, arrival in zip(sent, due)]
    return {
        "ttft": [(each[0] - start) * 1e-9 for each, start in zip(times, sent)],
        "tpot": [(each[-1] - each[0]) * 1e-9 / (len(each) - 1) for each in times if len(each) > 1],
        "itl": [(after - before) * 1e-9 for each in times for before, after in zip(each, each[1:])],
        "e2el": e2el,
        "client_queue_time": queued,
        "e2el_including_client_queue": [one + two for one, two in zip(e2el, queued)],
    }


def check_serving(run: Any, data: dict, label: str, percentiles: tuple[int, ...], levels: dict[str, float]) -> None:
    """Computes the result of `serve` again."""
    sequences = measured(run, label)
    began, count = data["llem_began_ns"], len(sequences)
    # A request arrives when it was sent, less the time that it waited for a slot.
    due = [one["submitted_ns"] - round(1e9 * queued) for one, queued in zip(sequences, data["queue_times"])]
    latencies = latencies_of(sequences, due)
    outputs = [len(one["token_ns"]) for one in sequences]
    inputs = [lengths_in_use(one) for one in sequences]
    duration = (max(one["token_ns"][-1] for one in sequences) - began) * 1e-9
    expected = {
        "duration": duration,
        "completed": count,
        "failed": 0,
        "total_input_tokens": sum(inputs),
        "total_output_tokens": sum(outputs),
        "request_throughput": count / duration,
        "output_throughput": sum(outputs) / duration,
        "total_token_throughput": (sum(inputs) + sum(outputs)) / duration,
    }
    first = min(one["submitted_ns"] for one in sequences)
    seconds: dict[int, int] = {}
    busy: dict[int, int] = {}
    for one in sequences:
        for at in one["token_ns"]:
            seconds[(at - first) // 10**9] = seconds.get((at - first) // 10**9, 0) + 1
        last = (one["token_ns"][-1] - first) // 10**9
        for second in range((one["submitted_ns"] - first) // 10**9, last + 1):
            busy[second] = busy.get(second, 0) + 1
    expected |= {"max_output_tokens_per_s": max(seconds.values()), "max_concurrent_requests": max(busy.values())}
    overlaps = [
        sum(other["submitted_ns"] <= one["submitted_ns"] < other["token_ns"][-1] for other in sequences)
        for one in sequences
    ]
    expected["llem_max_overlapping_requests"] = max(overlaps)
    if levels:
        tpots = [(one[-1] - one[0]) * 1e-9 / max(len(one) - 1, 1) for one in (each["token_ns"] for each in sequences)]
        reached = {"ttft": latencies["ttft"], "tpot": tpots, "e2el": latencies["e2el"]}
        good = sum(all(1e3 * reached[name][index] <= level for name, level in levels.items()) for index in range(count))
        expected["request_goodput"] = good / duration
    for latency in LATENCIES:
        if f"mean_{latency}_ms" not in data:
            continue
        values = [1e3 * one for one in latencies[latency]]
        expected |= {
            f"mean_{latency}_ms": statistics.fmean(values),
            f"median_{latency}_ms": statistics.median(values),
            f"std_{latency}_ms": statistics.pstdev(values),
        }
        expected |= {f"p{p}_{latency}_ms": percentile(values, p) for p in percentiles}
    for name, value in expected.items():
        assert_close(data[name], value, name)
    check_energy(run, data, label, "benchmark", sum(outputs))


def check_energy(run: Any, data: dict, label: str, segment: str | None, tokens: int) -> None:
    """Computes the energy of an output token from the window of the benchmark, or from one of its segments."""
    [window] = [one for one in run.of_kind("window") if one["label"] == label and "warmup" not in one["phase"]]
    energy = window["energy_total"]
    if segment is not None:
        [energy] = [one["energy"] for one in window["segments"] if one["label"] == segment]
    assert window["activity"]["output_tokens"] == tokens
    if "value" not in energy:
        assert data["llem_joules_per_output_token"] is None and data["llem_energy_missing"]
        return
    assert_close(data["llem_energy_joules"], energy["value"], "energy")
    assert_close(data["llem_joules_per_output_token"], energy["value"] / tokens, "joules_per_output_token")
    assert_close(run.metrics("joules_per_output_token")[()], energy["value"] / tokens, "joules_per_output_token")


def check_serve(run_of: Callable) -> None:
    """Checks requests with a rate, a limit of concurrency and levels."""
    parameters = {"num-prompts": 24, "random-input-len": 20, "random-output-len": 6, "random-range-ratio": 0.4}
    parameters |= {"request-rate": 100, "burstiness": 0.7, "max-concurrency": 3, "num-warmups": 2}
    parameters |= {"goodput": "ttft:20 tpot:9", "metric-percentiles": "50,99", "save-detailed": "true"}
    parameters |= {"percentile-metrics": ",".join(LATENCIES)}
    run = run_of("vllm-bench", parameters)
    data = json.loads(run.artifacts["serve.json"])
    check_serving(run, data, "benchmark", (50, 99), {"ttft": 20.0, "tpot": 9.0})
    for name, value in data.items():
        if name.startswith(("mean_", "std_", "p99_")) or name.endswith("throughput"):
            assert_close(run.metrics(name)[()], value, name)
    sequences = measured(run, "benchmark")
    assert [len(one["token_ns"]) for one in sequences] == data["output_lens"]
    assert all(round(6 * 0.6) - 1 <= length <= round(6 * 1.4) + 1 for length in data["output_lens"])
    # Arrivals are in order, the last one is at N / rate, and never more than three requests are under way.
    due = [start - queued for start, queued in zip(data["start_times"], data["queue_times"])]
    assert due == sorted(due)
    assert_close(due[-1] - data["llem_began_ns"] * 1e-9, 24 / 100, "last arrival")
    assert data["llem_max_overlapping_requests"] <= 3
    ends = sorted(one["token_ns"][-1] for one in sequences)
    for index, (one, queued) in enumerate(zip(sequences, data["queue_times"])):
        assert queued >= 0.0
        if queued > 0.0:
            # A request that waited was sent after the end of as many requests as leave two others under way.
            assert one["submitted_ns"] >= ends[index - 3], index
    warmups = [one for one in run.of_kind("batch-sequence") if one["phase"] == "warmup"]
    assert len(warmups) == 2
    assert {lengths_in_use(one["sequence"]) for one in warmups} == {data["input_lens"][0]}
    printed = [one["message"] for one in run.of_kind("log") if one["level"] == "stdout"]
    assert f"{'Mean TTFT (ms):':<40} {data['mean_ttft_ms']:<10.2f}" in printed


def check_latency(run_of: Callable) -> None:
    """Checks that a latency is from the submission of a batch to its last token."""
    parameters = {"mode": "latency", "batch-size": 3, "input-len": 12, "output-len": 5}
    run = run_of("vllm-bench", parameters | {"num-iters": 4, "num-iters-warmup": 1})
    data = json.loads(run.artifacts["latency.json"])
    generations = [one for one in run.of_kind("generation") if one["window"]["phase"] == "benchmark"]
    latencies = [
        (max(one["token_ns"][-1] for one in each["sequences"]) - min(one["submitted_ns"] for one in each["sequences"]))
        * 1e-9
        for each in generations
    ]
    assert len(latencies) == 4
    expected = [statistics.fmean(latencies), statistics.pstdev(latencies)]
    expected += [percentile(latencies, p) for p in (10, 25, 50, 75, 90, 99)]
    values = [data["avg_latency"], data["std_latency"], *data["percentiles"].values()]
    for value, other in zip(values + data["latencies"], expected + latencies, strict=True):
        assert_close(value, other, "latency")
    assert list(data["percentiles"]) == ["10", "25", "50", "75", "90", "99"]
    assert_close(run.metrics("avg_latency")[()], expected[0], "avg_latency")
    check_energy(run, data, "latency", None, 4 * 3 * 5)


def check_throughput(run_of: Callable) -> None:
    """Checks that tokens of prompts count, and that the time is from handing over to the last token."""
    parameters = {"mode": "throughput", "num-prompts": 10, "random-input-len": 16, "random-output-len": 4}
    run = run_of("vllm-bench", parameters | {"num-warmups": 2})
    data = json.loads(run.artifacts["throughput.json"])
    sequences = measured(run, "throughput")
    [window] = [one for one in run.of_kind("window") if one["label"] == "throughput"]
    elapsed = (max(one["token_ns"][-1] for one in sequences) - window["started_ns"]) * 1e-9
    outputs = sum(len(one["token_ns"]) for one in sequences)
    total = outputs + sum(map(lengths_in_use, sequences))
    assert (data["num_requests"], data["total_num_tokens"], outputs) == (10, total, 40)
    assert_close(data["elapsed_time"], elapsed, "elapsed_time")
    assert_close(data["requests_per_second"], 10 / elapsed, "requests_per_second")
    assert_close(data["tokens_per_second"], total / elapsed, "tokens_per_second")
    check_energy(run, data, "throughput", None, outputs)


def check_sweep(run_of: Callable) -> None:
    """Checks every run of a sweep, and the workloads between its ends."""
    parameters = {"mode": "sweep", "workload-var": "max_concurrency", "workload-iters": 4, "num-runs": 2}
    parameters |= {"num-prompts": 12, "random-input-len": 16, "random-output-len": 5}
    run = run_of("vllm-bench", parameters)
    rows = list(csv.DictReader(io.StringIO(run.artifacts["summary.csv"])))
    values = [int(row["max_concurrency"]) for row in rows]
    assert values[:2] == [1, 1] and values[-2:] == [12, 12]
    estimate = lambda row: float(row["request_throughput"]) * float(row["mean_e2el_ms"]) / 1000
    first = math.ceil(statistics.fmean(map(estimate, rows[:2])))
    last = math.floor(statistics.fmean(map(estimate, rows[-2:])))
    inner = sorted({round(first + (last - first) * index / 3) for index in (1, 2)})
    assert values[2:-2] == [value for value in inner for _ in range(2)], (values, first, last)
    for row in rows:
        value, number = row["max_concurrency"], row["run_number"]
        is_end = row in rows[:2] or row in rows[-2:]
        prefix = f"BENCH--max_concurrency-{value}-" if is_end else ""
        data = json.loads(run.artifacts[f"{prefix}WL--max_concurrency-{value}-run-{number}.json"])
        assert repr(data["mean_e2el_ms"]) == row["mean_e2el_ms"]
        if is_end or int(value) not in (1, 12):
            sequences_label = f"max_concurrency={value} run={number}"
            if sum(one["label"] == sequences_label for one in run.of_kind("window")) == 1:
                check_serving_of_sweep(run, data, sequences_label)


def check_serving_of_sweep(run: Any, data: dict, label: str) -> None:
    """Checks the times of a run of a sweep."""
    sequences = measured(run, label)
    latencies = latencies_of(sequences, [one["submitted_ns"] for one in sequences])
    for latency in ("ttft", "tpot", "itl", "e2el"):
        assert_close(data[f"mean_{latency}_ms"], 1e3 * statistics.fmean(latencies[latency]), f"{label} {latency}")
        assert_close(data[f"p99_{latency}_ms"], 1e3 * percentile(latencies[latency], 99), f"{label} {latency}")
    duration = (max(one["token_ns"][-1] for one in sequences) - data["llem_began_ns"]) * 1e-9
    assert_close(data["request_throughput"], len(sequences) / duration, label)


def check(run_of: Callable) -> None:
    """Runs the modes of scripts/vllm-bench. `run_of(name, parameters, options)` returns the record of a run."""
    for each in (check_serve, check_latency, check_throughput, check_sweep):
        each(run_of)

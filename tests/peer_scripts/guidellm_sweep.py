"""Computes the results of scripts/guidellm-sweep again, from the times of tokens in the record.

All loads run on the synthetic host: on a busy machine a request may miss its planned start, or a time limit may fall between
two requests, and the load is then a different one.
"""

import collections
import json
import math
import statistics

from .comparison import assert_close


def quantile(pairs: list[tuple[float, float]], p: float) -> float:
    """The lowest value at which the shares of all values up to it reach p, summed one by one as guidellm sums them.

    Of twelve values the median is therefore the seventh: six times 1/12 is below 0.5 in floating point.
    """
    weights = collections.Counter()
    for value, weight in pairs:
        weights[value] += weight
    total, reached = sum(weights.values()), 0.0
    for value in sorted(weights):
        reached += weights[value] / total
        if reached >= p:
            return value
    raise AssertionError(f"{reached} is below {p}")


def assert_summary(summary: dict, pairs: list[tuple[float, float]], what: str) -> None:
    """Compares a summary with the one of weighted values, which must have been its source."""
    pairs = [(value, weight) for value, weight in pairs if weight > 0]
    total = math.fsum(weight for _, weight in pairs)
    mean = math.fsum(value * weight for value, weight in pairs) / total
    variance = math.fsum((value - mean) ** 2 * weight for value, weight in pairs) / total
    assert_close(summary["mean"], mean, f"{what} mean")
    assert_close(summary["std_dev"], math.sqrt(variance), f"{what} std_dev", 1e-6)
    assert summary["count"] == round(total), what
    assert_close(summary["min"], min(value for value, _ in pairs), f"{what} min")
    assert_close(summary["max"], max(value for value, _ in pairs), f"{what} max")
    for name, p in (("p10", 0.1), ("p50", 0.5), ("p95", 0.95), ("p999", 0.999)):
        assert_close(summary["percentiles"][name], quantile(pairs, p), f"{what} {name}")
    assert_close(summary["median"], summary["percentiles"]["p50"], what)


SYNTHETIC = ["--synthetic-host"]
# Its default figures, in ns.
PROMPT_TOKEN, STEP = 100_000, 5_000_000


def check(run_of) -> None:
    sweep(run_of)
    late_requests(run_of)
    time_limit(run_of)


def sweep(run_of) -> None:
    parameters = {
        "profile": "sweep",
        "sweep-size": 4,
        "max-requests": 12,
        "warmup": 2,
        "cooldown": 2,
        "prompt-tokens": 12,
    }
    parameters |= {"output-tokens": 5, "output-tokens-stdev": 2, "warmup-mode": "requests"}
    run = run_of("guidellm-sweep", parameters, SYNTHETIC)
    report = json.loads(run.artifacts["benchmarks.json"])
    benchmarks = report["benchmarks"]
    assert [one["config"]["strategy"]["type_"] for one in benchmarks] == [
        "synchronous",
        "throughput",
        "constant",
        "constant",
    ]
    slow, fast = (one["metrics"]["requests_per_second"]["successful"]["mean"] for one in benchmarks[:2])
    rates = [one["config"]["strategy"]["rate"] for one in benchmarks[2:]]
    assert_close(rates[0], (slow + fast) / 2, "first rate")
    assert_close(rates[1], fast, "last rate")
    labels = {"synchronous": "synchronous", "throughput": "throughput@512"}
    for one in benchmarks:
        strategy = one["config"]["strategy"]
        label = labels.get(strategy["type_"]) or f"constant@{strategy['rate']:.2f}"
        sequences = [event["sequence"] for event in run.of_kind("batch-sequence") if event["label"] == label]
        assert len(sequences) == 12
        assert all(2 <= sequence["prompt_tokens"] <= 12 for sequence in sequences)
        check_benchmark(one, sequences)
        if strategy["type_"] == "constant":
            targets = sorted(sequence["submitted_ns"] for sequence in sequences)
            gaps = [after - before for before, after in zip(targets, targets[1:])]
            assert all(abs(gap - 1e9 / strategy["rate"]) <= 1 for gap in gaps), gaps
        assert_close(
            run.metrics("requests_per_second")["mean", label],
            one["metrics"]["requests_per_second"]["successful"]["mean"],
            label,
        )
    order = [event["sequence"] for event in run.of_kind("batch-sequence") if event["label"] == "synchronous"]
    assert all(before["token_ns"][-1] <= after["submitted_ns"] for before, after in zip(order, order[1:]))


def check_benchmark(one: dict, sequences: list[dict]) -> None:
    """All requests ended, and both phases are of two requests."""
    # Several may end in one step. They count in the order of their starts.
    in_order = sorted(sequences, key=lambda sequence: (sequence["token_ns"][-1], sequence["submitted_ns"]))
    ends = [sequence["token_ns"][-1] for sequence in in_order]
    starts = [sequence["submitted_ns"] for sequence in sequences]
    began = min(starts) if one["config"]["strategy"]["type_"] != "constant" else None
    # A cool-down of two begins when three are left.
    measure_end = ends[-4]
    # Of the requests whose start or first token lies between the third end and the fourth the last tells its start.
    events = [(sequence["submitted_ns"], 1, sequence["submitted_ns"]) for sequence in sequences]
    events += [(sequence["token_ns"][0], 2, sequence["submitted_ns"]) for sequence in sequences]
    told = [in_order[2]["submitted_ns"]] + [start for at, _, start in sorted(events) if ends[2] <= at < ends[3]]
    measure_start = told[-1]
    assert began is None or measure_start >= began
    assert_close(one["duration"], (measure_end - measure_start) * 1e-9, "duration", 1e-8)

    within = [s for s in sequences if s["token_ns"][-1] >= measure_start and s["submitted_ns"] <= measure_end]
    metrics, ms = one["metrics"], 1e-6
    assert metrics["request_totals"] == {"successful": len(within), "incomplete": 0, "errored": 0, "total": len(within)}
    latency = [((s["token_ns"][-1] - s["submitted_ns"]) * 1e-9, 1) for s in within]
    assert_summary(metrics["request_latency"]["successful"], latency, "request_latency")
    started = [s for s in within if s["token_ns"][0] >= measure_start]
    ttft = [((s["token_ns"][0] - s["submitted_ns"]) * ms, 1) for s in started]
    assert_summary(metrics["time_to_first_token_ms"]["successful"], ttft, "ttft")
    tpot = [((s["token_ns"][-1] - s["submitted_ns"]) * ms / len(s["tokens"]), len(s["tokens"])) for s in within]
    assert_summary(metrics["time_per_output_token_ms"]["successful"], tpot, "tpot")
    itl = [
        ((s["token_ns"][-1] - s["token_ns"][0]) * ms / (len(s["tokens"]) - 1), len(s["tokens"]) - 1)
        for s in within
        if len(s["tokens"]) > 1 and s["token_ns"][0] <= measure_end
    ]
    assert_summary(metrics["inter_token_latency_ms"]["successful"], itl, "itl")
    prompts = [(float(s["prompt_tokens"]), 1) for s in within]
    assert_summary(metrics["prompt_token_count"]["successful"], prompts, "prompt_token_count")
    # Requests that ended in the measured part, over its length, which the last of them ends.
    counted = [s for s in within if s["token_ns"][-1] <= measure_end]
    rate = metrics["requests_per_second"]["successful"]
    assert rate["count"] == len(counted)
    assert_close(rate["mean"], len(counted) / ((measure_end - measure_start) * 1e-9), "requests_per_second", 1e-6)
    overlap = sum(min(s["token_ns"][-1], measure_end) - max(s["submitted_ns"], measure_start) for s in within)
    # Changes within 0.1 ms are one.
    bound = 2 * len(within) * 1e5 / (measure_end - measure_start)
    concurrency = metrics["request_concurrency"]["successful"]["mean"]
    assert abs(concurrency - overlap / (measure_end - measure_start)) <= bound
    assert statistics.fmean(value for value, _ in latency) > 0


def late_requests(run_of) -> None:
    """A request that is due before a place is free starts when the place is. Its latencies count from there."""
    rate, prompt, output, count = 100, 8, 6, 9
    lengths = {"prompt-tokens": prompt, "output-tokens": output, "max-requests": count}
    run = run_of("guidellm-sweep", lengths | {"profile": "constant", "rate": rate, "max-concurrency": 1}, SYNTHETIC)
    [one] = json.loads(run.artifacts["benchmarks.json"])["benchmarks"]
    sequences = [event["sequence"] for event in run.of_kind("batch-sequence")]
    lasting, gap = prompt * PROMPT_TOKEN + (output - 1) * STEP, 10**9 // rate
    assert lasting > 2 * gap, "requests are due faster than they end"
    starts = [sequence["submitted_ns"] - sequences[0]["submitted_ns"] for sequence in sequences]
    assert starts == [index * lasting for index in range(count)], starts
    told = sorted(one["requests"]["successful"], key=lambda request: request["info"]["timings"]["request_start"])
    assert len(told) == count
    for index, request in enumerate(told):
        assert_close(request["request_latency"], lasting * 1e-9, "request_latency")
        late = index * (lasting - gap) * 1e-9
        # Start and plan are seconds since the host began.
        assert abs(request["request_dispatch_delay"] - late) < 1e-9, (request["request_dispatch_delay"], late)
        assert_close(request["request_scheduled_latency"], late + lasting * 1e-9, "request_scheduled_latency", 1e-6)


def time_limit(run_of) -> None:
    streams, prompt, output = 3, 8, 40
    parameters = {"profile": "concurrent", "streams": streams, "max-seconds": 1, "prompt-tokens": prompt, "output-tokens": output}
    run = run_of("guidellm-sweep", parameters, SYNTHETIC)
    [one] = json.loads(run.artifacts["benchmarks.json"])["benchmarks"]
    assert_close(one["duration"], 1.0, "duration", 1e-6)
    by_finish = lambda finish: [
        e["sequence"] for e in run.of_kind("batch-sequence") if e["sequence"]["finish"] == finish
    ]
    cancelled, whole = by_finish("cancelled"), by_finish("length")
    # All streams run in the same steps. After five requests of each stream the limit falls within the sixth.
    lasting = streams * prompt * PROMPT_TOKEN + (output - 1) * STEP
    rounds, left = divmod(10**9, lasting)
    assert left > 2 * STEP and len(whole) == streams * rounds
    assert len(cancelled) == streams == len(one["requests"]["incomplete"])
    assert all(0 < len(sequence["tokens"]) < output for sequence in cancelled)
    assert len(whole) == len(one["requests"]["successful"]) == one["scheduler_metrics"]["requests_made"]["successful"]
    for entry in one["requests"]["incomplete"]:
        assert entry["request_latency"] is None and entry["info"]["status"] == "cancelled"
    [peak] = [one["metrics"]["request_concurrency"]["total"]["max"]]
    assert peak == streams

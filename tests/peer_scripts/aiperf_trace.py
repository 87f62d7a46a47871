"""Computes the results of scripts/aiperf-trace again, from the times of tokens in the record."""

import csv
import json
import math
import pathlib
import statistics
import tempfile

from .comparison import assert_close, percentile


def check(run_of) -> None:
    sample(run_of)
    granted(run_of)


def sample(run_of) -> None:
    limits = {"time_to_first_token": 50.0, "inter_token_latency": 20.0}
    goodput = " ".join(f"{tag}:{limit}" for tag, limit in limits.items())
    run = run_of("aiperf-trace", {"goodput": goodput})
    report = json.loads(run.artifacts["profile_export_aiperf.json"])
    sequences = [event["sequence"] for event in run.of_kind("batch-sequence")]
    sequences.sort(key=lambda sequence: sequence["submitted_ns"])
    assert len(sequences) == 10
    lengths = [(40, 12), (32, 8), (70, 6), (56, 16), (30, 1), (30, 10), (48, 20), (20, 9), (33, 11), (90, 14)]
    assert [(one["prompt_tokens"], len(one["tokens"])) for one in sequences] == lengths
    starts = [one["submitted_ns"] for one in sequences]
    times = [0, 120, 130, 480, 500, 510, 900, 1250, 1260, 1900]
    assert [start - starts[0] for start in starts] == [time * 1_000_000 for time in times]

    tokens = [one["token_ns"] for one in sequences]
    lasting = [(times[-1] - start) * 1e-6 for start, times in zip(starts, tokens)]
    first = [(times[0] - start) * 1e-6 for start, times in zip(starts, tokens)]
    itl = [(times[-1] - times[0]) * 1e-6 / (len(times) - 1) for times in tokens if len(times) > 1]
    expected = {
        "time_to_first_token": first,
        "time_to_second_token": [(times[1] - times[0]) * 1e-6 for times in tokens if len(times) > 1],
        "request_latency": lasting,
        "decode_duration": [(times[-1] - times[0]) * 1e-6 for times in tokens],
        "inter_token_latency": itl,
        "inter_chunk_latency": [(b - a) * 1e-6 for times in tokens for a, b in zip(times, times[1:])],
        "output_token_throughput_per_user": [1000 / one for one in itl],
        "e2e_output_token_throughput": [1000 * len(times) / one for times, one in zip(tokens, lasting)],
        "prefill_throughput_per_user": [1000 * isl / one for (isl, _), one in zip(lengths, first)],
        "input_sequence_length": [float(isl) for isl, _ in lengths],
        "output_sequence_length": [float(osl) for _, osl in lengths],
    }
    for tag, values in expected.items():
        one = report[tag]
        assert one["count"] == len(values), tag
        assert_close(one["avg"], statistics.fmean(values), tag)
        assert_close(one["std"], statistics.pstdev(values), tag)
        assert_close(one["sum"], math.fsum(values), tag)
        assert_close(one["min"], min(values), tag)
        assert_close(one["max"], max(values), tag)
        for p in (1, 5, 10, 25, 50, 75, 90, 95, 99):
            assert_close(one[f"p{p}"], percentile(values, p), f"{tag} p{p}")
        assert_close(run.metrics(tag)["avg",], one["avg"], tag)
        assert_close(run.metrics(tag)["p99",], one["p99"], tag)

    isl, osl = sum(one for one, _ in lengths), sum(one for _, one in lengths)
    duration = (max(times[-1] for times in tokens) - starts[0]) * 1e-9
    by_request = dict(enumerate(zip(first, tokens)))
    good = sum(
        ttft <= limits["time_to_first_token"]
        and len(times) > 1
        and (times[-1] - times[0]) * 1e-6 / (len(times) - 1) <= limits["inter_token_latency"]
        for ttft, times in by_request.values()
    )
    totals = {"request_count": 10, "total_isl": isl, "total_osl": osl, "benchmark_duration": duration}
    totals |= {"request_throughput": 10 / duration, "output_token_throughput": osl / duration}
    totals |= {"input_token_throughput": isl / duration, "total_token_throughput": (isl + osl) / duration}
    totals |= {"good_request_count": good, "good_request_fraction": good / 10, "goodput": good / duration}
    each = [one / 1000 / len(times) for one, times in zip(lasting, tokens)]
    totals["e2e_normalized_interactivity_p90"] = 1 / percentile(each, 90)
    for tag, value in totals.items():
        assert_close(report[tag]["avg"], value, tag)
        assert_close(run.metrics(tag)[()], value, tag)

    [window] = [one for one in run.of_kind("window") if one["label"] == "profiling"]
    joules = window["energy_total"].get("value")
    assert ("output_tokens_per_joule" in report) == (joules is not None)
    if joules is not None:
        assert_close(report["output_tokens_per_joule"]["avg"], osl / joules, "output_tokens_per_joule")

    rows = list(csv.reader(run.artifacts["profile_export_aiperf.csv"].splitlines()))
    assert rows[0] == ["Metric", *"avg min max sum p1 p5 p10 p25 p50 p75 p90 p95 p99 std".split()]
    cells = {row[0]: row[1:] for row in rows if row}
    assert cells["Request Latency (ms)"] == [f"{report['request_latency'][name]:.2f}" for name in rows[0][1:]]
    assert cells["Request Count"] == ["10.00"]


def granted(run_of) -> None:
    """A trace of a file: its window, its speed-up, and beginnings that are shared and reused.

    A beginning is reused if its request has ended before the next one starts: on the synthetic host it always has.
    """
    rows = [
        {"timestamp": 500, "input_length": 8, "output_length": 2},
        {"timestamp": 1000, "input_length": 40, "output_length": 3, "hash_ids": [5, 6]},
        {"timestamp": 1301, "input_length": 35, "output_length": 9, "hash_ids": [5, 6, 7]},
        {"timestamp": 1400, "input_length": 36},
        {"timestamp": 9000, "input_length": 8, "output_length": 2},
    ]
    parameters = {"fixed-schedule-start-offset": 1000, "fixed-schedule-end-offset": 1400, "synthesis-speedup-ratio": 2}
    parameters |= {
        "fixed-schedule-auto-offset": "true",
        "isl-block-size": 16,
        "synthesis-max-osl": 4,
        "prefix-cache": "true",
    }
    parameters |= {"output-tokens-mean": 5}
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "trace.jsonl")
        trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = run_of("aiperf-trace", parameters, ["--synthetic-host", "--dataset", f"trace={trace}"])
    sequences = sorted((e["sequence"] for e in run.of_kind("batch-sequence")), key=lambda one: one["submitted_ns"])
    starts = [one["submitted_ns"] for one in sequences]
    assert [start - starts[0] for start in starts] == [0, 150_000_000, 200_000_000]
    assert [len(one["tokens"]) for one in sequences] == [3, 4, 5]
    report = json.loads(run.artifacts["profile_export_aiperf.json"])
    # The whole length of a prompt counts, whether it was in the cache or not.
    assert report["total_isl"]["avg"] == 40 + 35 + 36
    assert report["prefix_cache"]["queries"] >= report["prefix_cache"]["hits"] > 0

"""Computes the results of scripts/mlperf-loadgen again from the record: the times of tokens, and the window of the test."""

import json
import math
import statistics

from .comparison import assert_close

PERCENTILES = (0.50, 0.90, 0.95, 0.97, 0.99, 0.999)


def at_most(queries: int, over: int, percentile: float) -> float:
    """P[Binomial(queries, 1 - percentile) <= over], by sums of logarithms."""
    p, q = percentile, 1 - percentile
    log_term = lambda x: math.lgamma(queries + 1) - math.lgamma(x + 1) - math.lgamma(queries - x + 1) + x * math.log(q) + (queries - x) * math.log(p)
    return math.fsum(math.exp(log_term(x)) for x in range(over + 1))


def estimate(latencies: list[int], percentile: float) -> int | None:
    """LoadGen's early-stopping estimate of a percentile."""
    over = 0
    while at_most(len(latencies), over + 1, percentile) < 0.01:
        over += 1
    return sorted(latencies)[len(latencies) - over] if over else None


def percentile_of(latencies: list[int], percentile: float) -> int:
    return sorted(latencies)[int(len(latencies) * percentile)]


def details(run) -> dict:
    lines = run.artifacts["mlperf_log_detail.txt"].splitlines()
    return {line["key"]: line["value"] for line in (json.loads(line.removeprefix(":::MLLOG ")) for line in lines)}


def assert_scenario(run, scenario: str) -> tuple[dict, list[dict], list[dict]]:
    """Compares what every scenario reports. Returns the detailed log, the samples and the sequences of the record."""
    detail = details(run)
    samples = [json.loads(line) for line in run.artifacts["samples.jsonl"].splitlines()]
    sequences = [one for one in run.of_kind("batch-sequence") if one["phase"] == "measure"]
    assert {one["label"] for one in sequences} == {scenario}
    sequences = [one["sequence"] for one in sequences]
    latencies = [one["complete_ns"] - one["scheduled_ns"] for one in samples]
    of_record = [one["token_ns"][-1] - one["submitted_ns"] for one in sequences]
    assert sorted(latencies) == sorted(of_record), "latencies"
    if scenario != "Offline":
        ttft = [one["first_token_ns"] - one["scheduled_ns"] for one in samples]
        assert sorted(ttft) == sorted(one["token_ns"][0] - one["submitted_ns"] for one in sequences), "TTFT"
        tpot = [(one["complete_ns"] - one["first_token_ns"]) // (one["n_tokens"] - 1) for one in samples]
        for percentile in PERCENTILES:
            key = f"{100 * percentile:.2f}_percentile"
            assert detail[f"result_first_token_{key}_latency_ns"] == percentile_of(ttft, percentile)
            assert detail[f"result_time_per_output_token_{key}_ns"] == percentile_of(tpot, percentile)
        assert detail["result_first_token_mean_latency_ns"] == sum(ttft) // len(ttft)
        assert detail["result_time_to_output_token_mean"] == sum(tpot) // len(tpot)
    for percentile in PERCENTILES:
        assert detail[f"result_{100 * percentile:.2f}_percentile_latency_ns"] == percentile_of(latencies, percentile)
    assert detail["result_mean_latency_ns"] == sum(latencies) // len(latencies)
    assert sum(one["n_tokens"] for one in samples) == sum(len(one["tokens"]) for one in sequences)
    [validity] = run.metrics("result_validity").values()
    assert detail["result_validity"] == ("VALID" if validity else "INVALID")
    assert f"Result is : {detail['result_validity']}" in run.artifacts["mlperf_log_summary.txt"].splitlines()
    assert_energy(run, scenario, samples)
    return detail, samples, sequences


def assert_energy(run, scenario: str, samples: list[dict]) -> None:
    [window] = [one for one in run.of_kind("window") if one["label"] == "queries"]
    assert window["activity"]["requests"] == len(samples)
    total = window["energy_total"].get("value")
    if total is None:
        assert any("no energy of the test" in warning for warning in run.record["warnings"])
        assert run.metrics("joules_per_sample") == {}
        return
    queries = len({one["query"] for one in samples})
    assert_close(run.metrics("joules_per_sample")[()], total / len(samples), "joules_per_sample")
    assert_close(run.metrics("joules_per_token")[()], total / sum(one["n_tokens"] for one in samples), "joules_per_token")
    if scenario in ("Server", "Offline"):
        assert_close(run.metrics("llem_meters_watts")[()], total / (window["wall_ns"] * 1e-9), "watts")
    else:
        assert_close(run.metrics("llem_meters_millijoules_per_query")[()], 1000 * total / queries, "millijoules")


def assert_equal_issue(samples: list[dict], count: int) -> None:
    """Every set of `count` samples in a row has each of them once."""
    indices = [one["sample_idx"] for one in samples]
    for begin in range(0, len(indices) - count + 1, count):
        assert sorted(indices[begin : begin + count]) == list(range(count))


def check(run_of) -> None:
    few = {"max-new-tokens": 4, "prompt-tokens": 8, "samples": 10, "warmup-runs": 1}

    run = run_of("mlperf-loadgen", few | {"min-duration": 300, "target-latency": 4})
    detail, samples, _ = assert_scenario(run, "SingleStream")
    assert_equal_issue(samples, 10)
    # Twice the queries of 300 ms at 4 ms each, and one set more because 150 is a multiple of 10.
    assert detail["effective_min_query_count"] == 160
    assert len(samples) >= 160 or detail["num_errors"] == 1
    for before, after in zip(samples, samples[1:]):
        assert after["issued_ns"] >= before["complete_ns"], "a query begins when the one before is done"
    ttft = [one["first_token_ns"] - one["scheduled_ns"] for one in samples]
    assert detail["early_stopping_latency_ss"] == estimate(ttft, 0.90)
    assert detail["early_stopping_latency_ms"] == (estimate(ttft, 0.99) or 0)
    assert detail["result_min_duration_met"] == (samples[-1]["issued_ns"] >= 300e6)
    assert_close(detail["result_qps_with_loadgen_overhead"], 1e9 * (len(samples) - 1) / samples[-1]["issued_ns"], "qps", 1e-5)

    run = run_of("mlperf-loadgen", few | {"scenario": "MultiStream", "min-duration": 0, "samples-per-query": 3, "min-query-count": 70})
    detail, samples, _ = assert_scenario(run, "MultiStream")
    longest = [max(one["complete_ns"] - one["scheduled_ns"] for one in samples[at : at + 3]) for at in range(0, len(samples), 3)]
    assert detail["result_query_count"] == len(longest) == 70
    assert detail["result_99.00_percentile_per_query_latency_ns"] == percentile_of(longest, 0.99)
    assert detail["early_stopping_met"] is False and estimate(longest, 0.99) is None

    run = run_of("mlperf-loadgen", few | {"scenario": "Server", "min-duration": 1500, "target-qps": 60})
    detail, samples, sequences = assert_scenario(run, "Server")
    assert_equal_issue(samples, 10)
    arrivals = sorted(one["submitted_ns"] for one in sequences)
    assert [one["scheduled_ns"] for one in samples] == [one - arrivals[0] for one in arrivals]
    gaps = [after - before for before, after in zip(arrivals, arrivals[1:])]
    # Exponential gaps have a standard deviation that is equal to their mean.
    assert 0.6 < statistics.fmean(gaps) * 60e-9 < 1.5 and 0.6 < statistics.pstdev(gaps) * 60e-9 < 1.6
    final = samples[-1]
    tokens = sum(one["n_tokens"] for one in samples)
    assert_close(detail["result_completed_samples_per_sec"], 1e9 * (len(samples) - 1) / final["complete_ns"], "samples/s", 1e-5)
    assert_close(detail["result_completed_tokens_per_second"], 1e9 * tokens / final["complete_ns"], "tokens/s", 1e-5)
    over = [sum(one > limit for one in values) for values, limit in (
        ([one["first_token_ns"] - one["scheduled_ns"] for one in samples], 2000e6),
        ([(one["complete_ns"] - one["first_token_ns"]) // (one["n_tokens"] - 1) for one in samples], 100e6),
    )]
    assert detail["early_stopping_met"] == all(at_most(len(samples), one, 0.99) < 0.01 for one in over)

    run = run_of("mlperf-loadgen", few | {"scenario": "Offline", "min-duration": 0, "min-query-count": 35})
    detail, samples, sequences = assert_scenario(run, "Offline")
    assert len(samples) == 40 and {one["scheduled_ns"] for one in samples} == {0}
    assert_equal_issue(samples, 10)
    assert len({one["submitted_ns"] for one in sequences}) == 1
    longest = max(one["complete_ns"] for one in samples)
    assert_close(run.metrics("result_samples_per_second")[()], 40e9 / longest, "samples/s")
    assert_close(run.metrics("result_tokens_per_second")[()], 1e9 * sum(one["n_tokens"] for one in samples) / longest, "tokens/s")

    # On the synthetic host energies are known, and a run takes no time.
    for scenario, given in (("SingleStream", {"min-duration": 2000}), ("Server", {"target-qps": 50})):
        run = run_of("mlperf-loadgen", few | {"scenario": scenario} | given, ("--synthetic-host",))
        detail, samples, _ = assert_scenario(run, scenario)
        assert detail["result_validity"] == "VALID" and run.metrics("joules_per_sample")

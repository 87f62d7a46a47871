"""Computes the results of scripts/ml-energy again from the record: token times, windows and the two counters."""
import json
import math
import statistics

from .comparison import assert_close, percentile

BATCH, REQUESTS, OUTPUT = 3, 11, 6


def check(run_of) -> None:
    parameters = {"max-num-seqs": BATCH, "num-requests": REQUESTS, "max-output-tokens": OUTPUT, "ignore-eos": "true"}
    run = run_of("ml-energy", parameters | {"input-mean": 9, "temperature": 0.8})
    result = json.loads(run.artifacts["results.json"])
    sequences = [one["sequence"] for one in run.of_kind("batch-sequence")]
    assert len(sequences) == REQUESTS == result["num_prompts"] == result["completed"]
    windows = {one["label"]: one for one in run.of_kind("window")}
    entire, steady = windows["entire_benchmark"], windows["steady_state"]
    assert_close(result["duration"], entire["wall_ns"] * 1e-9, "duration")
    assert_close(result["steady_state_duration"], steady["wall_ns"] * 1e-9, "steady_state_duration")

    # The window begins after the step in which the B-th request got its first token, and before the next token. It ends
    # after the step in which the (N - B - 1)-th request ended.
    firsts = sorted(one["token_ns"][0] for one in sequences)
    ends = sorted(one["token_ns"][-1] for one in sequences)
    tokens = sorted(at for one in sequences for at in one["token_ns"])
    begin, end = firsts[BATCH - 1], ends[REQUESTS - BATCH - 2]
    opened, closed = steady["started_ns"], steady["started_ns"] + steady["wall_ns"]
    assert begin <= opened <= min(at for at in tokens if at > begin)
    assert end <= closed <= min(at for at in tokens if at > end)
    counted = sum(opened < at <= closed for at in tokens)
    assert counted == result["llem"]["steady_state_tokens"] == steady["activity"]["output_tokens"]
    assert result["llem"]["counted_tokens"] == len(tokens) == REQUESTS * OUTPUT

    prompt = sum(one["prompt_tokens"] for one in sequences)
    assert (result["total_input_tokens"], result["total_output_tokens"]) == (prompt, len(tokens))
    assert_close(result["request_throughput"], REQUESTS / result["duration"], "request_throughput")
    assert_close(result["output_throughput"], len(tokens) / result["duration"], "output_throughput")
    assert_close(result["total_token_throughput"], (prompt + len(tokens)) / result["duration"], "total_token_throughput")

    gaps = [[(b - a) * 1e-6 for a, b in zip(one["token_ns"], one["token_ns"][1:])] for one in sequences]
    values = {
        "ttft": [(one["token_ns"][0] - one["submitted_ns"]) * 1e-6 for one in sequences],
        "tpot": [sum(each) / len(each) for each in gaps],
        # The first token of a request counts as a gap of zero.
        "itl": [gap for each in gaps for gap in [0.0, *each]],
        "e2el": [(one["token_ns"][-1] - one["submitted_ns"]) * 1e-6 for one in sequences],
    }
    for name, each in values.items():
        expected = {"mean": statistics.fmean(each), "median": statistics.median(each), "std": statistics.pstdev(each)}
        expected |= {f"p{p}": percentile(each, p) for p in (50, 90, 95, 99)}
        for statistic, value in expected.items():
            assert_close(result[f"{statistic}_{name}_ms"], value, f"{statistic}_{name}_ms", 1e-8)
            assert_close(run.metrics(f"{statistic}_{name}_ms")[()], value, f"{statistic}_{name}_ms", 1e-8)

    lengths = sorted((one["prompt_tokens"], len(one["tokens"])) for one in sequences)
    assert sorted((one["input_len"], one["output_len"]) for one in result["results"]) == lengths
    for one in result["results"]:
        assert one["success"] and len(one["itl"]) == one["output_len"] and one["itl"][0] == 0
        assert_close(one["latency"], one["ttft"] + sum(one["itl"]), "latency")

    for window, key in ((steady, "steady_state_measurement"), (entire, "entire_benchmark_measurement")):
        of_gpus = [one["energy"].get("value") for one in window["energy"] if one["device"] != "cpu"]
        assert list(result[key]["gpu_energy"].values()) == of_gpus
        packages = [one for one in window["energy"] if one["domain"].startswith("package-")]
        expected = {one["domain"].split("-")[1]: one["energy"].get("value") for one in packages}
        assert (result[key]["cpu_energy"] or {}) == expected
    joules = result["steady_state_energy"]
    if joules is None:
        assert result["steady_state_energy_per_token"] is None and result["llem"]["gpu_energy_missing"]
        assert any("are null" in warning for warning in run.record["warnings"])
    else:
        assert_close(joules, math.fsum(result["steady_state_measurement"]["gpu_energy"].values()), "steady_state_energy")
        assert_close(result["steady_state_energy_per_token"], joules / counted, "steady_state_energy_per_token")
        for one in result["results"]:
            assert_close(one["energy"], joules / counted * one["output_len"], "energy")
    of_cpu = result["llem"]["cpu_energy"]
    if of_cpu["steady_state"] is not None:
        assert_close(of_cpu["steady_state_per_token"], of_cpu["steady_state"] / counted, "cpu energy per token")

    verdicts = {one["name"]: one["passed"] for one in json.loads(run.artifacts["validation.json"])}
    assert verdicts["Completion"] and verdicts["Request Success"] and verdicts["Output Length"] is False
    assert verdicts["Steady State Duration"] is (result["steady_state_duration"] >= 30)
    running = json.loads(run.artifacts["prometheus.json"])["steady_state_stats"]["vllm:num_requests_running"]
    assert 0 < running <= BATCH

"""optimum-benchmark: its report follows from the times of tokens and from the windows."""

import json
import statistics

from .comparison import assert_close, assert_latency
from .recorded import RunOf

METERED = {"energy": "true"}
"""The parameters with which it measures energy."""


def check(run_of: RunOf) -> None:
    batch, length, new = 2, 12, 6
    parameters = {"batch-size": batch, "sequence-length": length, "max-new-tokens": new, "warmup-runs": 3}
    parameters |= {"iterations": 4, "duration": 0.1, "memory": "true", "energy": "true"}
    run = run_of("optimum-benchmark", parameters)
    report = json.loads(run.artifacts["benchmark_report.json"])
    assert list(report) == ["load_model", "first_generate", "generate", "prefill", "decode", "per_token"]
    whole = json.loads(run.artifacts["benchmark.json"])
    assert whole == {"config": json.loads(run.artifacts["benchmark_config.json"]), "report": report}

    generations = run.of_kind("generation")
    phase = lambda name: [one for one in generations if one["window"]["phase"].split("/")[0] == name]
    asked = lambda one: [len(sequence["tokens"]) for sequence in one["sequences"]]
    assert [asked(one) for one in phase("warmup")] == [[new] * batch] * 2 + [[2] * batch] * 3
    assert all(sequence["prompt_tokens"] == length for one in generations for sequence in one["sequences"])
    prompts = {tuple(sequence["prompt_tokens"] for sequence in one["sequences"]) for one in generations}
    assert prompts == {(length,) * batch}

    # A step is over when all sequences have their token.
    starts, steps = [], []
    for one in phase("latency"):
        starts.append(min(sequence["submitted_ns"] for sequence in one["sequences"]))
        steps.append([max(times) for times in zip(*(sequence["token_ns"] for sequence in one["sequences"]))])
    assert len(steps) >= 4 and all(len(one) == new for one in steps)
    # The series goes on until both minima are reached.
    assert len(steps) == 4 or steps[-2][-1] - starts[0] < 0.1e9
    latencies = {
        "generate": [(one[-1] - start) * 1e-9 for start, one in zip(starts, steps)],
        "prefill": [(one[0] - start) * 1e-9 for start, one in zip(starts, steps)],
        "decode": [(one[-1] - one[0]) * 1e-9 for one in steps],
        # As the tool's tracker does: after each generation, the gaps of all events since the session began.
        "per_token": [],
    }
    events = []
    for one in steps:
        events += one
        latencies["per_token"] += [(after - before) * 1e-9 for before, after in zip(events, events[1:])]
    for target, values in latencies.items():
        assert_latency(report[target]["latency"], values, target)
    volumes = {"generate": batch * (new - 1), "prefill": batch, "decode": batch * (new - 1)}
    for target, volume in volumes.items():
        assert_close(report[target]["throughput"]["value"], volume / statistics.fmean(latencies[target]), target)
    gaps = [(after - before) * 1e-9 for one in steps for before, after in zip(one, one[1:])]
    assert_close(run.metrics("itl_mean")[()], statistics.fmean(gaps), "itl_mean")
    [load] = run.of_kind("model")
    assert_close(report["load_model"]["latency"]["mean"], load["load_ns"] * 1e-9, "load_model")

    windows = {(one["phase"], one["label"]): one for one in run.of_kind("window")}
    for target, label in {"prefill": "prefill", "generate": "generate", "decode": "generate"}.items():
        peaks = windows["memory", label]["memory"]
        [peak] = [one["peak"]["value"] for one in peaks if one["kind"] == "process-resident"]
        assert_close(report[target]["memory"]["max_ram"], peak / 1e6, f"{target} max_ram")
    energies = {}
    for label in ("prefill", "generate"):
        total = windows["energy", label]["energy_total"].get("value")
        runs = sum(one["window"]["label"] == label for one in phase("energy"))
        energies[label] = None if total is None else total / 3.6e6 / runs
    if None in energies.values():
        assert report["decode"]["energy"]["total"] is None and report["decode"]["efficiency"]["value"] is None
        assert any("no energy" in warning for warning in run.record["warnings"])
    else:
        energies["decode"] = energies["generate"] - energies["prefill"]
        for target, volume in {**volumes, "generate": batch}.items():
            assert_close(report[target]["energy"]["total"], energies[target], f"{target} energy")
            assert_close(report[target]["efficiency"]["value"], volume / energies[target], f"{target} efficiency")

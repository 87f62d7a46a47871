"""What scripts/inferencex reports follows from the token times and windows in the record."""

import json
import math
import statistics

from .comparison import assert_close, percentile

# Models are on the CPU unless `--device` says otherwise, also on a machine with a GPU. So none is monitored.
NO_GPU = ["invalid_expected_gpu_count", "telemetry_file_missing"]


def statistics_of(name: str, values: list[float]) -> dict[str, float]:
    """The statistics of latencies in s under the tool's names, in ms."""
    found = {"mean": statistics.fmean(values), "median": statistics.median(values), "std": statistics.pstdev(values)}
    found |= {f"p{p:g}": percentile(values, p) for p in (90, 99, 99.9)}
    return {f"{statistic}_{name}_ms": 1e3 * value for statistic, value in found.items()}


def cpu_energy(window: dict) -> float:
    """The energy of the CPU's packages and memory in J. Domains within a package are not in the total a second time."""
    covered = {one["domain"] for one in window["energy_covers"] if one["device"] == "cpu"}
    parts = [one for one in window["energy"] if one["device"] == "cpu" and one["domain"] in covered]
    return math.fsum(part["energy"]["value"] for part in parts)


def check(run_of) -> None:
    isl, osl, ratio = 24, 10, 0.75
    parameters = {"seq-lens": f"{isl}_{osl}", "conc": "1,2", "random-range-ratio": ratio, "num-prompts": 6}
    run = run_of("inferencex", parameters)
    sequences = run.of_kind("batch-sequence")
    windows = run.of_kind("window")
    assert len(json.loads(run.artifacts["agg_bmk.json"])) == 2
    for index, conc in enumerate((1, 2)):
        name = f"{isl}_{osl}_conc{conc}"
        result = json.loads(run.artifacts[f"{name}.json"])
        agg = json.loads(run.artifacts[f"agg_{name}.json"])
        of = lambda phase: [one["sequence"] for one in sequences if one["label"] == name and one["phase"] == phase]
        warmups, served = of("warmup"), of("benchmark")
        assert len(warmups) == 2 * conc and len(served) == 6
        # The warm-up repeats the first request in its whole length.
        first = min(served, key=lambda one: one["submitted_ns"])
        assert {(one["prompt_tokens"], len(one["tokens"])) for one in warmups} == {
            (result["input_lens"][0], result["output_lens"][0])
        }
        assert first["prompt_tokens"] in result["input_lens"]
        prompts = [one["prompt_tokens"] for one in served]
        outputs = [len(one["tokens"]) for one in served]
        assert sorted(prompts) == sorted(result["input_lens"]) and sorted(outputs) == sorted(result["output_lens"])
        for lens, longest in ((prompts, isl), (outputs, osl)):
            assert all(int(ratio * longest) <= length <= longest for length in lens), lens
        # At no time are more than `conc` requests sent and not ended.
        edges = [(one["submitted_ns"], 1) for one in served] + [(one["token_ns"][-1], -1) for one in served]
        running = most = 0
        for _, change in sorted(edges):
            running += change
            most = max(most, running)
        assert most == conc, (most, conc)

        latencies = {"ttft": [], "tpot": [], "itl": [], "e2el": []}
        for one in served:
            sent, times = one["submitted_ns"], one["token_ns"]
            latencies["ttft"].append((times[0] - sent) * 1e-9)
            latencies["e2el"].append((times[-1] - sent) * 1e-9)
            latencies["tpot"].append((times[-1] - times[0]) * 1e-9 / (len(times) - 1))
            latencies["itl"] += [(after - before) * 1e-9 for before, after in zip(times, times[1:])]
        for latency, values in latencies.items():
            for field, value in statistics_of(latency, values).items():
                assert_close(result[field], value, f"{name} {field}")
                assert_close(agg[field.replace("_ms", "")], value / 1e3, f"{name} {field} in s")
                if latency == "tpot":
                    interactivity = field.replace("_ms", "").replace("tpot", "intvty")
                    assert_close(agg[interactivity], 1e3 / value, f"{name} {interactivity}")

        window = [one for one in windows if one["label"] == "benchmark"][index]
        seconds = window["wall_ns"] * 1e-9
        assert_close(result["duration"], seconds, "duration")
        started, ended = window["started_ns"], window["started_ns"] + window["wall_ns"]
        assert started <= min(one["submitted_ns"] for one in served)
        assert max(one["token_ns"][-1] for one in served) <= ended
        totals = {"tput": sum(prompts) + sum(outputs), "output_tput": sum(outputs), "input_tput": sum(prompts)}
        labels = tuple(map(str, (conc, isl, osl)))
        for field, tokens in totals.items():
            rate = tokens / seconds / window["devices_used"]
            assert_close(agg[f"{field}_per_device"], rate, field)
            assert_close(run.metrics(f"{field}_per_device")[labels], rate, field)
            assert agg[f"{field}_per_gpu"] is None and f"{field}_per_gpu" in agg["null_reasons"]
        assert set(agg["null_reasons"]) == {field for field, value in agg.items() if value is None}
        validation = json.loads(run.artifacts[f"power_validation_{name}.json"])
        assert agg["power_valid"] == 0 and validation["reasons"] == NO_GPU
        energies = run.metrics("total_cpu_energy_j")
        if energies:
            joules = cpu_energy(window)
            assert_close(energies[labels], joules, "total_cpu_energy_j")
            assert_close(run.metrics("cpu_joules_per_output_token")[labels], joules / sum(outputs), "J/token")

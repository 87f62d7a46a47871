"""Computes the results of scripts/ai-energy-score again from the record, for both versions of the protocol."""
import csv
import io
import json
import math
import statistics

from .comparison import assert_close

WARMUPS, RUNS, TOKENS = 2, 2, 7
PROMPTS = 4
"""The built-in ones."""


def check(run_of) -> None:
    common = {"runs": RUNS, "scores": "0.1,5"}
    check_v1(run_of("ai-energy-score", common | {"protocol": "v1", "warmup-runs": WARMUPS, "max-new-tokens": TOKENS}))
    check_v2(run_of("ai-energy-score", common | {"protocol": "v2", "model-class": "A"}))


def energies_of(window: dict) -> dict[str, float | None]:
    """The energies of a window by part, in Wh, of the domains that its total covers."""
    covered = [(one["device"], one["domain"]) for one in window.get("energy_covers", [])]
    known = [one for one in window["energy"] if (one["device"], one["domain"]) in covered]
    parts: dict[str, list] = {"cpu": [], "ram": [], "gpu": []}
    for one in known:
        kind = "ram" if one["domain"].startswith("dram") else "cpu"
        parts[kind if one["device"] == "cpu" else "gpu"].append(one["energy"].get("value"))
    sums = {part: None if not each or None in each else math.fsum(each) / 3600 for part, each in parts.items()}
    total = window.get("energy_total", {}).get("value")
    return sums | {"total": None if total is None else total / 3600}


def minus(one: dict, other: dict) -> dict:
    return {part: None if None in (one[part], other[part]) else one[part] - other[part] for part in one}


def assert_energies(found: dict, expected: dict, what: str) -> None:
    for part, value in expected.items():
        if value is None:
            assert found[part] is None, f"{what} {part}"
        else:
            assert_close(found[part], value / 1000, f"{what} {part}")


def assert_score(run, totals: list[dict], queries: int) -> None:
    """The score is the mean over runs of the GPUs' energy, and without a GPU there is none."""
    for part, name in (("gpu", "wh_per_1000_queries"), ("cpu", "cpu_wh_per_1000_queries")):
        values = [total[part] for total in totals]
        if None in values:
            assert run.metrics(name) == {}, name
        else:
            assert_close(run.metrics(name)[()], statistics.fmean(values) / queries * 1000, name)
    if run.metrics("wh_per_1000_queries"):
        score = run.metrics("wh_per_1000_queries")[()]
        low, high = min(score, 0.1), max(score, 5.0)
        assert run.metrics("stars")[()] == 5 - min(4, int(5 * (score - low) / (high - low)))
    else:
        assert any("no score" in warning for warning in run.record["warnings"])
        assert run.metrics("stars") == {}


def check_v1(run) -> None:
    windows = {(one["phase"], one["label"]): one for one in run.of_kind("window")}
    generations = run.of_kind("generation")
    totals = []
    for number in range(1, RUNS + 1):
        phase = f"run_{number}"
        asked = lambda name: [
            [len(sequence["tokens"]) for sequence in one["sequences"]]
            for one in generations
            if one["window"]["phase"] == f"{phase}/{name}"
        ]
        assert asked("warmup") == [[TOKENS]] + [[2]] * WARMUPS
        assert asked("prefill") == [[1]] * PROMPTS
        assert asked("generate") == [[TOKENS]] * PROMPTS
        names = ("preprocess_dataset", "prefill", "generate")
        preprocess, prefill, generate = (energies_of(windows[f"{phase}/{name}", name]) for name in names)
        decode = minus(generate, prefill)
        report = json.loads(run.artifacts[f"benchmark_report_{number}.json"])
        assert list(report) == ["load_dataset", "preprocess_dataset", "load_model", "prefill", "decode"]
        for name, expected in (("preprocess_dataset", preprocess), ("prefill", prefill), ("decode", decode)):
            assert report[name]["energy"]["unit"] == "kWh"
            assert_energies(report[name]["energy"], expected, name)
        for name, energy, volume in (("prefill", prefill, PROMPTS), ("decode", decode, PROMPTS * (TOKENS - 1))):
            if energy["total"] is not None and energy["total"] > 0:
                assert_close(report[name]["efficiency"]["value"], volume / energy["total"] * 1000, f"{name} efficiency")
        parts = (preprocess, prefill, decode)
        totals.append({key: None if None in [one[key] for one in parts] else sum(one[key] for one in parts) for key in decode})
    assert_score(run, totals, PROMPTS)
    summary = json.loads(run.artifacts["GPU_ENERGY_SUMMARY.json"])
    assert (summary["units"], summary["format"]) == ("Wh", "optimum")
    if totals[0]["gpu"] is None:
        assert summary["total"] is None and summary["reason"] and "GPU_ENERGY_WH.txt" not in run.artifacts
    else:
        assert summary["total"] == round(statistics.fmean(one["gpu"] for one in totals), 2)


def check_v2(run) -> None:
    windows = [one for one in run.of_kind("window") if one["label"] == "inference"]
    rows = list(csv.DictReader(io.StringIO(run.artifacts["master_results.csv"])))
    assert len(windows) == len(rows) == RUNS
    generations = run.of_kind("generation")
    for number, (window, row) in enumerate(zip(windows, rows, strict=True), 1):
        ran = [one for one in generations if one["window"]["phase"] == f"run_{number}/inference"]
        sequences = [sequence for one in ran for sequence in one["sequences"]]
        assert len(sequences) == len(ran) == PROMPTS
        assert all(len(one["tokens"]) <= 10 for one in sequences)
        prompt, completion = (sum(len(one["tokens"]) if key else one["prompt_tokens"] for one in sequences) for key in (0, 1))
        report = json.loads(run.artifacts[f"benchmark_report_{number}.json"])
        summary, seconds = report["summary"], window["wall_ns"] * 1e-9
        assert (summary["total_prompt_tokens"], summary["total_completion_tokens"]) == (prompt, completion)
        assert_close(summary["total_duration_seconds"], seconds, "duration")
        assert_close(summary["throughput_tokens_per_second"], (prompt + completion) / seconds, "throughput")
        ttft = statistics.fmean((one["token_ns"][0] - one["submitted_ns"]) * 1e-9 for one in sequences)
        assert_close(summary["measured_time_to_first_token"], ttft, "measured_time_to_first_token")
        # A latency is from before the call to after it.
        shortest = statistics.fmean((one["token_ns"][-1] - one["submitted_ns"]) * 1e-9 for one in sequences)
        assert shortest - 1e-9 <= summary["avg_latency_seconds"] <= seconds / PROMPTS + 1e-9
        energies = energies_of(window)
        for part, value in energies.items():
            expected = value
            found = report["energy"][f"{part}_energy_wh"]
            assert found is None if expected is None else math.isclose(found, expected, rel_tol=1e-9), part
        assert (row["model_class"], row["task"], row["reasoning_state"], row["error_message"]) == ("A", "text_gen", "Off", "")
        assert (row["total_prompts"], row["failed_prompts"]) == (str(PROMPTS), "0")
        assert row["total_tokens"] == str(prompt + completion)
        assert row["total_duration_seconds"] == f"{seconds:.2f}"
        gpu = energies["gpu"]
        assert row["gpu_energy_wh"] == ("" if gpu is None else f"{gpu:.4f}")
        assert row["wh_per_1000_queries"] == ("" if gpu is None else f"{gpu / PROMPTS * 1000:.4f}")
    assert_score(run, [energies_of(window) for window in windows], PROMPTS)

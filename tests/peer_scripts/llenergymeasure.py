"""Checks what scripts/llenergymeasure reports against its record: times of tokens, the window, the baseline."""

import json
import statistics

from .comparison import assert_close, percentile


def _check_latencies(stats: dict, sequences: list[dict]) -> None:
    ttft = [(one["token_ns"][0] - one["submitted_ns"]) * 1e-6 for one in sequences]
    trimmed, full = [], []
    for one in sequences:
        times = [one["submitted_ns"], *one["token_ns"]]
        gaps = [(after - before) * 1e-6 for before, after in zip(times, times[1:])]
        full += gaps[1:]
        if len(gaps) >= 3:
            trimmed += gaps[1:-1]
    assert (stats["ttft_samples"], stats["itl_samples"]) == (len(ttft), len(trimmed))
    for name, values in (("ttft", ttft), ("itl", trimmed), ("itl_full", full)):
        expected = {"mean": statistics.fmean(values), "median": statistics.median(values), "min": min(values), "max": max(values)}
        expected |= {f"p{p}": percentile(values, p) for p in (95, 99)}
        for statistic, value in expected.items():
            if f"{name}_{statistic}_ms" in stats:
                assert_close(stats[f"{name}_{statistic}_ms"], value, f"{name} {statistic}")


def check(run_of) -> None:
    size, new = 3, 6
    parameters = {"n-prompts": 7, "batch-size": size, "max-output-tokens": new, "prompt-tokens": 12, "ignore-eos": "true"}
    parameters |= {"baseline-duration-seconds": 1, "thermal-floor-seconds": 0.5, "warmup-n-prompts": 2}
    run = run_of("llenergymeasure", parameters)
    result = json.loads(run.artifacts["result.json"])
    generations = run.of_kind("generation")
    warmups = [one for one in generations if one["window"]["phase"] == "warmup"]
    batches = [one for one in generations if one["window"]["phase"] == "measure"]
    assert [len(one["sequences"]) for one in warmups] == [1] * 3
    assert [len(one["sequences"]) for one in batches] == [3, 3, 1]
    [window] = [one for one in run.of_kind("window") if one["label"] == "inference"]
    assert window["phase"] == "measure"
    # The rest lies between the warm-up and the window, and the baseline before the model.
    last = warmups[-1]["sequences"][0]["token_ns"][-1]
    assert window["started_ns"] - last >= 0.5e9
    phases = [one["phase"] for one in run.record["phases"] if "/" not in one["phase"]]
    assert phases == ["baseline", "load", "warmup", "measure"]

    lengths = [[one["prompt_tokens"] for one in batch["sequences"]] for batch in batches]
    padding = sum(max(part) * len(part) - sum(part) for part in lengths)
    prompt, generated = sum(map(sum, lengths)), 7 * new
    output = generated + padding
    assert (result["input_tokens"], result["output_tokens"]) == (prompt, output)
    assert run.metrics("generated_tokens")[()] == generated == window["activity"]["output_tokens"]
    seconds = window["wall_ns"] * 1e-9
    assert_close(result["total_inference_time_sec"], seconds, "time")
    assert_close(result["avg_tokens_per_second"], (prompt + output) / seconds, "rate")
    assert_close(result["flops_per_second"], result["total_flops"] / seconds, "FLOP/s")
    sequences = [one for batch in batches for one in batch["sequences"]]
    _check_latencies(result["latency_stats"], sequences)
    shares, waits = [], [(one["token_ns"][-1] - one["submitted_ns"]) * 1e-6 for one in sequences]
    for batch in batches:
        members = batch["sequences"]
        began = min(one["submitted_ns"] for one in members)
        ended = max(one["token_ns"][-1] for one in members)
        shares += [(ended - began) * 1e-6 / len(members)] * len(members)
    assert_close(result["extended_metrics"]["request_latency"]["e2e_latency_mean_ms"], statistics.fmean(shares), "share")
    assert_close(run.metrics("e2el_mean_ms")[()], statistics.fmean(waits), "e2el")
    assert_close(result["extended_metrics"]["batch"]["padding_overhead"], padding / (prompt + padding), "padding")
    assert any(one.startswith("short_measurement_duration") for one in result["measurement_warnings"]) == (seconds < 10)

    total = window["energy_total"].get("value")
    if total is None:
        assert result["total_energy_j"] is None and result["energy_breakdown"] is None
        assert any(one.startswith("energy_measurement_unavailable") for one in result["measurement_warnings"])
        return
    [baseline] = run.of_kind("baseline")
    covered = {(one["device"], one["domain"]) for one in window["energy_covers"]}
    power = [one["power"]["value"] for one in baseline["power"] if (one["device"], one["domain"]) in covered]
    assert_close(result["total_energy_j"], total, "energy")
    assert_close(result["avg_energy_per_token_j"], total / output, "energy of a token")
    assert_close(result["energy_breakdown"]["baseline_power_w"], sum(power), "power at rest")
    assert_close(result["energy_adjusted_j"], max(total - sum(power) * seconds, 0.0), "energy above rest")

"""Computes the results of scripts/token-power-bench again from the record and from the readings that it keeps."""
import json
import math
import statistics

from .comparison import assert_close

CONTEXTS, BATCHES, SAMPLES, OUTPUT = (6, 24), (1, 2), 4, 8


def check(run_of) -> None:
    shape = {"num-samples": SAMPLES, "output-tokens": OUTPUT, "ignore-eos": "true", "cpu-sample-interval": 0}
    grid = {"context-lengths": ",".join(map(str, CONTEXTS)), "batch-sizes": ",".join(map(str, BATCHES))}
    check_phases(run_of("token-power-bench", shape | grid))
    check_means(run_of("token-power-bench", shape | {"contract": "0.2", "batch-sizes": 2}))


def energy_at(readings: list, at: float) -> float:
    """A counter's energy at a moment, on the line between the readings around it."""
    for (before, low), (after, high) in zip(readings, readings[1:]):
        if before <= at <= after:
            return low + (high - low) * (at - before) / (after - before)
    raise AssertionError(f"no reading covers {at}")


def power_between(readings: list, start: float, end: float) -> float:
    """The integral of a power that is linear between readings, by its value at both ends and at each reading inside."""
    inside = [one for one in readings if start < one[0] < end]
    points = [(start, energy_at(readings, start)), *inside, (end, energy_at(readings, end))]
    return math.fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(points, points[1:]))


def assert_energy(found: dict, samples: dict, start: float, end: float, what: str) -> None:
    counters: dict[str, list] = {}
    for one in samples["rapl"]:
        [(domain, microjoules)] = one["energy_uj"].items()
        counters.setdefault(domain, []).append((one["timestamp_s"], microjoules / 1e6))
    for kind, prefix in (("cpu", "package"), ("dram", "dram")):
        of_kind = {domain: readings for domain, readings in counters.items() if domain.startswith(prefix)}
        counts = [sum(start <= at <= end for at, _ in readings) for readings in of_kind.values()]
        if not of_kind or min(counts) < 2 or end - start < 0.5:
            assert found[f"{kind}_energy_j"] is None, f"{what} {kind}"
            assert any(warning.lower().startswith((kind, "rapl")) for warning in found["warnings"]), what
        else:
            joules = sum(energy_at(each, end) - energy_at(each, start) for each in of_kind.values())
            assert math.isclose(found[f"{kind}_energy_j"], joules, rel_tol=1e-6), f"{what} {kind}"
    gpus: dict[str, list] = {}
    for one in samples["gpu"]:
        gpus.setdefault(one["gpu"], []).append((one["timestamp_s"], one["power_w"]))
    if not gpus or end - start < 1.0:
        assert found["gpu_energy_j"] is None, what
    elif found["gpu_energy_j"] is not None:
        assert_close(found["gpu_energy_j"], sum(power_between(each, start, end) for each in gpus.values()), what)
    assert found["system_energy_j"] is found["total_energy_j"] is found["energy_per_token_j"] is None
    known = [found[name] for name in ("gpu_energy_j", "cpu_energy_j", "dram_energy_j") if found[name] is not None]
    assert found["components_energy_j"] == (sum(known) if known else None)


def check_phases(run) -> None:
    results = json.loads(run.artifacts["results.json"])
    assert list(results) == [f"context_{context}_batch_{batch}" for context in CONTEXTS for batch in BATCHES]
    for name, result in results.items():
        assert result == json.loads(run.artifacts[f"{name}_result.json"])
        samples = json.loads(run.artifacts[f"{name}_power_samples.json"])
        context, batch = int(name.split("_")[1]), int(name.split("_")[3])
        assert (result["num_responses"], result["total_output_tokens"]) == (SAMPLES, SAMPLES * OUTPUT)
        seconds = result["end_s"] - result["start_s"]
        assert_close(result["output_tokens_per_s"], SAMPLES * OUTPUT / seconds, name)
        assert_energy(result["energy"], samples, result["start_s"], result["end_s"], name)
        [window] = [one for one in run.of_kind("window") if one["phase"] == name and one["label"] == "requests"]
        assert window["started_ns"] * 1e-9 <= result["start_s"] + 1e-9 and seconds <= window["wall_ns"] * 1e-9 + 1e-9
        assert window["activity"]["prompt_tokens"] == SAMPLES * context
        assert_host(run, window, {"batch_size": str(batch), "context": str(context)})
        if batch > 1:
            assert result["phase_status"] == "not_requested" and result["phases"] == []
            continue
        assert result["phase_status"] == "serial_host_boundaries"
        ran = [one["sequence"] for one in run.of_kind("batch-sequence") if one["phase"] == name]
        assert len(ran) == len(result["phases"]) == SAMPLES
        for event, sequence in zip(result["phases"], ran, strict=True):
            times = [at * 1e-9 for at in sequence["token_ns"]]
            assert (event["input_tokens"], event["output_tokens"]) == (context, OUTPUT)
            assert_close(event["submitted_s"], sequence["submitted_ns"] * 1e-9, "submitted_s")
            assert_close(event["first_token_s"], times[0], "first_token_s")
            assert_close(event["finished_s"], times[-1], "finished_s")
            assert event["submitted_s"] <= event["dispatch_completed_s"] <= event["first_token_s"] + 1e-9
            assert event["prefill_start_s"] == event["submitted_s"]
            assert_close(event["ttft_s"], times[0] - event["submitted_s"], "ttft_s")
            assert_close(event["prefill_proxy_s"], event["ttft_s"], "prefill_proxy_s")
            assert_close(event["decode_s"], times[-1] - times[0], "decode_s")
            assert_close(event["request_latency_s"], times[-1] - event["submitted_s"], "request_latency_s")
            assert_energy(event["prefill_proxy_energy"], samples, event["submitted_s"], times[0], "prefill")
            assert_energy(event["decode_energy"], samples, times[0], times[-1], "decode")
        for field in ("ttft_s", "decode_s", "request_latency_s"):
            found = value_of(run, field, {"batch_size": "1", "context": str(context)})
            assert_close(found, statistics.fmean(one[field] for one in result["phases"]), field)


def value_of(run, name: str, labels: dict) -> float | None:
    found = [one for one in run.record["metrics"] if one["name"] == name and one["labels"] == labels]
    return found[0]["quantity"]["value"] if found else None


def assert_host(run, window: dict, labels: dict) -> None:
    """The host's energies of prefill and decode, for any batch."""
    parts = window.get("energy_by_phase", {})
    work = window["activity"]
    for name, tokens in (("prefill", work["prompt_tokens"]), ("decode", work["output_tokens"] - SAMPLES)):
        expected = parts.get(name, {}).get("value")
        found = value_of(run, f"{name}_energy", labels)
        if expected is None:
            assert found is None, name
            continue
        assert_close(found, expected, name)
        assert_close(value_of(run, f"{name}_energy_per_token", labels), expected / tokens, name)


def check_means(run) -> None:
    [result] = json.loads(run.artifacts["results.json"]).values()
    samples = json.loads(run.artifacts["batch_2_power_samples.json"])
    generations = [one for one in run.of_kind("generation") if one["window"]["phase"] == "batch_2"]
    assert [len(one["sequences"]) for one in generations] == [2, 2]
    tokens = sum(len(sequence["tokens"]) for one in generations for sequence in one["sequences"])
    assert (result["responses"], result["counted_output_tokens"]) == (SAMPLES, tokens)
    counters = [one["energy_uj"]["package-0"] for one in samples["rapl"] if "package-0" in one["energy_uj"]]
    assert (result["cpu_energy"] is None) == (len(counters) < 2)
    if result["cpu_energy"] is not None:
        assert_close(result["cpu_energy"], result["cpu_avg_power"] * result["duration"], "cpu_energy")
        assert_close(result["cpu_energy_per_counted_token"], result["cpu_energy"] / tokens, "cpu_energy_per_counted_token")
        assert_close(result["cpu_energy_per_response"], result["cpu_energy"] / (len(counters) - 1), "cpu_energy_per_response")
    estimate = result["total_output_tokens"]
    if result["total_energy"] is not None and estimate:
        assert_close(result["energy_per_token"], result["total_energy"] / estimate, "energy_per_token")
    assert result["gpu_energy"] is None or samples["gpu"]

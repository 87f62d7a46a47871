"""The verdicts of the benchmark's own validator (`scripts/validate_results.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

TDP = {"H100": 700.0, "H200": 700.0, "B200": 1000.0}
"""The thermal design power of the GPUs that the validator knows, in W."""

SHORTEST_STEADY_STATE = 30.0
"""In s."""

COOLEST, HOTTEST = 20.0, 95.0
"""The bounds of a GPU's temperature, in Cel."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A verdict of the validator."""

    name: str
    passed: bool | None
    """`None` if it cannot be told, with the reason in the message."""
    message: str
    severity: str = "error"
    """`error` makes a run invalid, `warning` does not."""

    def as_report(self) -> dict[str, object]:
        return asdict(self)


def validate(result: Mapping[str, Any], stats: Mapping[str, float], reason: str | None) -> list[Expectation]:
    """Returns the verdicts on a result file and the steady state's means. `reason` says why energies are missing."""
    return [
        _completion(result),
        _request_success(result["results"]),
        _output_length(result),
        _batch_size(result, stats.get("vllm:num_requests_running")),
        _duration(result),
        _metrics(result, reason),
        _power(result),
        _temperature(result),
    ]


def _completion(result: Mapping[str, Any]) -> Expectation:
    completed, asked = result["completed"], result["num_prompts"]
    text = f"{completed}/{asked} requests completed"
    return Expectation("Completion", completed == asked, text if completed == asked else f"Only {text}")


def _request_success(results: Sequence[Mapping[str, Any]]) -> Expectation:
    failed, total = sum(not one["success"] for one in results), len(results)
    message = f"{failed}/{total} requests failed" if failed else f"All {total} requests succeeded"
    return Expectation("Request Success", failed == 0, message)


def _output_length(result: Mapping[str, Any]) -> Expectation:
    name, cap = "Output Length", result["max_output_tokens"]
    if not isinstance(cap, int):
        return Expectation(name, None, f"max_output_tokens is {cap!r}, no number", "warning")
    lengths = sorted(one["output_len"] for one in result["results"])
    count = len(lengths)
    share = sum(length >= cap for length in lengths) / count
    # The validator's percentiles are ranks, not interpolated.
    p50, p90, p99 = lengths[count // 2], lengths[int(count * 0.90)], lengths[int(count * 0.99)]
    statistics = f"mean={sum(lengths) / count:.0f}, p50={p50}, p90={p90}, p99={p99}, max={lengths[-1]}"
    return Expectation(name, share < 0.3, f"{share:.1%} hit limit; {statistics}", "warning")


def _batch_size(result: Mapping[str, Any], running: float | None) -> Expectation:
    name, most = "Batch Size Saturation", result["max_num_seqs"]
    if running is None:
        return Expectation(name, False, "vllm:num_requests_running not in steady_state_stats")
    share = running / most
    message = f"Avg batch size {running:.1f} is {share:.1%} of max_num_seqs={most}"
    return Expectation(name, share >= 0.8, message, "warning")


def _duration(result: Mapping[str, Any]) -> Expectation:
    seconds = result["steady_state_duration"]
    is_long = seconds >= SHORTEST_STEADY_STATE
    return Expectation("Steady State Duration", is_long, f"{seconds:.1f}s ({'>=' if is_long else '<'}30s)")


def _metrics(result: Mapping[str, Any], reason: str | None) -> Expectation:
    name, throughput = "Metrics Valid", result["output_throughput"]
    energy, per_token = result["steady_state_energy"], result["steady_state_energy_per_token"]
    issues = [f"throughput={throughput}"] if throughput <= 0.0 else []
    if energy is None or per_token is None:
        if issues:
            return Expectation(name, False, f"Invalid metrics: {issues[0]}")
        return Expectation(name, None, f"steady_state_energy is null: {reason}")
    if energy <= 0.0:
        issues.append(f"energy={energy}")
    if per_token <= 0.0:
        issues.append(f"energy/tok={per_token}")
    elif per_token > 100.0:
        issues.append(f"energy/tok={per_token:.2f} (>100J)")
    if issues:
        return Expectation(name, False, "Invalid metrics: " + ", ".join(issues))
    return Expectation(name, True, f"throughput={throughput:.1f}, energy/tok={per_token:.4f}")


def _power(result: Mapping[str, Any]) -> Expectation:
    name, by_gpu = "Power Range", result["timeline"]["power"]["device_instant"]
    if not by_gpu:
        return Expectation(name, True, "No power readings in timeline", "warning")
    model = result["gpu_model"] or ""
    tdp = next((watts for word, watts in TDP.items() if word in model), None)
    if tdp is None:
        return Expectation(name, True, f"Unknown GPU model: {model}", "warning")
    watts = [power for readings in by_gpu.values() for _, power in readings]
    if not watts:
        return Expectation(name, False, "No power readings found")
    outside = sum(not 70.0 <= power <= tdp * 1.7 for power in watts)
    mean = sum(watts) / len(watts)
    message = f"device_instant=avg={mean:.0f}W, range=[{min(watts):.0f}, {max(watts):.0f}]W, TDP={tdp:.0f}W"
    return Expectation(name, outside == 0, message + (f" ({outside} issues)" if outside else ""), "warning")


def _temperature(result: Mapping[str, Any]) -> Expectation:
    """Compares the lowest and highest temperature, which the host keeps. The validator counts readings outside."""
    name, extremes = "Temperature Range", result["llem"]["temperature_range"]
    if not extremes:
        return Expectation(name, None, "no GPU's temperature was read")
    lowest, highest = min(low for low, _ in extremes.values()), max(high for _, high in extremes.values())
    message = f"range=[{lowest:.0f}, {highest:.0f}]°C"
    if COOLEST <= lowest and highest <= HOTTEST:
        return Expectation(name, True, message, "warning")
    return Expectation(name, None, f"{message}: how many readings are outside is not known")

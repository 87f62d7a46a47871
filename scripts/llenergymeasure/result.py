"""The result under LLenergyMeasure's names (`domain/experiment.py`, `harness/result_assembly.py`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from extended import extended_metrics, throttle
from latency import latency_stats
from llem_sdk import Metric, Quantity, Reading, Source, Unavailable, facts, report
from llem_sdk.statistics import mean, percentile
from llem_sdk.wait import NS
from measured import Experiment, flops, warnings

BUNDLE_VERSION = "2.0"


def as_result(of: Experiment) -> dict[str, Any]:
    """Returns the content of `result.json` in version 2.0 of the bundle.

    An energy that is not known is null. The tool writes 0.0 there as a placeholder, with the same warning.
    """
    info, measured, seconds = of.model.info(), of.measurement, of.seconds
    energy, adjusted = (_value(one) for one in (measured.energy_total, of.adjusted_energy()))
    total, each = of.input_tokens + of.output_tokens, of.device_energies()
    operations = flops(of.model, total)
    rate = total / seconds if seconds > 0.0 else 0.0
    per_output = energy / of.output_tokens if energy is not None and of.output_tokens else None
    start = facts.run_began() + timedelta(seconds=measured.started * NS)
    latencies = latency_stats([one for batch in of.batches for one in batch.sequences])
    return {
        "bundle_version": BUNDLE_VERSION,
        "experiment_id": f"{info.source}_{start:%Y%m%d_%H%M%S}",
        "declared_config_hash": "llem-" + _digest(of),
        "llenergymeasure_version": None,
        "serving_mode": "offline",
        "engine": "llem",
        "model_name": _model_name(of),
        "input_tokens": of.input_tokens,
        "output_tokens": of.output_tokens,
        "total_tokens": total,
        "total_energy_j": energy,
        "total_inference_time_sec": seconds,
        "avg_tokens_per_second": rate,
        "avg_energy_per_token_j": per_output,
        "energy_per_token_mj_total": per_output and per_output * 1e3,
        "energy_per_token_mj_adjusted": adjusted / of.output_tokens * 1e3 if adjusted is not None else None,
        "total_flops": operations,
        "flops_per_output_token": operations / of.output_tokens if of.output_tokens else None,
        "flops_per_input_token": operations / of.input_tokens if of.input_tokens else None,
        "flops_per_second": operations / seconds if seconds > 0.0 else None,
        "energy_adjusted_j": adjusted,
        "energy_per_device_j": each,
        "energy_breakdown": _breakdown(of, energy, adjusted, start + timedelta(seconds=seconds)),
        "multi_gpu": None
        if each is None or len(each) < 2
        else {
            "num_gpus": len(each),
            "energy_per_gpu_j": each,
            "energy_total_j": energy,
            "energy_per_output_token_j": per_output,
        },
        "measurement_warnings": warnings(of),
        "warmup_excluded_samples": of.warmup and of.warmup.iterations_completed,
        "model_load_time_sec": info.load_time * NS,
        "reproducibility_notes": _notes(of),
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=seconds)).isoformat(),
        "aggregation": {"method": "single_process", "num_processes": 1},
        "throttle": throttle(of),
        "warmup_result": of.warmup and asdict(of.warmup),
        "latency_stats": latencies,
        "extended_metrics": extended_metrics(of, rate, energy, latencies),
    }


def as_schema_3(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the result in `schema_version` 3.0 (the repository at 5749371): mJ are per input and output token."""
    renamed = {
        "declared_config_hash": "measurement_config_hash",
        "throttle": "thermal_throttle",
        "energy_per_token_mj_total": "mj_per_tok_total",
        "energy_per_token_mj_adjusted": "mj_per_tok_adjusted",
    }
    left_out = ("bundle_version", "llenergymeasure_version", "serving_mode", "input_tokens", "output_tokens")
    fields = {renamed.get(name, name): value for name, value in result.items() if name not in left_out}
    tokens, axes = result["total_tokens"], result["throttle"]
    for name, energy in (("total", result["total_energy_j"]), ("adjusted", result["energy_adjusted_j"])):
        fields[f"mj_per_tok_{name}"] = None if energy is None or not tokens else energy / tokens * 1e3
    if axes is not None:
        flags = {f"{part}_{axis}": axes[axis][part] for axis in ("thermal", "power") for part in ("hw", "sw")}
        either = {axis: axes[axis]["hw"] or axes[axis]["sw"] for axis in ("thermal", "power")}
        fields["thermal_throttle"] = either | flags | {"max_temperature_c": axes["max_temperature_c"]}
    power = result["energy_breakdown"]["baseline_power_w"]
    return {
        "schema_version": "3.0",
        **fields,
        "engine_version": facts.fact("llem-version"),
        "measurement_methodology": "total",
        "steady_state_window": [0.0, result["total_inference_time_sec"]],
        "baseline_power_w": power,
    }


def write(of: Experiment, schema: str) -> None:
    """Writes `result.json` and the metrics."""
    result = as_result(of)
    chosen = result if schema == BUNDLE_VERSION else as_schema_3(result)
    report.write_artifact("result.json", json.dumps(chosen, indent=2).encode())
    energy, adjusted = of.measurement.energy_total, of.adjusted_energy()
    tokens = float(of.output_tokens)
    readings: dict[str, Reading] = {
        "total_energy_j": energy,
        "energy_adjusted_j": adjusted,
        "baseline_power_w": of.baseline_power(),
        "avg_energy_per_token_j": _per(energy, tokens, "J/{token}"),
        "energy_per_token_mj_adjusted": _per(adjusted, tokens / 1e3, "mJ/{token}"),
        "energy_per_generated_token": _per(energy, float(of.generated_tokens), "J/{token}"),
    }
    for name, unit in (
        ("total_inference_time_sec", "s"),
        ("avg_tokens_per_second", "{token}/s"),
        ("total_flops", "FLOP"),
        ("flops_per_second", "FLOP/s"),
    ):
        readings[name] = Quantity.exact(result[name], unit, Source.DERIVED)
    readings["generated_tokens"] = Quantity.exact(of.generated_tokens, "{token}", Source.COUNTED)
    for name, value in (result["latency_stats"] or {}).items():
        if name.endswith("_ms") and value is not None:
            readings[name] = Quantity.exact(value, "ms", Source.DERIVED)
    # What the tool divides by the size of the batch, as a client sees it.
    waits = [one.tokens[-1] - one.submitted for batch in of.batches for one in batch.sequences if one.tokens]
    for name, of_waits in (("mean", mean(waits)), ("p95", percentile(waits, 95.0)), ("p99", percentile(waits, 99.0))):
        if of_waits is not None:
            readings[f"e2el_{name}_ms"] = Quantity.exact(of_waits, "ms", Source.DERIVED)
    reasons: dict[str, list[str]] = {}
    for name, reading in readings.items():
        if reading:
            report.add_metric(Metric(name, reading))
        else:
            reasons.setdefault(reading.reason, []).append(name)
    for reason, names in reasons.items():
        report.warn(f"{', '.join(names)}: {reason}")
    # The host has warned of what its measurement says, and the missing energy is told above.
    for warning in warnings(of):
        if warning not in of.measurement.warnings and not warning.startswith("energy_measurement_unavailable"):
            report.warn(warning)


def _breakdown(of: Experiment, energy: float | None, adjusted: float | None, now: datetime) -> dict[str, object] | None:
    if energy is None:
        return None
    power, baseline = of.baseline_power(), of.baseline
    if not power or baseline is None:
        return {"raw_j": energy, "baseline_method": "unavailable"}
    return {
        "raw_j": energy,
        "adjusted_j": adjusted,
        "baseline_power_w": power.value,
        "baseline_method": "cached" if baseline.from_earlier_run else "fresh",
        "baseline_timestamp": datetime.fromtimestamp(baseline.measured_at, now.tzinfo).isoformat(),
        "baseline_cache_age_sec": max(now.timestamp() - baseline.measured_at, 0.0),
    }


def _model_name(of: Experiment) -> str:
    energy, source = of.measurement.energy_total, of.model.info().source
    return f"simulated: {source}" if energy and energy.source == Source.SIMULATED else source


def _notes(of: Experiment) -> str:
    energy = of.measurement.energy_total
    covers = ", ".join(f"{one.device} {one.domain}" for one in of.measurement.energy_covers)
    shown = f"{energy.in_two_digits()} J ({energy.source}) of {covers}" if energy else f"not measured: {energy.reason}"
    version = facts.fact("llem-version")
    return (
        f"written by llem {version} with LLenergyMeasure's protocol; energy {shown}; FLOPs are 2 x parameters x tokens"
    )


def _digest(of: Experiment) -> str:
    """Returns digits that are equal for equal models, prompts' lengths and batches."""
    told = [of.model.info().digest, of.batch_size, [batch.prompt_lengths for batch in of.batches]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _per(energy: Reading, count: float, unit: str) -> Reading:
    return (energy.per(count, unit) or Unavailable("no token was generated")) if energy else energy


def _value(reading: Reading) -> float | None:
    return reading.value if reading else None

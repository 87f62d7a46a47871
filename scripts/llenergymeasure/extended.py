"""The parts `throttle` and `extended_metrics` (`domain/extended_metrics.py`, `device/power_thermal.py`)."""

from __future__ import annotations

from typing import Any

from latency import request_latency
from llem_sdk import Measurement, devices
from llem_sdk.statistics import mean
from measured import Experiment

MIB = 1024 * 1024


def throttle(of: Experiment) -> dict[str, Any] | None:
    """Returns `throttle` of the accelerators. How long they were throttled is not known, so that field is left out."""
    if not (accelerators := of.accelerators()):
        return None
    reasons = " ".join(word for one in of.measurement.throttled for word in one.reasons).lower().replace("_", "-")
    peaks = [course.max for course in of.measurement.temperatures() if course.device in accelerators]
    return {
        "thermal": {"hw": "hw-thermal" in reasons, "sw": "sw-thermal" in reasons},
        "power": {"hw": "power-brake" in reasons, "sw": "power-cap" in reasons},
        "max_temperature_c": max(peaks, default=None),
    }


def extended_metrics(
    of: Experiment, rate: float, energy: float | None, latencies: dict[str, Any] | None
) -> dict[str, Any]:
    """Returns `extended_metrics` (`compute_extended_metrics`)."""
    if of.output_tokens == 0:
        return {}
    count = sum(len(batch.prompt_lengths) for batch in of.batches)
    padding, effective = sum(batch.padding for batch in of.batches), count / len(of.batches)
    return {
        "tpot_ms": latencies and latencies["itl_mean_ms"],
        "token_efficiency_index": rate * of.output_tokens / energy if energy else None,
        "memory": _memory(of),
        "gpu_utilisation": {"sm_utilisation_mean": _utilisation(of)},
        "batch": {
            "effective_batch_size": effective,
            "batch_utilisation": effective / of.batch_size,
            "padding_overhead": padding / (of.input_tokens + padding),
            "num_batches": len(of.batches),
        },
        "request_latency": request_latency([(batch.time_ms, len(batch.prompt_lengths)) for batch in of.batches]),
    }


def _memory(of: Experiment) -> dict[str, float | None]:
    """Returns memory of the accelerators in MiB, which the tool calls MB: whole devices, as it reads from NVML."""
    accelerators = of.accelerators()
    if not accelerators:
        return {"model_memory_mb": None, "peak_memory_mb": None, "inference_memory_mb": None}

    def peak(measurement: Measurement) -> float | None:
        peaks = [one.peak for one in measurement.memory_peaks if one.kind == "device" and one.device in accelerators]
        known = [one.value / MIB for one in peaks if one]
        return max(known) if known and len(known) == len(peaks) else None

    sizes = [devices.find_device(device).memory_bytes for device in accelerators]
    model, highest = peak(of.load), peak(of.measurement)
    memory = {"model_memory_mb": model, "peak_memory_mb": highest}
    memory["inference_memory_mb"] = None if model is None or highest is None else max(highest - model, 0.0)
    memory["tokens_per_gb_vram"] = of.output_tokens / (highest / 1024) if highest else None
    if total := max((size for size in sizes if size), default=0) / MIB:
        memory["total_vram_mb"] = total
        memory["model_memory_utilisation"] = None if model is None else model / total
    return memory


def _utilisation(of: Experiment) -> float | None:
    courses = [
        one for one in of.measurement.courses if one.reading == "utilisation" and one.device in of.accelerators()
    ]
    return mean([course.mean for course in courses])

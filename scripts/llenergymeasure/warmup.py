"""LLenergyMeasure's warm-up (`harness/lifecycle.py`, `harness/warmup.py`).

A probe, then a fixed number of runs, or runs until latencies are steady; then a rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from latency import cv
from llem_sdk import meter
from llem_sdk.wait import NS, nanoseconds

MAX_NEW_TOKENS = 32
"""The most tokens of a warm-up run, which the tool has in `run_warmup_prompt`."""


@dataclass(frozen=True, slots=True)
class WarmupConfig:
    """The settings of the warm-up under the tool's names."""

    enabled: bool = True
    n_prompts: int = 5
    thermal_floor_seconds: float = 60.0
    convergence_detection: bool = False
    cv_threshold: float = 0.05
    max_prompts: int = 20
    window_size: int = 3
    min_prompts: int = 5


@dataclass(slots=True)
class WarmupResult:
    """The result of the warm-up under the tool's names."""

    converged: bool
    final_cv: float
    iterations_completed: int
    target_cv: float
    max_prompts: int
    latencies_ms: list[float] = field(default_factory=list)
    thermal_floor_wait_s: float = 0.0


def warm_up(config: WarmupConfig, run: Callable[[], float]) -> WarmupResult:
    """Warms up with `run`, which returns a latency in ms, and waits. The probe's latency does not count."""
    if not config.enabled:
        return WarmupResult(True, 0.0, 0, config.cv_threshold, config.max_prompts)
    run()
    result = until_converged(config, run)
    result.iterations_completed += 1
    began = meter.now()
    meter.sleep_until(began + nanoseconds(config.thermal_floor_seconds))
    result.thermal_floor_wait_s = (meter.now() - began) * NS
    return result


def until_converged(config: WarmupConfig, run: Callable[[], float]) -> WarmupResult:
    """Runs `n_prompts` times or, with convergence detection, until latencies are steady (`warmup_until_converged`)."""
    latencies: list[float] = []
    converged = not config.convergence_detection
    limit = config.max_prompts if config.convergence_detection else config.n_prompts
    while len(latencies) < limit:
        latencies.append(run())
        if config.convergence_detection and is_steady(latencies, config):
            converged = True
            break
    recent = latencies[-config.window_size :]
    final = cv(recent) if len(latencies) >= 2 else 0.0
    return WarmupResult(converged, final, len(latencies), config.cv_threshold, config.max_prompts, latencies)


def is_steady(latencies: Sequence[float], config: WarmupConfig) -> bool:
    """Tells whether every window of the last latencies is at or below the threshold, not only the last window."""
    size, least = config.window_size, max(config.min_prompts, config.window_size)
    if len(latencies) < least:
        return False
    last = latencies[-least:]
    return all(cv(last[start : start + size]) <= config.cv_threshold for start in range(least - size + 1))

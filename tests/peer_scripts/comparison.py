"""Statistics of Python's own, and comparisons of numbers with them."""

import math
import statistics


def assert_close(value: float, expected: float, what: str, tolerance: float = 1e-9) -> None:
    """Fails if two numbers differ by more than a share of them, or by more than sums of times are rounded."""
    assert math.isclose(value, expected, rel_tol=tolerance, abs_tol=1e-12), f"{what}: {value}, not {expected}"


def percentile(values: list[float], p: float) -> float:
    """Interpolates linearly between order statistics, as numpy does."""
    ordered = sorted(values)
    position = p / 100 * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def assert_latency(latency: dict, values: list[float], what: str) -> None:
    """Compares all statistics of a latency with those of the values that it must have been made of."""
    mean, stdev = statistics.fmean(values), statistics.pstdev(values)
    assert latency["unit"] == "s" and latency["count"] == len(values), what
    expected = {"total": math.fsum(values), "mean": mean, "stdev": stdev, "stdev_": 100 * stdev / mean}
    expected |= {f"p{p}": percentile(values, p) for p in (50, 90, 95, 99)}
    for name, value in expected.items():
        assert_close(latency[name], value, f"{what} {name}")

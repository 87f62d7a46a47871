"""The metrics of lm-evaluation-harness, aggregations and standard errors (`api/task.py`, `api/metrics.py`)."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llem_sdk import Error

Value = float | tuple[float, int] | tuple[int, tuple[float, ...]]
"""What a document contributes to a metric: a number, a log-likelihood with its words or bytes, or for `brier_score` the
right answer with the probabilities of the choices."""

CHUNK = 1000
"""The replicates that are drawn from one seed."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The score of a continuation."""

    total: float
    """The sum of the log-likelihoods of its tokens."""
    is_greedy: bool
    """Whether greedy decoding would give exactly this continuation."""


def multiple_choice(
    choices: Sequence[str], gold: int | str | list[Any], scores: Sequence[Likelihood], metrics: Sequence[str]
) -> dict[str, Value]:
    """Returns what a question contributes. The scores without a context follow those with it, if there are any."""
    count = len(choices)
    totals = [one.total for one in scores[:count]]
    golds = [_index(one, choices) for one in (gold if isinstance(gold, list) else [gold])]
    chosen = {
        "acc": _argmax(totals),
        "acc_norm": _argmax([_per(total, len(choice)) for total, choice in zip(totals, choices, strict=True)]),
        "acc_bytes": _argmax(
            [_per(total, len(choice.encode())) for total, choice in zip(totals, choices, strict=True)]
        ),
    }
    values: dict[str, Value] = {name: float(choice in golds) for name, choice in chosen.items()}
    values["exact_match"] = float(any(scores[one].is_greedy for one in golds if one >= 0))
    values["brier_score"] = (golds[0], tuple(_softmax(totals)))
    if "acc_mutual_info" in metrics:
        unconditional = [one.total for one in scores[count:]]
        differences = [one - other for one, other in zip(totals, unconditional, strict=True)]
        # The harness compares with the gold answer itself here, so a list of them never counts.
        values["acc_mutual_info"] = float(not isinstance(gold, list) and _argmax(differences) == golds[0])
    return {name: values[name] for name in metrics}


def loglikelihood(score: Likelihood, metrics: Sequence[str]) -> dict[str, Value]:
    """Returns what a continuation contributes."""
    values: dict[str, Value] = {"perplexity": score.total, "acc": float(score.is_greedy)}
    return {name: values[name] for name in metrics}


def rolling(total: float, text: str, metrics: Sequence[str]) -> dict[str, Value]:
    """Returns what a whole text contributes. Words are what stands between white space, also an empty one."""
    words, length = len(re.split(r"\s+", text)), len(text.encode())
    weights = {"word_perplexity": words, "byte_perplexity": length, "bits_per_byte": length}
    return {name: (total, weights[name]) for name in metrics}


def mean(values: Sequence[float]) -> float:
    """Returns the mean."""
    return sum(values) / len(values)


def perplexity(values: Sequence[float]) -> float:
    """Returns the exponential of the negative mean: over documents, whatever their lengths."""
    return math.exp(-mean(values))


def _weighted_mean(values: Sequence[tuple[float, int]]) -> float:
    totals, weights = zip(*values, strict=True)
    return float(sum(totals) / sum(weights))


def weighted_perplexity(values: Sequence[tuple[float, int]]) -> float:
    """Returns the perplexity of a word or a byte, over all documents together."""
    return math.exp(-_weighted_mean(values))


def bits_per_byte(values: Sequence[tuple[float, int]]) -> float:
    """Returns the bits of a byte, over all documents together."""
    return -_weighted_mean(values) / math.log(2)


def brier_score(values: Sequence[tuple[int, Sequence[float]]]) -> float:
    """Returns the mean squared distance of the choices' probabilities from the right answer."""
    distances = [
        sum((p - (index == gold)) ** 2 for index, p in enumerate(probabilities)) for gold, probabilities in values
    ]
    return mean(distances)


AGGREGATIONS: Mapping[str, Callable[[Any], float]] = {
    **dict.fromkeys(("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"), mean),
    "perplexity": perplexity,
    "word_perplexity": weighted_perplexity,
    "byte_perplexity": weighted_perplexity,
    "bits_per_byte": bits_per_byte,
    "brier_score": brier_score,
}

HIGHER_IS_BETTER = {name: function is mean for name, function in AGGREGATIONS.items()}


def stderr(metric: str, values: Sequence[Any], bootstrap_iters: int) -> float | None:
    """Returns the standard error of a metric, or `None` where the harness has "N/A"."""
    aggregation = AGGREGATIONS[metric]
    if bootstrap_iters <= 0 or len(values) < 2:
        return None
    if aggregation is mean:
        return sample_stddev(values) / math.sqrt(len(values))
    return bootstrap_stderr(perplexity, values, bootstrap_iters) if aggregation is perplexity else None


def sample_stddev(values: Sequence[float]) -> float:
    """Returns the standard deviation of a sample (divisor n - 1)."""
    average = mean(values)
    return math.sqrt(sum((value - average) ** 2 for value in values) / (len(values) - 1))


def bootstrap_stderr(function: Callable[[Sequence[float]], float], values: Sequence[float], iters: int) -> float:
    """Returns the standard deviation of a function of resampled values.

    Chunk i of a thousand replicates comes from Python's generator with the seed i, so that the result is the harness'
    to the last digits.
    """
    chunk, replicates = min(CHUNK, iters), []
    for seed in range(iters // chunk):
        draw = random.Random(seed)
        replicates += [function(draw.choices(values, k=len(values))) for _ in range(chunk)]
    return sample_stddev(replicates)


def _index(gold: int | str, choices: Sequence[str]) -> int:
    """Returns the index of the right answer, or -100 if there is none."""
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else -100
    if not isinstance(gold, int):
        raise Error.invalid_argument(f"doc-to-target gives {gold!r}, which is neither an index nor a choice")
    return gold if gold < len(choices) else -100


def _argmax(values: Sequence[float]) -> int:
    """Returns the first index of the highest value."""
    return max(range(len(values)), key=values.__getitem__)


def _per(total: float, length: int) -> float:
    # numpy's quotient of a negative number and zero.
    return total / length if length else -math.inf


def _softmax(values: Sequence[float]) -> list[float]:
    highest = max(values)
    powers = [math.exp(value - highest) for value in values]
    return [power / sum(powers) for power in powers]

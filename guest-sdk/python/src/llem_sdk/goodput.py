"""Goodput: the rate of requests that meet their service levels.

DistServe, arXiv 2401.09670, section 1, counted as in `vllm bench serve --goodput`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .completion import Completion, FinishReason
from .model_info import ModelInfo
from .policy import MetricsPolicy
from .quantity import Metric, Quantity, Source
from .schedule import Session
from .trial import Trial
from .wait import NS


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    """The highest latencies that a sequence may have. `None` means no limit."""

    ttft: float | None = None
    """The maximum time to first token, in ms."""
    tpot: float | None = None
    """The maximum time per output token after the first, in ms. A sequence with fewer than two tokens meets it."""
    e2el: float | None = None
    """The maximum end-to-end latency, in ms."""

    def are_met_by(self, completion: Completion) -> bool:
        """Returns true if a sequence meets all levels.

        A sequence that was interrupted or cancelled, or has no token, does not.
        """

        def within(level: float | None, seconds: float | None) -> bool:
            return level is None or (seconds is not None and 1e3 * seconds <= level)

        tpot = completion.tpot()
        return (
            completion.finish not in (FinishReason.INTERRUPTED, FinishReason.CANCELLED)
            and len(completion.tokens) > 0
            and within(self.ttft, completion.ttft())
            and within(self.tpot, 0.0 if tpot is None else tpot)
            and within(self.e2el, completion.e2el())
        )


class Goodput(MetricsPolicy):
    """A counter of sequences that meet their service levels.

    It is a metrics policy, and can also be part of another one.
    """

    def __init__(self, levels: ServiceLevels) -> None:
        """Creates a counter for these levels."""
        self._levels = levels
        self._met = 0
        # The time of the first submission and of the last token, in ns since the run began.
        self._span: tuple[int, int] | None = None

    def count(self, trial: Trial) -> None:
        """Counts the sequences of a trial."""
        for one in trial.completions:
            self._met += self._levels.are_met_by(one)
            ended = one.token_times[-1] if one.token_times else one.submitted
            first, last = self._span or (one.submitted, ended)
            self._span = (min(first, one.submitted), max(last, ended))

    def rate(self, session: Session) -> Quantity | None:
        """Returns the number of sequences a second that met the levels, in {request}/s.

        The time is the session's wall time if the session was measured as a whole, otherwise the time from the first
        submission to the last token. Returns `None` if the time is zero or if no trial was counted.
        """
        if session.measurement is not None:
            duration = session.measurement.wall_time
        elif self._span is not None:
            duration = self._span[1] - self._span[0]
        else:
            return None
        return Quantity.exact(self._met, "{request}", Source.COUNTED).per(duration * NS, "{request}/s")

    def observe(self, trial: Trial) -> None:
        self.count(trial)

    def derive(self, model: ModelInfo, session: Session) -> Iterable[Metric]:
        rate = self.rate(session)
        return [] if rate is None else [rate.into_metric("request_goodput")]

"""The classes that the three policies of an experiment derive from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .about import About
from .model_info import ModelInfo
from .quantity import Metric
from .request import Request
from .schedule import Schedule, Session
from .trial import Trial


@dataclass(frozen=True, slots=True)
class Run:
    """Runs a request as the next step of a warm-up."""

    request: Request | None = None
    """The request to run. `None` means the first request of the workload."""
    max_new_tokens: int | None = None
    """Shortens the output to at most this many tokens. `None` leaves the request as it is."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits without running anything as the next step of a warm-up."""

    seconds: float
    """How long, in seconds."""


@dataclass(frozen=True, slots=True)
class Done:
    """Ends the warm-up."""

    reason: str
    """The reason, which goes to the record."""


WarmupStep = Run | Wait | Done
"""The next step of a warm-up."""


class WarmupPolicy(ABC):
    """Decides how the machine is warmed up."""

    @staticmethod
    def about() -> About:
        """Returns the description of a policy that is a component of its own."""
        raise NotImplementedError("a policy that is a component of its own has a static method `about`")

    @abstractmethod
    def next(self, history: Sequence[Trial]) -> WarmupStep:
        """Returns the next step. `history` holds all warm-up trials so far."""


class WorkloadPolicy(ABC):
    """Decides which requests are measured, and when they are sent."""

    @staticmethod
    def about() -> About:
        """Returns the description of a policy that is a component of its own."""
        raise NotImplementedError("a policy that is a component of its own has a static method `about`")

    def begin(self, model: ModelInfo) -> Schedule:
        """Returns how the requests are run on this model. It is called once, before all other functions.

        By default one request runs after another.
        """
        return Schedule()

    @abstractmethod
    def next(self, last: Trial | None) -> Request | None:
        """Returns the next request, or `None` at the end.

        `last` is a trial that has ended since the previous call, if there is one. In a continuous batch this is called
        before the arrival of the request. Trials that end after the last request are passed in further calls.
        """

    def total(self) -> int | None:
        """Returns the total number of requests for the progress display, if it is known."""
        return None


class MetricsPolicy(ABC):
    """Derives metrics from the measured trials."""

    @staticmethod
    def about() -> About:
        """Returns the description of a policy that is a component of its own."""
        raise NotImplementedError("a policy that is a component of its own has a static method `about`")

    @abstractmethod
    def observe(self, trial: Trial) -> None:
        """Records a measured trial as soon as it has ended.

        A policy that keeps all trials needs memory for every token of the run.
        """

    @abstractmethod
    def derive(self, model: ModelInfo, session: Session) -> Iterable[Metric]:
        """Returns the metrics of all observed trials. It is called once, at the end."""


Derive = Callable[[ModelInfo, Sequence[Trial]], Iterable[Metric]]
"""A function that derives metrics from the model and all trials."""


class MetricsFn(MetricsPolicy):
    """A metrics policy that calls a function with all trials. It keeps the trials in memory until the end."""

    def __init__(self, derive: Derive) -> None:
        self._derive = derive
        self._trials: list[Trial] = []

    def observe(self, trial: Trial) -> None:
        self._trials.append(trial)

    def derive(self, model: ModelInfo, session: Session) -> Iterable[Metric]:
        return self._derive(model, self._trials)

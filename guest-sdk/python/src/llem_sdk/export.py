"""Turns a module into a component: an experiment, or a single policy.

componentize-py looks for a class in the entry module whose name belongs to the exported interface: `Script`,
`WarmupPolicy`, `WorkloadPolicy` or `MetricsPolicy`. The functions here define it in the module that calls them. Under
an ordinary Python they do nothing else, so that a module can be imported and tested.

An exception that leaves the user's code is logged with its traceback and becomes the error of the call. Without this
the component would end by a trap, which names neither file nor line.
"""

from __future__ import annotations

import random as standard_random
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from . import _host, report
from ._traceback import Traceback, keep_sources
from .about import About
from .error import Error
from .inputs import seed
from .model_info import ModelInfo
from .policy import Done, MetricsPolicy, Run, WarmupPolicy, WarmupStep, WorkloadPolicy
from .report import Level, metric_to_host
from .request import Request
from .schedule import Session
from .trial import Trial
from .wait import nanoseconds

T = TypeVar("T")
Warmup = TypeVar("Warmup", bound=type[WarmupPolicy])
Workload = TypeVar("Workload", bound=type[WorkloadPolicy])
Metrics = TypeVar("Metrics", bound=type[MetricsPolicy])


def experiment(about: Callable[[], About], run: Callable[[], object]) -> None:
    """Makes the calling module an experiment. The value that `run` returns is ignored.

    llem_sdk.experiment(about, run)
    """

    class Script:
        def describe(self) -> Any:
            return _described(about)

        def run(self) -> None:
            def seeded_run() -> None:
                # The state of Python's own generator is the one that it had when the component was built.
                standard_random.seed(seed())
                run()

            _guarded(seeded_run)

    _define("Script", Script)


def warmup(policy: Warmup) -> Warmup:
    """Makes the calling module a warm-up policy. The class has a static method `about`.

    @llem_sdk.warmup
    class FirstWarmup(llem_sdk.WarmupPolicy): ...
    """
    state = _State(policy)

    class WarmupPolicy:
        def describe(self) -> Any:
            return _described(policy.about)

        def next(self, last: Any) -> Any:
            def step() -> Any:
                made = state.policy()
                if last is not None:
                    state.history.append(Trial.from_host(last))
                return _step_to_host(made.next(state.history))

            return _guarded(step)

    _define("WarmupPolicy", WarmupPolicy)
    return policy


def workload(policy: Workload) -> Workload:
    """Makes the calling module a workload policy. The class has a static method `about`.

    @llem_sdk.workload
    class FirstWorkload(llem_sdk.WorkloadPolicy): ...
    """
    state = _State(policy)

    class WorkloadPolicy:
        def describe(self) -> Any:
            return _described(policy.about)

        def begin(self, model: Any) -> Any:
            return _guarded(lambda: state.policy().begin(ModelInfo.from_host(model)).to_host())

        def next(self, last: Any) -> Any:
            def request() -> Any:
                made: Request | None = state.policy().next(None if last is None else Trial.from_host(last))
                return None if made is None else made.to_host()

            return _guarded(request)

    _define("WorkloadPolicy", WorkloadPolicy)
    return policy


def metrics(policy: Metrics) -> Metrics:
    """Makes the calling module a metrics policy. The class has a static method `about`.

    @llem_sdk.metrics
    class FirstMetrics(llem_sdk.MetricsPolicy): ...
    """
    state = _State(policy)

    class MetricsPolicy:
        def describe(self) -> Any:
            return _described(policy.about)

        def observe(self, trial: Any) -> None:
            _guarded(lambda: state.policy().observe(Trial.from_host(trial)))

        def derive(self, model: Any, session: Any) -> Any:
            def metrics() -> list[Any]:
                derived = state.policy().derive(ModelInfo.from_host(model), Session.from_host(session))
                return [metric_to_host(metric) for metric in derived]

            return _guarded(metrics)

    _define("MetricsPolicy", MetricsPolicy)
    return policy


class _State:
    """A policy that lives as long as the component. The first call creates it, not the build of the component."""

    def __init__(self, policy: Callable[[], Any]) -> None:
        self._create = policy
        self._policy: Any = None
        self.history: list[Trial] = []

    def policy(self) -> Any:
        """Returns the policy."""
        if self._policy is None:
            standard_random.seed(seed())
            self._policy = self._create()
        return self._policy


def _define(name: str, exported: type) -> None:
    """Defines the class that componentize-py looks for in the module that called the caller of this function."""
    sys._getframe(2).f_globals[name] = exported
    if _host.has_bindings:
        # The component is being built: the last moment at which there are files.
        keep_sources()


def _described(about: Callable[[], About]) -> Any:
    """Returns the description. `describe` has no error to return, so an exception is logged and ends the component."""
    # No run has begun, so there is no seed yet.
    standard_random.seed(0)
    try:
        return about().to_host()
    except BaseException as error:
        report.log(Level.ERROR, Traceback(error).text)
        raise


def _guarded(call: Callable[[], T]) -> T:
    """Calls the user's code. An exception is logged with its traceback and becomes the error of the call."""
    try:
        return call()
    except BaseException as error:
        traceback = Traceback(error)
        if isinstance(error, Error):
            # The sentence of an `Error` is for the reader of the record, its traceback for the author.
            report.log(Level.DEBUG, traceback.text)
            failed = error
        else:
            report.log(Level.ERROR, traceback.text)
            failed = Error.failed(traceback.summary)
    raise _host.failure(failed)


def _step_to_host(step: WarmupStep) -> Any:
    host = _host.warmup_policy
    if isinstance(step, Run):
        request = None if step.request is None else step.request.to_host()
        return host.Step_Run(host.Plan(request, step.max_new_tokens))
    if isinstance(step, Done):
        return host.Step_Done(step.reason)
    return host.Step_Wait(nanoseconds(step.seconds))

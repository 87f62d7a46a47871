"""The standard phases of an experiment.

    begin ──► (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, observe, ... ──► derive

If the workload's schedule has a continuous batch, all measured requests go into it instead (`batch_run.py`).
"""

from __future__ import annotations

from dataclasses import replace

from . import report
from .batch_run import BatchRun
from .error import Error
from .meter import Baseline
from .model import Model
from .policy import Derive, Done, MetricsFn, MetricsPolicy, Run, WarmupPolicy, WorkloadPolicy
from .report import Level, Phase
from .request import Request
from .schedule import Schedule, Session
from .trial import Trial
from .wait import sleep_for
from .warmups import FixedCount


class Experiment:
    """An experiment assembled from a warm-up policy, a workload and metrics.

    `run` runs its phases in order, each as a phase of the run record: `baseline`, `warmup`, `measure`, `derive`.

        Experiment(
            Model.load_granted(),
            warmup=CvConvergence(),
            workload=RequestList([Request.from_text("Why is the sky blue?", max_new_tokens=64)], rounds=10),
            metrics=derive,
        ).run()
    """

    def __init__(
        self,
        model: Model,
        *,
        workload: WorkloadPolicy,
        warmup: WarmupPolicy | None = None,
        metrics: MetricsPolicy | Derive | None = None,
        baseline: tuple[float, float] | None = None,
    ) -> None:
        """Creates an experiment on this model.

        The warm-up is `FixedCount()` by default. `metrics` is a policy that receives one trial after another, or a
        function of the model's properties and all trials, which are then kept in memory until the end.

        With `baseline=(length, lifetime)`, both in seconds, idle power is measured for `length` before the warm-up, so
        that every measurement also has its energy above idle. A baseline that an earlier run measured at most
        `lifetime` ago is used instead. A length of zero means no baseline.
        """
        self._model = model
        self._workload = workload
        self._warmup = warmup or FixedCount()
        self._metrics = metrics if metrics is None or isinstance(metrics, MetricsPolicy) else MetricsFn(metrics)
        self._baseline = baseline if baseline is not None and baseline[0] > 0.0 else None

    def run(self) -> None:
        """Runs all phases and reports the metrics. Fails if the workload has no request."""
        schedule = self._workload.begin(self._model.info())
        first = self._workload.next(None)
        if first is None:
            raise Error.failed("the workload has no request")
        if self._baseline is not None:
            with Phase("baseline"):
                Baseline.recall_or_measure(*self._baseline)
        with Phase("warmup"):
            self._warm_up(first)
        with Phase("measure"):
            session = self._measure(schedule, first)
        self._derive(session)

    def _warm_up(self, first: Request) -> None:
        history: list[Trial] = []
        while True:
            step = self._warmup.next(history)
            if isinstance(step, Run):
                request = step.request or first
                if step.max_new_tokens is not None:
                    request = replace(request, max_new_tokens=min(step.max_new_tokens, request.max_new_tokens))
                history.append(self._trial(len(history), request))
            elif isinstance(step, Done):
                report.log(Level.INFO, f"warm: {step.reason}")
                return
            else:
                sleep_for(step.seconds)

    def _measure(self, schedule: Schedule, first: Request) -> Session:
        if schedule.batch is not None:
            with self._model.open_batch(schedule.batch) as batch:
                return BatchRun(batch, schedule, self._workload, self._metrics).run(first)
        total = self._workload.total() or 0
        request: Request | None = first
        index = 0
        while request is not None:
            report.show_progress(index, total, request.label)
            trial = self._trial(index, request)
            request = self._workload.next(trial)
            if self._metrics is not None:
                self._metrics.observe(trial)
            index += 1
        return Session()

    def _derive(self, session: Session) -> None:
        if self._metrics is None:
            return
        with Phase("derive"):
            for metric in self._metrics.derive(self._model.info(), session):
                report.add_metric(metric)

    def _trial(self, index: int, request: Request) -> Trial:
        return Trial.from_generation(index, request, self._model.generate(request))

"""Warms up until the times to first token of the last runs agree."""

from collections.abc import Sequence

import llem_sdk
from llem_sdk import About, Done, Run, Trial, WarmupPolicy, WarmupStep, parameter
from llem_sdk.statistics import coefficient_of_variation


@llem_sdk.warmup
class SteadyTtft(WarmupPolicy):
    """Runs the workload's first request until the coefficient of variation of the last times to first token is low."""

    @staticmethod
    def about() -> About:
        return (
            About("first-warmup", "0.1.0", "Warms up until times to first token agree")
            .integer("window", 3, "how many of the last runs must agree")
            .number("spread", 0.05, "their highest coefficient of variation")
            .integer("max-runs", 20, "runs after which the warm-up ends anyway")
        )

    def next(self, history: Sequence[Trial]) -> WarmupStep:
        window, runs = parameter("window", int), len(history)
        if runs >= window:
            ttft = [seconds for trial in history[runs - window :] for seconds in trial.ttft()]
            spread = coefficient_of_variation(ttft)
            if spread is not None and spread <= parameter("spread", float):
                return Done(f"steady after {runs} runs")
        if runs >= parameter("max-runs", int):
            return Done(f"not steady after {runs} runs")
        return Run(max_new_tokens=1)

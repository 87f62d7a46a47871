"""A warm-up of two requests with a wait between them."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import description, report, types
from wit_world.exports import warmup_policy

steps = 0


class WarmupPolicy(exports.WarmupPolicy):
    def describe(self):
        return description.About("two-requests", "0.1.0", "Two requests with a wait between them.")

    def next(self, last):
        global steps
        steps += 1
        if steps == 1 and last is not None:
            raise Err(types.Error(types.ErrorCode.FAILED, "a trial came before the first request"))
        if steps in (1, 3):
            return warmup_policy.Step_Run(warmup_policy.Plan(request=None, max_new_tokens=2))
        if steps == 2:
            report.log(report.Level.INFO, f"warm-up {last.request().label()} {last.completions()[0].tokens()}")
            return warmup_policy.Step_Wait(1_000_000_000)
        return warmup_policy.Step_Done("two requests were run")

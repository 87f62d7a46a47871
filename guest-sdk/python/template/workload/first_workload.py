"""Sends prompts of one length at random times."""

import llem_sdk
from llem_sdk import About, Arrivals, BatchOptions, Error, ModelInfo, Request, RequestList, Schedule, TimedWorkload
from llem_sdk import Trial, WorkloadPolicy, parameter


@llem_sdk.workload
class PoissonPrompts(WorkloadPolicy):
    """Requests that arrive as a Poisson process, in a continuous batch."""

    # The requests with their times. `None` before the workload begins.
    timed: TimedWorkload | None = None

    @staticmethod
    def about() -> About:
        return (
            About("first-workload", "0.1.0", "Sends prompts of one length at random times")
            .integer("requests", 20, "how many prompts are sent")
            .number("rate", 10.0, "requests a second, on average")
            .integer("new-tokens", 16, "tokens generated for each prompt")
            .integer("max-sequences", 8, "sequences that run at the same time")
        )

    def begin(self, model: ModelInfo) -> Schedule:
        request = Request.from_text(
            "The quick brown fox jumps over the lazy dog. ",
            label="fox",
            max_new_tokens=parameter("new-tokens", int),
            ignore_eos=True,
        )
        requests = RequestList([request], rounds=parameter("requests", int))
        options = BatchOptions(parameter("max-sequences", int))
        self.timed = Arrivals.poisson(parameter("rate", float)).apply_to(requests, options)
        return self.timed.begin(model)

    def next(self, last: Trial | None) -> Request | None:
        if self.timed is None:
            raise Error.failed("the workload has not begun")
        return self.timed.next(last)

"""The workload that runs a list of requests."""

from __future__ import annotations

from collections.abc import Iterable

from . import report
from .model import Model
from .policy import WorkloadPolicy
from .request import Prompt, Request, TextPrompt, TokensPrompt
from .trial import Trial


class RequestList(WorkloadPolicy):
    """A workload that runs a list of requests in order, once or several times.

    Repetitions of a request are spread over the run, so that drift affects all requests alike.

    >>> workload = RequestList([Request.from_text("hello", label=label) for label in ("short", "long")], rounds=2)
    >>> labels = []
    >>> while (request := workload.next(None)) is not None:
    ...     labels.append(request.label)
    >>> labels
    ['short', 'long', 'short', 'long']
    """

    def __init__(self, requests: Iterable[Request], rounds: int = 1) -> None:
        """Creates a workload that runs the whole list `rounds` times."""
        self.requests = list(requests)
        self.rounds = rounds
        self._returned = 0

    def fitting(self, model: Model) -> RequestList:
        """Removes requests that do not fit the model's context, and adds a warning to the record if there are any."""
        context: int = model.resource.context_length()
        fitting = []
        for request in self.requests:
            longest = max((_token_count(model, prompt) for prompt in request.prompts), default=0)
            if longest + request.max_new_tokens <= context:
                fitting.append(request)
        if len(fitting) < len(self.requests):
            report.warn(
                f"{len(self.requests) - len(fitting)} of {len(self.requests)} requests are left out: "
                f"they do not fit the model's context of {context} tokens"
            )
        return RequestList(fitting, self.rounds)

    def next(self, last: Trial | None) -> Request | None:
        if self._returned == len(self.requests) * self.rounds:
            return None
        request = self.requests[self._returned % len(self.requests)]
        self._returned += 1
        return request

    def total(self) -> int:
        return len(self.requests) * self.rounds


def _token_count(model: Model, prompt: Prompt) -> int:
    if isinstance(prompt, TokensPrompt):
        return len(prompt.tokens)
    if isinstance(prompt, TextPrompt):
        return len(model.tokenize(prompt.text))
    tokenizer = model.tokenizer()
    return len(tokenizer.encode(tokenizer.apply_chat_template(prompt), with_special_tokens=True))

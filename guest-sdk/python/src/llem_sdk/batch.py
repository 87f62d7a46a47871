"""Continuous batching controlled by the script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from . import _host
from ._host import call
from .completion import Completion
from .error import Error
from .logits import Logits
from .quantity import Reading, reading_from_host
from .request import Request


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options of a continuous batch."""

    max_sequences: int
    """The maximum number of sequences that run at a time. At least 1."""
    max_tokens: int | None = None
    """The maximum number of tokens of one sequence, prompt and output together. KV memory is reserved for this many.
    `None` means the model's context length, which may take a lot of memory."""
    prefill_chunk: int | None = None
    """The maximum number of prompt rows in a step, at least 1. The rest of a long prompt runs in later steps. `None`
    means 512."""
    max_rows: int | None = None
    """The maximum number of rows in a step, prompt and decode together, at least `max_sequences`. Decode rows are taken
    first (vLLM's `max_num_batched_tokens`). `None` means no limit."""
    refuses_when_full: bool = False
    """Whether a request that needs more KV memory than is free now is refused. Otherwise its sequences wait."""
    prefix_cache: bool = False
    """Whether prompts reuse keys and values that are already in the cache."""

    def to_host(self) -> Any:
        """Converts the options to the bindings."""
        options = _host.batches.BatchOptions(self.max_sequences)
        options.set_max_tokens(self.max_tokens)
        if self.prefill_chunk is not None:
            options.set_prefill_chunk(self.prefill_chunk)
        options.set_max_rows(self.max_rows)
        options.set_refuses_when_full(self.refuses_when_full)
        options.set_prefix_cache(self.prefix_cache)
        return options


@dataclass(frozen=True, slots=True)
class StepToken:
    """A token that a step produced."""

    sequence: int
    """The sequence's id that `Batch.submit` returned."""
    token: int
    """The token."""
    at: int
    """When the token was on the host, in ns since the run began."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The result of one or several steps."""

    steps: int
    """The number of steps that were run. It is 0 if there was nothing to run."""
    tokens: tuple[StepToken, ...]
    """The tokens that the steps produced."""
    ended: tuple[Completion, ...]
    """The sequences that ended in these steps, or were cancelled since the previous ones."""
    prompt_tokens: int
    """The number of prompt tokens that were run."""
    started: int
    """When the first step began, in ns since the run began."""
    finished: int
    """When the tokens of the last step were on the host, in ns since the run began."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """The number of sequences in a batch, and the use of its KV memory."""

    running: int
    """The number of sequences that run."""
    waiting: int
    """The number of sequences that wait for KV memory."""
    scheduled: int
    """The number of sequences that have not arrived yet."""
    kv_bytes: int
    """Reserved KV memory, in bytes."""
    kv_capacity: int
    """Reserved KV memory, in positions. One position holds the keys and values of one token."""
    kv_used: int
    """The number of positions that hold a token of a running sequence."""
    prefix_queries: int
    """The number of prompt tokens that were looked up in the prefix cache."""
    prefix_hits: int
    """The number of prompt tokens that were found in the prefix cache."""


class Batch:
    """A continuous batch. Sequences join and leave at any step, and the tokens of one do not depend on the others.

    Times are in ns since the run began. A `with` block frees the batch at its end:

        with model.open_batch(BatchOptions(8)) as batch:
            batch.submit(request)
            for progress in batch.steps():
                print(progress.tokens)
    """

    def __init__(self, host: Any) -> None:
        self._batch = host

    def submit(self, request: Request, arrival: int | None = None) -> list[int]:
        """Adds every prompt of the request as a sequence and returns the ids of the sequences.

        TTFT counts from `arrival`, and `None` means now. If it is in the future, the host admits the request at that
        time, or as soon as the step that runs then has ended.
        """
        sequences: list[int] = call(self.resource.submit, request.to_host(), arrival)
        return sequences

    def submit_after(self, sequence: int, request: Request, *, fork: bool = False, arrival: int | None = None) -> int:
        """Continues an ended sequence with the one prompt of the request, and returns the id of the new sequence.

        The request of the ended sequence must have kept its cache (`Request.holds_cache`). With `fork` the cache is
        copied, and the ended sequence keeps it too. Otherwise it moves to the new sequence. Fails with `NOT_FOUND` if
        no ended sequence of that id holds a cache.
        """
        new: int = call(self.resource.submit_after, sequence, fork, request.to_host(), arrival)
        return new

    def release(self, sequence: int) -> None:
        """Frees the cache of an ended sequence. Fails with `NOT_FOUND` if it holds none."""
        call(self.resource.release, sequence)

    def step(self) -> Progress:
        """Runs one step of all sequences."""
        return _progress(call(self.resource.step))

    def steps(self) -> Iterator[Progress]:
        """Runs one step after another until there is nothing to run, and yields the result of each.

        Sequences may be submitted in between. Ends if all sequences wait for the script to choose a token, or have not
        arrived yet.
        """
        while (progress := self.step()).steps > 0:
            yield progress

    def run_until(self, time: int) -> Progress:
        """Runs steps until this time, and waits for arrivals while nothing runs.

        Returns earlier if no sequence is left to run or to arrive, or if all that are left wait for the script to
        choose a token.
        """
        return _progress(call(self.resource.run_until, time))

    def run_until_end(self) -> Progress:
        """Runs steps until one or more sequences end. Otherwise like `run_until`."""
        return _progress(call(self.resource.run_until_end))

    def run_until_token(self) -> Progress:
        """Runs steps until one or more tokens are produced. Otherwise like `run_until`."""
        return _progress(call(self.resource.run_until_token))

    def drain(self) -> list[Completion]:
        """Runs steps until every sequence has ended, including those that have not arrived yet."""
        return [Completion.from_host(one) for one in call(self.resource.drain)]

    def cancel(self, sequence: int) -> None:
        """Ends a sequence now. The next step returns its completion.

        Fails with `NOT_FOUND` if the sequence neither runs nor waits.
        """
        call(self.resource.cancel, sequence)

    def logits(self, sequence: int) -> Logits:
        """Returns the logits of the sequence's next token, for requests whose tokens the script chooses.

        Fails with `NOT_FOUND` if the sequence does not wait for a choice.
        """
        return Logits(call(self.resource.logits, sequence))

    def choose(self, sequence: int, token: int) -> None:
        """Chooses the sequence's next token. The sequence takes part in no step until then."""
        call(self.resource.choose, sequence, token)

    def status(self) -> BatchStatus:
        """Returns the number of sequences in the batch and the use of its KV memory."""
        host = self.resource
        return BatchStatus(
            running=host.running(),
            waiting=host.waiting(),
            scheduled=host.scheduled(),
            kv_bytes=host.kv_bytes(),
            kv_capacity=host.kv_capacity(),
            kv_used=host.kv_used(),
            prefix_queries=host.prefix_queries(),
            prefix_hits=host.prefix_hits(),
        )

    def sequence_energy(self, sequence: int) -> Reading:
        """Returns an ended sequence's share of the energy of its steps, in J.

        Waits, for at most half a second, until every energy counter has ticked since the sequence ended. Fails with
        `NOT_FOUND` if no sequence of that id has ended.
        """
        return reading_from_host(call(self.resource.sequence_energy, sequence))

    def close(self) -> None:
        """Frees the batch and its KV memory. Sequences that have not ended are lost."""
        if self._batch is not None:
            batch, self._batch = self._batch, None
            batch.__exit__(None, None, None)

    @property
    def resource(self) -> Any:
        """The host's resource, for calls that this type does not wrap."""
        if self._batch is None:
            raise Error.failed("the batch is closed")
        return self._batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _progress(host: Any) -> Progress:
    return Progress(
        steps=host.steps(),
        tokens=tuple(StepToken(one.sequence, one.token, one.at) for one in host.tokens()),
        ended=tuple(Completion.from_host(one) for one in host.ended()),
        prompt_tokens=host.prompt_tokens(),
        started=host.started(),
        finished=host.finished(),
    )

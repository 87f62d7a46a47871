"""Trials: requests that were run, and what is derived from their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ._utilisation import cached_positions, mbu
from .completion import Completion, Generation
from .error import Error
from .measurement import Measurement
from .model_info import ModelInfo
from .quantity import Quantity, Reading, Source, Unavailable
from .request import Request
from .wait import NS


@dataclass(frozen=True, slots=True)
class Trial:
    """One request that was run, and its result.

    >>> completion = Completion.from_token_times(1_000_000, [3_000_000, 7_000_000])
    >>> trial = Trial.from_completions(0, Request.from_text("hello"), [completion])
    >>> trial.ttft(), trial.output_tokens()
    ([0.002], 2)
    """

    index: int
    """The zero-based position among the requests of its phase."""
    request: Request
    """The request that was run."""
    outcome: Generation | tuple[Completion, ...]
    """The result: a generation if the request ran alone, so that its times and energy are known. Otherwise it ran in a
    continuous batch, and these are the completions of its prompts, in order."""

    @classmethod
    def from_generation(cls, index: int, request: Request, generation: Generation) -> Trial:
        """Creates the trial of a request that ran alone."""
        return cls(index, request, generation)

    @classmethod
    def from_completions(cls, index: int, request: Request, completions: Iterable[Completion]) -> Trial:
        """Creates the trial of a request that ran in a continuous batch."""
        return cls(index, request, tuple(completions))

    @property
    def completions(self) -> tuple[Completion, ...]:
        """The completions of the prompts, in order."""
        return self.outcome.completions if isinstance(self.outcome, Generation) else self.outcome

    @property
    def generation(self) -> Generation:
        """The result of a request that ran alone.

        Raises `Error` if it ran in a continuous batch, where a request has no times and energy of its own.
        """
        if isinstance(self.outcome, Generation):
            return self.outcome
        raise Error.failed(self._why_batched())

    def began(self) -> int:
        """Returns when the request began or, in a continuous batch, was submitted, in ns since the run began."""
        if isinstance(self.outcome, Generation):
            return self.outcome.measurement.started
        return min((one.submitted for one in self.outcome), default=0)

    def ended(self) -> int:
        """Returns when the request ended, in ns since the run began."""
        if isinstance(self.outcome, Generation):
            return self.outcome.measurement.started + self.outcome.measurement.wall_time
        return max((one.token_times[-1] for one in self.outcome if one.token_times), default=self.began())

    def seconds(self) -> float:
        """Returns how long the request took, including waiting, in seconds."""
        return max(self.ended() - self.began(), 0) * NS

    def ttft(self) -> list[float]:
        """Returns the time to first token of each sequence, in seconds."""
        return [ttft for one in self.completions if (ttft := one.ttft()) is not None]

    def itl(self) -> list[float]:
        """Returns the inter-token latencies of all sequences, in seconds."""
        return [(after - before) * NS for one in self.completions for before, after in pairwise(one.token_times)]

    def output_tokens(self) -> int:
        """Returns the number of generated tokens."""
        return sum(len(one.tokens) for one in self.completions)

    def prefill_rate(self) -> Quantity | None:
        """Returns the prefill rate in {token}/s.

        Returns `None` if no prefill was timed or if the request ran in a continuous batch.
        """
        if not isinstance(self.outcome, Generation):
            return None
        return _rate(self.outcome.measurement.activity.prompt_tokens, self.outcome.prefill_time)

    def decode_rate(self) -> Quantity | None:
        """Returns the decode rate in {token}/s, without the first token of each sequence.

        Returns `None` if there was no decode or if the request ran in a continuous batch.
        """
        if not isinstance(self.outcome, Generation):
            return None
        return _rate(self._decoded_tokens(), self.outcome.decode_time)

    def prefill_joules_per_token(self) -> Reading:
        """Returns the energy of prefill per prompt token, in J/{token}, or the reason why it is not known."""
        measurement = self._measurement()
        if not measurement:
            return measurement
        return _per_token(measurement.energy_prefill, measurement.activity.prompt_tokens, "no prompt was run")

    def decode_joules_per_token(self) -> Reading:
        """Returns the energy of decode per token that decode generated, in J/{token}, or why it is not known."""
        measurement = self._measurement()
        if not measurement:
            return measurement
        return _per_token(measurement.energy_decode, self._decoded_tokens(), "no token was decoded")

    def joules_per_sequence(self) -> list[Reading]:
        """Returns the share of each sequence in the energy of its steps, in J, or the reason why it is not known."""
        return [one.energy for one in self.completions]

    def joules_per_output_token(self) -> Reading:
        """Returns the total energy per generated token, in J/{token}, or the reason why it is not known."""
        measurement = self._measurement()
        if not measurement:
            return measurement
        return _per_token(measurement.energy_total, self.output_tokens(), "no token was generated")

    def prefill_mfu(self, peak: Quantity, ranks: int) -> Quantity | None:
        """Returns the MFU of prefill (see `Measurement.prefill_mfu`), or `None` in a continuous batch."""
        measurement = self._measurement()
        return measurement.prefill_mfu(peak, ranks) if measurement else None

    def decode_mfu(self, peak: Quantity, ranks: int) -> Quantity | None:
        """Returns the MFU of decode (see `Measurement.decode_mfu`), or `None` in a continuous batch."""
        measurement = self._measurement()
        return measurement.decode_mfu(peak, ranks) if measurement else None

    def decode_mbu(self, model: ModelInfo, bandwidth: Quantity) -> Quantity | None:
        """Returns the MBU of decode: the share of the peak bandwidth that decode reached.

        `bandwidth` is the peak of one device in By/s. A step reads all weights except lookup tables, and the keys and
        values of all tokens before it. For layers with a sliding window this overestimates the bytes of sequences that
        are longer than the window. Returns `None` if there was no decode, if the trial ran in a continuous batch, and
        for a mixture of experts, because there the weights that a step reads depend on its tokens.
        """
        if not isinstance(self.outcome, Generation):
            return None
        sequences = [(one.prompt_tokens, max(len(one.tokens) - 1, 0)) for one in self.outcome.completions]
        steps = max((steps for _, steps in sequences), default=0)
        if model.experts > 0 or steps == 0:
            return None
        read = steps * model.decode_weight_bytes + cached_positions(sequences) * model.kv_bytes_per_token
        return mbu(read, self.outcome.decode_time, bandwidth, len(model.ranks))

    @classmethod
    def from_host(cls, host: Any) -> Trial:
        """Converts a trial of the bindings."""
        request, generation = Request.from_host(host.request()), host.generation()
        if generation is not None:
            return cls(host.index(), request, Generation.from_host(generation))
        return cls(host.index(), request, tuple(Completion.from_host(one) for one in host.completions()))

    def _decoded_tokens(self) -> int:
        """Returns the number of tokens that decode generated.

        These are all but the first of each sequence, which comes from prefill.
        """
        return sum(max(len(one.tokens) - 1, 0) for one in self.completions)

    def _measurement(self) -> Measurement | Unavailable:
        if isinstance(self.outcome, Generation):
            return self.outcome.measurement
        return Unavailable(self._why_batched())

    def _why_batched(self) -> str:
        return (
            f"request '{self.request.label}' ran in a continuous batch, where no times and energy are its own: "
            "its completions and the session's measurement tell what there is"
        )


def group_by_label(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Groups trials by the labels of their requests, in the order of first appearance."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.request.label, []).append(trial)
    return groups


def _per_token(energy: Reading, tokens: int, nothing: str) -> Reading:
    return (energy.per(tokens, "J/{token}") or Unavailable(nothing)) if energy else energy


def _rate(tokens: int, time: int) -> Quantity | None:
    rate = Quantity.exact(tokens, "{token}", Source.COUNTED).per(time * NS, "{token}/s")
    return rate if rate is not None and rate.value > 0.0 else None

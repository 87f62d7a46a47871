"""Results of requests: completions, generations and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import _host
from .measurement import Measurement
from .open_enum import OpenEnum
from .quantity import Reading, Unavailable, reading_from_host
from .wait import NS


class FinishReason(OpenEnum):
    """The reason why a sequence ended."""

    EOS = "eos"
    """An end-of-sequence token was generated. It is the last token of the sequence."""
    LENGTH = "length"
    """The maximum number of tokens was generated, or the given tokens ended."""
    STOP = "stop"
    """A stop text appeared, or a stop token was generated. The stop token is the last token of the sequence."""
    CONTEXT = "context"
    """The model's context was full."""
    INTERRUPTED = "interrupted"
    """The run was interrupted."""
    CANCELLED = "cancelled"
    """The script cancelled the sequence."""


@dataclass(frozen=True, slots=True)
class TokenLogProbability:
    """The log-probability of a token."""

    token: int
    """The token."""
    log_probability: float
    """The natural logarithm of the token's probability, from the model's own logits: before penalties, temperature and
    all other sampling options."""


@dataclass(frozen=True, slots=True)
class TokenLogProbabilities:
    """The log-probabilities of a generated token and of the most likely tokens in its place."""

    chosen: TokenLogProbability
    """The token that was chosen."""
    top: tuple[TokenLogProbability, ...]
    """The most likely tokens, as many as the request asks for, the most likely first."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The result of one prompt: its tokens, their times, and the energy that they took.

    >>> completion = Completion.from_token_times(1_000_000, [3_000_000, 7_000_000, 11_000_000])
    >>> completion.ttft(), completion.tpot(), completion.e2el()
    (0.002, 0.004, 0.01)
    """

    sequence: int
    """The sequence's id that `Batch.submit` returned. In a static batch, the index of the prompt."""
    prompt_tokens: int
    """The number of prompt tokens that were run. Tokens taken from a cache are not included."""
    cached_tokens: int
    """The number of tokens before the prompt tokens whose keys and values were already in a cache."""
    tokens: tuple[int, ...]
    """The generated tokens."""
    text: str | None
    """The text of the generated tokens. `None` if the model has no tokenizer."""
    finish: FinishReason
    """The reason why the sequence ended."""
    submitted: int
    """When the sequence was submitted, or its scheduled arrival, in ns since the run began. TTFT counts from here."""
    admitted: int | None
    """When the batch admitted the sequence, in ns since the run began. The delay is `admitted - submitted`. `None` if
    the sequence ended before that, and in static batches."""
    due_in_step: bool
    """Whether a step was running at the scheduled arrival, so that the sequence had to wait for it."""
    started: int | None
    """When the first pass over tokens of this sequence began, in ns since the run began. `None` if there was none."""
    token_times: tuple[int, ...]
    """When each generated token was on the host, in ns since the run began. It has the length of `tokens`."""
    log_probabilities: tuple[TokenLogProbabilities, ...]
    """The log-probabilities of each generated token. It has the length of `tokens`, or is empty if the request did not
    ask for them."""
    adapter: str | None
    """The adapter that the sequence ran with. `None` means the base weights."""
    energy: Reading
    """The sequence's share of the energy of its steps, in J. In a continuous batch it is not known yet when a sequence
    ends. There `Batch.sequence_energy` returns it."""

    @classmethod
    def from_token_times(cls, submitted: int, token_times: Sequence[int], prompt_tokens: int = 0) -> Completion:
        """Creates the completion of a sequence with these times, in ns since the run began.

        All other fields are zero or empty. It is meant for tests of policies and metrics, which have no host.
        """
        return cls(
            sequence=0,
            prompt_tokens=prompt_tokens,
            cached_tokens=0,
            tokens=(0,) * len(token_times),
            text=None,
            finish=FinishReason.LENGTH,
            submitted=submitted,
            admitted=None,
            due_in_step=False,
            started=None,
            token_times=tuple(token_times),
            log_probabilities=(),
            adapter=None,
            energy=Unavailable("no energy was measured"),
        )

    def ttft(self) -> float | None:
        """Returns the time to first token, in seconds, or `None` if there is no token."""
        return _seconds(self.token_times[0] - self.submitted) if self.token_times else None

    def tpot(self) -> float | None:
        """Returns the mean time per output token after the first, in seconds, or `None` below two tokens."""
        gaps = len(self.token_times) - 1
        return _seconds(self.token_times[-1] - self.token_times[0]) / gaps if gaps > 0 else None

    def e2el(self) -> float | None:
        """Returns the end-to-end latency, up to the last token, in seconds, or `None` if there is no token."""
        return _seconds(self.token_times[-1] - self.submitted) if self.token_times else None

    @classmethod
    def from_host(cls, host: Any) -> Completion:
        """Converts a completion of the bindings."""

        def one(given: Any) -> TokenLogProbability:
            return TokenLogProbability(given.token, given.log_probability)

        return cls(
            sequence=host.sequence(),
            prompt_tokens=host.prompt_tokens(),
            cached_tokens=host.cached_tokens(),
            tokens=tuple(host.tokens()),
            text=host.text(),
            finish=FinishReason(host.finish()),
            submitted=host.submitted(),
            admitted=host.admitted(),
            due_in_step=host.due_in_step(),
            started=host.started(),
            token_times=tuple(host.token_times()),
            log_probabilities=tuple(
                TokenLogProbabilities(one(each.chosen), tuple(map(one, each.top))) for each in host.log_probabilities()
            ),
            adapter=host.adapter(),
            energy=reading_from_host(host.energy()),
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """The result of a static batch. The host measures it from just before the work to just after it."""

    completions: tuple[Completion, ...]
    """One completion for each prompt, in order."""
    prefill_time: int
    """The time of prompt processing of the whole batch, up to the first sampled tokens, in ns."""
    decode_time: int
    """The time from the first sampled tokens to the last token, in ns."""
    measurement: Measurement
    """The time and energy of exactly this request."""

    def step_times(self) -> list[int]:
        """Returns when the batch was submitted and when each step had all its tokens, in ns since the run began.

        A step gives one token to each sequence that has not ended. It is over when the last of them has its token. So
        the second time ends prefill, and differences of later ones are the times of decode steps.
        """
        times = [completion.token_times for completion in self.completions]
        steps = max(map(len, times), default=0)
        submitted = min((completion.submitted for completion in self.completions), default=self.measurement.started)
        return [submitted, *(max(one[step] for one in times if step < len(one)) for step in range(steps))]

    @classmethod
    def from_host(cls, host: Any) -> Generation:
        """Converts a generation of the bindings."""
        return cls(
            completions=tuple(Completion.from_host(one) for one in host.completions()),
            prefill_time=host.prefill_time(),
            decode_time=host.decode_time(),
            measurement=Measurement.from_host(host.measurement()),
        )


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A continuation whose likelihood is computed."""

    context: Sequence[int]
    """The tokens before the continuation. At least one."""
    continuation: Sequence[int]
    """The tokens that are scored. At least one."""

    def to_host(self) -> Any:
        """Converts the request to the bindings."""
        return _host.generations.ScoreRequest(list(self.context), list(self.continuation))


@dataclass(frozen=True, slots=True)
class Score:
    """The likelihood of a continuation."""

    log_likelihoods: tuple[float, ...]
    """The natural logarithm of the probability of each continuation token, given all tokens before it."""
    is_greedy: bool
    """Whether greedy decoding would produce exactly this continuation."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """The scores of continuations that were scored together."""

    scores: tuple[Score, ...]
    """One score for each continuation, in order."""
    measurement: Measurement
    """The time and energy of exactly this scoring."""

    @classmethod
    def from_host(cls, host: Any) -> Scoring:
        """Converts a scoring of the bindings."""
        scores = tuple(Score(tuple(one.log_likelihoods), one.is_greedy) for one in host.scores())
        return cls(scores, Measurement.from_host(host.measurement()))


def _seconds(nanoseconds: int) -> float:
    return max(nanoseconds, 0) * NS

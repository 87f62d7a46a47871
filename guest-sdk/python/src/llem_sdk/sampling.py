"""Sampling options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sampling:
    """Options that decide how tokens are chosen. Values out of range are refused when the request is submitted.

    Without arguments the most likely token is chosen. `Sampling(temperature=0.7)` samples from all tokens.
    """

    temperature: float = 0.0
    """The divisor of logits. 0 means greedy: the most likely token is chosen without a random draw."""
    top_k: int | None = None
    """The number of most likely tokens that are kept, at least 1. `None` keeps all."""
    top_p: float | None = None
    """The probability that the smallest set of kept tokens reaches, in (0, 1] (nucleus sampling)."""
    min_p: float | None = None
    """The minimum probability of kept tokens, as a share of the most likely token's, in [0, 1] (arXiv 2407.01082)."""
    repetition_penalty: float = 1.0
    """The number above 0 by which the logits of tokens in prompt and output are divided (if positive) or multiplied (if
    negative) (CTRL, arXiv 1909.05858). 1 changes nothing."""
    frequency_penalty: float = 0.0
    """The number that is subtracted from a token's logit for each time that the token was generated."""
    presence_penalty: float = 0.0
    """The number that is subtracted from the logit of each token that was generated."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Tokens and the numbers that are added to their logits."""
    seed: int | None = None
    """The seed of the request's random numbers: sequence i draws from stream i of this seed. `None` means the run's
    seed."""

    def write(self, request: Any) -> None:
        """Sets the options of a request of the bindings."""
        request.set_temperature(self.temperature)
        request.set_top_k(self.top_k)
        request.set_top_p(self.top_p)
        request.set_min_p(self.min_p)
        request.set_repetition_penalty(self.repetition_penalty)
        request.set_frequency_penalty(self.frequency_penalty)
        request.set_presence_penalty(self.presence_penalty)
        request.set_logit_bias(list(self.logit_bias))
        request.set_seed(self.seed)

    @classmethod
    def read(cls, request: Any) -> Sampling:
        """Returns the options of a request of the bindings. Their numbers have single precision."""
        return cls(
            temperature=request.temperature(),
            top_k=request.top_k(),
            top_p=request.top_p(),
            min_p=request.min_p(),
            repetition_penalty=request.repetition_penalty(),
            frequency_penalty=request.frequency_penalty(),
            presence_penalty=request.presence_penalty(),
            logit_bias=tuple(request.logit_bias()),
            seed=request.seed(),
        )

"""The logits by which a script chooses a token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._host import call


@dataclass(frozen=True, slots=True)
class TokenLogit:
    """A token with its logit and log-probability."""

    token: int
    """The token."""
    logit: float
    """The logit that the model computed."""
    log_probability: float
    """The natural logarithm of the token's probability."""


class Logits:
    """The logits of a sequence's next token. They do not change when the sequence goes on."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def top(self, count: int) -> list[TokenLogit]:
        """Returns the `count` most likely tokens, the most likely first. Equal logits are in the order of their ids."""
        return _converted(self._host.top(count))

    def of_tokens(self, tokens: Sequence[int]) -> list[TokenLogit]:
        """Returns the logits of these tokens. Fails with `INVALID_ARGUMENT` if an id is outside the vocabulary."""
        return _converted(call(self._host.of_tokens, list(tokens)))

    def all(self) -> list[float]:
        """Returns all logits, in the order of the vocabulary."""
        logits: list[float] = self._host.all()
        return logits

    def entropy(self) -> float:
        """Returns the entropy of the distribution, in nats."""
        nats: float = self._host.entropy()
        return nats


def _converted(logits: Any) -> list[TokenLogit]:
    return [TokenLogit(one.token, one.logit, one.log_probability) for one in logits]

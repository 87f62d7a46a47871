"""From texts to the token sequences that lm-evaluation-harness scores (`api/model.py`, `models/huggingface.py`).

    whole = encode(context + continuation)    |--- context ---|-- continuation --|
    before = encode(context)                  |--- before ----|
    scored                                                    |whole[len(before):]

The border is a number of tokens, so a token that spans it belongs to the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llem_sdk import Error, ScoreRequest


class TextTokenizer(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, text: str, with_special_tokens: bool = True) -> list[int]: ...
    def decode(self, tokens: Sequence[int], with_special_tokens: bool = False) -> str: ...
    def bos(self) -> int | None: ...
    def eos(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """A tokenizer with the harness' rules of special tokens, prefixes and lengths."""

    tokenizer: TextTokenizer
    max_length: int
    """The most tokens that are fed to the model."""
    prefix: int
    """The token before texts that have no context (`prefix_token_id`)."""
    add_bos_token: bool | None = None
    """Whether special tokens are added. `None` leaves it to the tokenizer."""

    @classmethod
    def of(cls, tokenizer: TextTokenizer, max_length: int, prefix: int | None, add_bos_token: bool | None) -> Encoder:
        """Takes the given prefix, or the tokenizer's BOS, or its EOS."""
        for candidate in (prefix, tokenizer.bos(), tokenizer.eos()):
            if candidate is not None:
                return cls(tokenizer, max_length, candidate, add_bos_token)
        raise Error.invalid_argument("the tokenizer names neither BOS nor EOS: set -p prefix-token-id=NUMBER")

    def encode(self, text: str) -> list[int]:
        """Encodes a text. No special tokens are added if it begins with the text of the prefix."""
        if text.startswith(self.tokenizer.decode([self.prefix], True)):
            return self.tokenizer.encode(text, False)
        return self.tokenizer.encode(text, True if self.add_bos_token is None else self.add_bos_token)

    def pair(self, context: str, continuation: str) -> ScoreRequest:
        """Makes the request for a continuation after a context."""
        if context == "":
            tokens = self.tokenizer.encode(continuation, False)
            starts_with_prefix = tokens[:1] == [self.prefix]
            before, after = ([self.prefix], tokens[1:]) if starts_with_prefix else ([self.prefix], tokens)
        else:
            spaces = len(context) - len(context.rstrip())
            if spaces:
                context, continuation = context[:-spaces], context[-spaces:] + continuation
            before = self.encode(context)
            after = self.encode(context + continuation)[len(before) :]
        return self._request(before, after, continuation)

    def windows(self, text: str) -> list[ScoreRequest]:
        """Splits a text of any length into windows that score each token once (`loglikelihood_rolling`).

        The first window follows the prefix. Every later one is as long as the model allows, and scores the tokens that
        were not scored yet.
        """
        tokens, longest = self.encode(text), self.max_length
        if not tokens:
            return []
        requests = [ScoreRequest([self.prefix], tokens[:longest])]
        scored = min(longest, len(tokens))
        while scored < len(tokens):
            end = min(scored + longest, len(tokens))
            requests.append(ScoreRequest(tokens[end - longest - 1 : scored], tokens[scored:end]))
            scored = end
        return requests

    def _request(self, before: list[int], after: list[int], continuation: str) -> ScoreRequest:
        if not before or not after:
            what = "context" if not before else "continuation"
            raise Error.invalid_argument(f"no token is left of the {what} of '{continuation}': change the documents")
        if len(after) > self.max_length:
            raise Error.invalid_argument(
                f"'{continuation[:40]}…' has {len(after)} tokens, and the model takes {self.max_length}: shorten it"
            )
        # The last token is not fed, so one more than the model takes may remain. The context is cut from the left.
        kept = self.max_length + 1 - len(after)
        return ScoreRequest(before[-kept:], after)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The requests of a document: as texts, and as tokens."""

    arguments: list[tuple[str, ...]]
    requests: list[list[ScoreRequest]]
    """For each argument its requests: one, or the windows of a long text."""

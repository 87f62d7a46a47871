"""Tokenizers: text to tokens and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._host import call
from .request import Chat


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token that does not stand for text, such as the token that ends a text."""

    id: int
    """The id of the token."""
    text: str
    """The text of the token."""
    is_named: bool
    """Whether the tokenizer's files name the token, by a role or in a list, as in transformers' `all_special_ids`.
    Otherwise only the vocabulary marks it as special."""


class Tokenizer:
    """A model's tokenizer. `Model.tokenizer` returns it."""

    def __init__(self, host: Any) -> None:
        self._host = host

    def encode(self, text: str, with_special_tokens: bool = True) -> list[int]:
        """Encodes text as tokens, with or without the special tokens that the tokenizer adds."""
        tokens: list[int] = call(self._host.encode, text, with_special_tokens)
        return tokens

    def decode(self, tokens: Sequence[int], with_special_tokens: bool = False) -> str:
        """Decodes tokens to text, with or without the special tokens among them.

        Fails with `INVALID_ARGUMENT` if the tokenizer does not have an id.
        """
        text: str = call(self._host.decode, list(tokens), with_special_tokens)
        return text

    def apply_chat_template(self, chat: Chat) -> str:
        """Renders a conversation with the model's chat template, ready for the assistant's turn.

        Fails with `UNSUPPORTED` if the model has no template.
        """
        text: str = call(self._host.apply_chat_template, chat.to_host())
        return text

    def vocab_size(self) -> int:
        """Returns the number of tokens, including added ones. The model may have more logits than this."""
        size: int = self._host.vocab_size()
        return size

    def added_tokens(self) -> int:
        """Returns the number of special tokens that encoding adds to a text."""
        count: int = self._host.added_tokens()
        return count

    def adds_bos(self) -> bool:
        """Returns whether encoding puts the token that begins a text before it."""
        bos = self.bos()
        return bos is not None and self.encode("")[:1] == [bos]

    def special_tokens(self) -> list[SpecialToken]:
        """Returns all special tokens: first the named ones in their order, then the others by id."""
        return [SpecialToken(one.id, one.text, one.is_named) for one in self._host.special_tokens()]

    def bos(self) -> int | None:
        """Returns the token that begins a text, if the tokenizer's files name one."""
        token: int | None = self._host.bos()
        return token

    def eos(self) -> int | None:
        """Returns the token that ends a text, if the tokenizer's files name one."""
        token: int | None = self._host.eos()
        return token

    def pad(self) -> int | None:
        """Returns the padding token, if the tokenizer's files name one."""
        token: int | None = self._host.pad()
        return token

    def unknown(self) -> int | None:
        """Returns the token for text that no other token covers, if the tokenizer's files name one."""
        token: int | None = self._host.unknown()
        return token

    def token_text(self, id: int) -> str | None:
        """Returns the text of a token in the tokenizer's own spelling."""
        text: str | None = self._host.token_text(id)
        return text

    def token_of(self, text: str) -> int | None:
        """Returns the token with this text, in the tokenizer's own spelling."""
        token: int | None = self._host.token_of(text)
        return token

"""Loaded models: generation, scores, continuous batches and adapters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from . import _host
from ._host import call
from .adapter_info import AdapterInfo
from .batch import Batch, BatchOptions
from .completion import Generation, ScoreRequest, Scoring
from .error import Error, ErrorCode
from .load_options import LoadOptions, Parallelism
from .model_info import ModelInfo
from .random import Random
from .request import Chat, Message, Request, TokensPrompt
from .tokenizer import Tokenizer
from .wait import NS


class Model:
    """A loaded model. A `with` block, or `close`, frees its memory.

    An open batch keeps the model loaded until the batch is closed too.
    """

    def __init__(self, host: Any) -> None:
        self._model = host

    @classmethod
    def load(cls, options: LoadOptions) -> Self:
        """Loads a model. Loading is a phase of its own and is never included in measured totals."""
        return cls(call(_host.models.Model.load, options.to_host()))

    @classmethod
    def load_granted(cls) -> Self:
        """Loads the model that the user granted on the command line, with the command line's options."""
        return cls.load(LoadOptions())

    @classmethod
    def load_named(cls, name: str) -> Self:
        """Loads the model that was granted under this name (`--model NAME=SOURCE`), or a synthetic one."""
        return cls.load(LoadOptions(model=name))

    @classmethod
    def load_split(cls, parallelism: Parallelism) -> Self:
        """Loads the model that the user granted on the command line, split over ranks in this way."""
        return cls.load(LoadOptions(parallelism=parallelism))

    @property
    def resource(self) -> Any:
        """The host's resource, for calls that this type does not wrap."""
        if self._model is None:
            raise Error.failed("the model is closed")
        return self._model

    def info(self) -> ModelInfo:
        """Returns the properties of the model."""
        return ModelInfo.from_host(self.resource)

    def tokenizer(self) -> Tokenizer:
        """Returns the model's tokenizer. Fails with `UNSUPPORTED` if the model's folder has none."""
        tokenizer = self.resource.tokenizer()
        if tokenizer is None:
            raise Error(ErrorCode.UNSUPPORTED, "the model has no tokenizer")
        return Tokenizer(tokenizer)

    def ordinary_tokens(self) -> list[int]:
        """Returns the tokens that stand for text: those of the tokenizer, without special ones, that the model has.

        Of a model without a tokenizer they are all tokens.
        """
        info = self.info()
        if not info.has_tokenizer:
            return list(range(info.vocab_size))
        tokenizer = self.tokenizer()
        special = {token.id for token in tokenizer.special_tokens()}
        return [token for token in range(min(info.vocab_size, tokenizer.vocab_size())) if token not in special]

    def random_prompts(self, random: Random, lengths: Iterable[int]) -> list[TokensPrompt]:
        """Draws a prompt of random ordinary tokens for each length. Each of them has the same probability."""
        tokens = self.ordinary_tokens()
        return [TokensPrompt(tuple(random.pick(length, tokens))) for length in lengths]

    def tokenize(self, text: str) -> list[int]:
        """Encodes text as tokens, with the special tokens that the tokenizer adds."""
        return self.tokenizer().encode(text, with_special_tokens=True)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Decodes tokens to text, without special tokens."""
        return self.tokenizer().decode(tokens, with_special_tokens=False)

    def apply_chat_template(self, messages: Iterable[Message]) -> str:
        """Renders a conversation with the model's chat template, ready for the assistant's turn."""
        return self.tokenizer().apply_chat_template(Chat(tuple(messages)))

    def generate(self, request: Request) -> Generation:
        """Generates tokens for a static batch. Prefill and decode are timed separately."""
        return Generation.from_host(call(self.resource.generate, request.to_host()))

    def score(self, requests: Iterable[ScoreRequest]) -> Scoring:
        """Computes the log-likelihoods of given continuations."""
        return Scoring.from_host(call(self.resource.score, [request.to_host() for request in requests]))

    def score_rolling(self, texts: Iterable[Sequence[int]], prefix: int) -> Scoring:
        """Computes the log-likelihoods of whole texts of any length, one score for each text.

        Every token is scored once, after as many previous tokens as the context holds, and the first one after `prefix`
        (lm-evaluation-harness' `loglikelihood_rolling`).
        """
        return Scoring.from_host(call(self.resource.score_rolling, [list(text) for text in texts], prefix))

    def open_batch(self, options: BatchOptions) -> Batch:
        """Opens a continuous batch and reserves its KV memory."""
        return Batch(call(self.resource.open_batch, options.to_host()))

    def attach_adapter(self, source: str) -> AdapterInfo:
        """Attaches a LoRA adapter in PEFT's format, without merging it.

        The source is a name or source that was granted with `--adapter`, or
        `synthetic:rank=8,targets=q_proj+v_proj,alpha=16,seed=0`, where only the rank is required.
        """
        return AdapterInfo.from_host(call(self.resource.attach_adapter, source))

    def merge_adapter(self, name: str) -> float:
        """Merges an attached adapter into the weights, for all prompts. Returns how long it took, in seconds.

        Only one adapter can be merged at a time. Fails while a batch is open and for quantised weights.
        """
        nanoseconds: int = call(self.resource.merge_adapter, name)
        return nanoseconds * NS

    def unmerge_adapter(self, name: str) -> float:
        """Restores the weights bit by bit. The adapter stays attached. Returns how long it took, in seconds."""
        nanoseconds: int = call(self.resource.unmerge_adapter, name)
        return nanoseconds * NS

    def detach_adapter(self, name: str) -> None:
        """Detaches an adapter, whether it is merged or not. The base weights are restored."""
        call(self.resource.detach_adapter, name)

    def use_adapter(self, name: str | None) -> None:
        """Sets the adapter for scores, and for requests that do not choose one. `None` means the base weights."""
        call(self.resource.use_adapter, name)

    def adapters(self) -> list[AdapterInfo]:
        """Returns the attached adapters."""
        return [AdapterInfo.from_host(one) for one in self.resource.adapters()]

    def close(self) -> None:
        """Frees the model's memory. An open batch keeps it until the batch is closed too."""
        if self._model is not None:
            model, self._model = self._model, None
            model.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

"""Requests: prompts, and how their tokens are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from . import _host
from .about import Value, value_from_host, value_to_host
from .random import Random
from .sampling import Sampling
from .wait import NS, nanoseconds


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """The role: `system`, `user` or `assistant`."""
    content: str
    """The text of the turn."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, which the model's chat template renders."""

    messages: tuple[Message, ...]
    """The turns of the conversation."""
    arguments: tuple[tuple[str, Value], ...] = ()
    """Further variables of the chat template: `("enable_thinking", False)`."""

    def to_host(self) -> Any:
        """Converts the conversation to the bindings."""
        messages = [_host.requests.Message(message.role, message.content) for message in self.messages]
        return _host.requests.Chat(messages, [(name, value_to_host(value)) for name, value in self.arguments])

    @classmethod
    def from_host(cls, chat: Any) -> Chat:
        """Converts a conversation of the bindings."""
        messages = tuple(Message(message.role, message.content) for message in chat.messages)
        return cls(messages, tuple((name, value_from_host(value)) for name, value in chat.arguments))


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """A prompt of text, which is encoded with the special tokens that the tokenizer adds."""

    text: str


@dataclass(frozen=True, slots=True)
class TokensPrompt:
    """A prompt of token ids, which are used without change. At least one."""

    tokens: tuple[int, ...]

    @classmethod
    def random(cls, random: Random, vocabulary: int, length: int) -> TokensPrompt:
        """Draws a prompt of `length` random tokens below `vocabulary`, each with the same probability."""
        return cls(tuple(random.tokens(length, vocabulary)))


Prompt = TextPrompt | TokensPrompt | Chat
"""The prompt of a sequence."""


@dataclass(frozen=True, slots=True)
class NamedAdapter:
    """The attached adapter of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class BaseWeights:
    """The base weights, whichever adapters are attached."""


AdapterChoice = NamedAdapter | BaseWeights
"""The adapter of one prompt, or none."""

AdapterSelection = AdapterChoice | tuple[AdapterChoice, ...] | None
"""The adapters of a request's prompts: one choice for all, one for each, or `None` for the model's adapter."""


class RequestOptions(TypedDict, total=False):
    """The keywords of `Request.from_text` and its sisters. `Request` documents them."""

    label: str
    max_new_tokens: int
    min_new_tokens: int
    ignore_eos: bool
    stop_texts: tuple[str, ...]
    stop_tokens: tuple[int, ...]
    sampling: Sampling | None
    log_probabilities: int | None
    all_prompt_logits: bool
    given_tokens: tuple[tuple[int, ...], ...]
    script_chooses: bool
    adapters: AdapterSelection
    holds_cache: bool
    arrival: float | None


@dataclass(frozen=True, slots=True)
class Request:
    """Prompts that are run together, and how their tokens are chosen. `dataclasses.replace` changes a copy.

    >>> request = Request.from_text("Why is the sky blue?", label="short", sampling=Sampling(temperature=0.7))
    >>> len(request.prompts), request.max_new_tokens, request.ignore_eos
    (1, 32, False)
    """

    prompts: tuple[Prompt, ...]
    """The prompts. Each becomes one sequence. At least one."""
    label: str = "request"
    """The name of the request in the record. Results are grouped by it."""
    max_new_tokens: int = 32
    """The maximum number of tokens to generate for a sequence. With 0 the prompt is run and nothing is sampled."""
    min_new_tokens: int = 0
    """The minimum number of tokens to generate for a sequence. Tokens that would end it earlier are not chosen."""
    ignore_eos: bool = False
    """Whether sequences continue after end-of-sequence tokens, so that every output has `max_new_tokens` tokens."""
    stop_texts: tuple[str, ...] = ()
    """Texts that end a sequence when its output contains one of them."""
    stop_tokens: tuple[int, ...] = ()
    """Tokens that end a sequence, in addition to the model's own. They count even if `ignore_eos` is set."""
    sampling: Sampling | None = None
    """How tokens are chosen. `None` means greedy."""
    log_probabilities: int | None = None
    """The number of most likely tokens, at most 20, whose log-probabilities are returned for each position besides the
    chosen token's. 0 returns only the chosen token's, and `None` returns none."""
    all_prompt_logits: bool = False
    """Whether the LM head is computed for all positions of a prompt. Only allowed if `max_new_tokens` is 0."""
    given_tokens: tuple[tuple[int, ...], ...] = ()
    """Tokens that decode uses instead of choosing them, one tuple for each prompt. Empty means that tokens are
    chosen."""
    script_chooses: bool = False
    """Whether the script chooses each token (`Batch.choose`). In continuous batches only."""
    adapters: AdapterSelection = None
    """The adapters that the prompts run with. `None` means the model's adapter."""
    holds_cache: bool = False
    """Whether the cache of a sequence is kept when the sequence ends, for `Batch.submit_after`. In continuous batches
    only."""
    arrival: float | None = None
    """When the runner sends the request, in seconds from the beginning of the measurement. `None` means as soon as the
    schedule allows it."""

    @classmethod
    def from_text(cls, prompt: str, **options: Unpack[RequestOptions]) -> Request:
        """Creates a request with one prompt of text."""
        return cls((TextPrompt(prompt),), **options)

    @classmethod
    def from_tokens(cls, tokens: Iterable[int], **options: Unpack[RequestOptions]) -> Request:
        """Creates a request with one prompt of token ids."""
        return cls((TokensPrompt(tuple(tokens)),), **options)

    @classmethod
    def from_chat(cls, messages: Iterable[Message], **options: Unpack[RequestOptions]) -> Request:
        """Creates a request with one conversation."""
        return cls((Chat(tuple(messages)),), **options)

    @classmethod
    def from_prompts(cls, prompts: Iterable[Prompt], **options: Unpack[RequestOptions]) -> Request:
        """Creates a request with several prompts: a static batch, or several sequences of a continuous batch."""
        return cls(tuple(prompts), **options)

    def to_host(self) -> Any:
        """Converts the request to the bindings. Options of default values are not set, which saves calls."""
        request = _host.requests.Request(self.label)
        for prompt in self.prompts:
            if isinstance(prompt, TextPrompt):
                request.add_text(prompt.text)
            elif isinstance(prompt, TokensPrompt):
                request.add_tokens(list(prompt.tokens))
            else:
                request.add_chat(prompt.to_host())
        request.set_max_new_tokens(self.max_new_tokens)
        if self.sampling is not None:
            self.sampling.write(request)
        if self.min_new_tokens > 0:
            request.set_min_new_tokens(self.min_new_tokens)
        if self.ignore_eos:
            request.set_ignores_eos(True)
        if self.stop_texts:
            request.set_stop_texts(list(self.stop_texts))
        if self.stop_tokens:
            request.set_stop_tokens(list(self.stop_tokens))
        if self.log_probabilities is not None:
            request.set_log_probabilities(self.log_probabilities)
        if self.all_prompt_logits:
            request.set_all_prompt_logits(True)
        if self.given_tokens:
            request.set_given_tokens([list(tokens) for tokens in self.given_tokens])
        if self.script_chooses:
            request.set_script_chooses(True)
        if self.adapters is not None:
            request.set_adapters(_adapters_to_host(self.adapters))
        if self.holds_cache:
            request.set_holds_cache(True)
        if self.arrival is not None:
            request.set_arrival(nanoseconds(self.arrival))
        return request

    @classmethod
    def from_host(cls, request: Any) -> Request:
        """Converts a request of the bindings."""
        sampling, arrival = Sampling.read(request), request.arrival()
        return cls(
            prompts=tuple(_prompt_from_host(request, index) for index in range(request.prompts())),
            label=request.label(),
            max_new_tokens=request.max_new_tokens(),
            min_new_tokens=request.min_new_tokens(),
            ignore_eos=request.ignores_eos(),
            stop_texts=tuple(request.stop_texts()),
            stop_tokens=tuple(request.stop_tokens()),
            sampling=None if sampling == Sampling() else sampling,
            log_probabilities=request.log_probabilities(),
            all_prompt_logits=request.all_prompt_logits(),
            given_tokens=tuple(tuple(tokens) for tokens in request.given_tokens()),
            script_chooses=request.script_chooses(),
            adapters=_adapters_from_host(request.adapters()),
            holds_cache=request.holds_cache(),
            arrival=None if arrival is None else arrival * NS,
        )


def _prompt_from_host(request: Any, index: int) -> Prompt:
    text: str | None = request.prompt_text(index)
    if text is not None:
        return TextPrompt(text)
    tokens: Sequence[int] | None = request.prompt_tokens(index)
    if tokens is not None:
        return TokensPrompt(tuple(tokens))
    return Chat.from_host(request.prompt_chat(index))


def _adapters_to_host(adapters: AdapterSelection) -> Any:
    host = _host.requests

    def choice(given: AdapterChoice) -> Any:
        if isinstance(given, NamedAdapter):
            return host.AdapterChoice_Named(given.name)
        return host.AdapterChoice_BaseWeights()

    if adapters is None:
        return host.AdapterSelection_OfModel()
    if isinstance(adapters, tuple):
        return host.AdapterSelection_Each([choice(one) for one in adapters])
    return host.AdapterSelection_Same(choice(adapters))


def _adapters_from_host(selection: Any) -> AdapterSelection:
    host = _host.requests

    def choice(given: Any) -> AdapterChoice:
        return NamedAdapter(given.value) if isinstance(given, host.AdapterChoice_Named) else BaseWeights()

    if isinstance(selection, host.AdapterSelection_OfModel):
        return None
    if isinstance(selection, host.AdapterSelection_Each):
        return tuple(choice(one) for one in selection.value)
    return choice(selection.value)

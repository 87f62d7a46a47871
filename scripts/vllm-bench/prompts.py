"""The requests of a benchmark (vLLM's `benchmarks/datasets`): random tokens, ShareGPT, repeated prefixes.

Nothing here calls the host, except through the tokenizer and the source of uniform numbers that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from llem_sdk import Error

T = TypeVar("T")

Uniforms = Callable[[int], list[float]]
"""Draws a number of uniform numbers in [0, 1): `Random("prompts").many_f64`."""

MAX_RETRIES = 10
"""How often a prompt is decoded and encoded again until it has its length."""


class Encoding(Protocol):
    """What is needed of a tokenizer. `llem_sdk.Tokenizer` has it."""

    def encode(self, text: str, with_special_tokens: bool = True) -> list[int]: ...

    def decode(self, tokens: Sequence[int], with_special_tokens: bool = False) -> str: ...


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The token ids that random prompts are made of."""

    size: int
    """Ids are below this."""
    special: frozenset[int]
    """The ids of special tokens."""
    added: int
    """How many special tokens encoding adds to a text."""
    encoding: Encoding | None
    """The tokenizer, or `None` if the model has none. Prompts are then token ids."""

    def allowed(self) -> list[int]:
        """Returns the ids of tokens that stand for text."""
        return [token for token in range(self.size) if token not in self.special]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A request of the benchmark."""

    prompt: str | tuple[int, ...]
    """A text, or token ids if the model has no tokenizer."""
    prompt_len: int
    """The prompt's length in tokens, without special tokens that the server adds to a random prompt."""
    expected_output_len: int
    """The most tokens that are generated."""


def integers(uniforms: Uniforms, low: int, high: int, size: int) -> list[int]:
    """Draws whole numbers from `low` to `high` - 1."""
    return [low + int(uniform * (high - low)) for uniform in uniforms(size)]


@dataclass(frozen=True, slots=True)
class RandomOptions:
    """The options `--random-*`."""

    input_len: int
    output_len: int
    prefix_len: int
    input_range_ratio: float
    output_range_ratio: float

    def bounds(self, added: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the least and greatest length of inputs and of outputs. `added` special tokens are part of an input.

        The range is symmetric, and a ratio of 0 means a fixed length. Fails if a ratio is outside of [0, 1) or if an
        input could be empty.
        """
        for name, ratio in (("input", self.input_range_ratio), ("output", self.output_range_ratio)):
            if not 0.0 <= ratio < 1.0:
                raise Error.invalid_argument(f"random-range-ratio: the {name} ratio is {ratio}, not in [0, 1)")
        length = max(0, self.input_len - added)
        least = math.floor(length * (1 - self.input_range_ratio))
        if self.prefix_len + least < 1:
            raise Error.invalid_argument(
                f"random-input-len is {self.input_len}, of which {added} tokens are special, so that a prompt could be "
                "empty: raise it or random-prefix-len"
            )
        inputs = least, math.ceil(length * (1 + self.input_range_ratio))
        outputs = (
            max(math.floor(self.output_len * (1 - self.output_range_ratio)), 1),
            max(math.ceil(self.output_len * (1 + self.output_range_ratio)), 1),
        )
        return inputs, outputs


def random_requests(
    vocabulary: Vocabulary, options: RandomOptions, count: int, uniforms: Uniforms
) -> list[SampleRequest]:
    """Makes requests of the dataset `random`.

    The numbers are drawn in the tool's order: all input lengths, all output lengths, all offsets, the common prefix,
    and then what texts lack after they were encoded again. The body of prompt i is a run of consecutive ids that begins
    at its offset plus i.
    """
    (shortest, longest), (fewest, most) = options.bounds(vocabulary.added)
    input_lens = integers(uniforms, shortest, longest + 1, count)
    output_lens = integers(uniforms, fewest, most + 1, count)
    offsets = integers(uniforms, 0, vocabulary.size, count)
    allowed = vocabulary.allowed()
    prefix: list[int] = []
    if options.prefix_len > 0:
        prefix = [allowed[index] for index in integers(uniforms, 0, len(allowed), options.prefix_len)]
        _, prefix = fitted(vocabulary, prefix, options.prefix_len, uniforms)
    requests = []
    for index, (length, output_len, offset) in enumerate(zip(input_lens, output_lens, offsets, strict=True)):
        body = [allowed[(offset + index + position) % len(allowed)] for position in range(length)]
        prompt, tokens = fitted(vocabulary, prefix + body, options.prefix_len + length, uniforms)
        requests.append(SampleRequest(prompt, len(tokens), output_len))
    return requests


def fitted(
    vocabulary: Vocabulary, tokens: list[int], length: int, uniforms: Uniforms
) -> tuple[str | tuple[int, ...], list[int]]:
    """Decodes tokens and encodes the text, until the text has this many tokens or the retries are used up.

    Returns the text and its tokens. What is missing is drawn from the whole vocabulary, special tokens included, as in
    the tool, and what is too much is cut off.
    """
    encoding = vocabulary.encoding
    if encoding is None:
        return tuple(tokens), tokens
    for retries_left in range(MAX_RETRIES, -1, -1):
        prompt = encoding.decode(tokens, with_special_tokens=True)
        tokens = encoding.encode(prompt, with_special_tokens=False)
        if retries_left == 0 or len(tokens) == length:
            break
        missing = length - len(tokens)
        tokens = tokens + integers(uniforms, 0, vocabulary.size, missing) if missing > 0 else tokens[:length]
    return prompt, tokens


def prefix_repetition_requests(
    vocabulary: Vocabulary, lengths: tuple[int, int, int], prefixes: int, count: int, uniforms: Uniforms, shuffles: bool
) -> list[SampleRequest]:
    """Makes requests of the dataset `prefix_repetition`: several random prefixes, each with several random suffixes.

    `lengths` are of prefix, suffix and output. There are as many requests as `prefixes` divides `count`.
    """
    prefix_len, suffix_len, output_len = lengths
    if not 0 < prefixes <= count:
        raise Error.invalid_argument(f"num-prompts is {count}, less than prefix-repetition-num-prefixes, {prefixes}")

    def drawn(length: int) -> list[int]:
        return fitted(vocabulary, integers(uniforms, 0, vocabulary.size, length), length, uniforms)[1]

    requests = []
    for _ in range(prefixes):
        prefix = drawn(prefix_len)
        for _ in range(count // prefixes):
            tokens = prefix + drawn(suffix_len)
            encoding = vocabulary.encoding
            prompt = tuple(tokens) if encoding is None else encoding.decode(tokens, with_special_tokens=True)
            requests.append(SampleRequest(prompt, len(tokens), output_len))
    return shuffled(requests, uniforms) if shuffles else requests


def is_valid(prompt_len: int, output_len: int, *, output_is_given: bool) -> bool:
    """Returns whether a conversation of ShareGPT is used, by its lengths in tokens."""
    return 4 <= prompt_len <= 1024 and prompt_len + output_len <= 2048 and (output_is_given or output_len >= 4)


def sharegpt_requests(
    encoding: Encoding, turns: Iterable[Sequence[str]], output_len: int | None, count: int, order: Uniforms | None
) -> list[SampleRequest]:
    """Takes the first `count` valid conversations, in a random order if `order` is given.

    `turns` are the texts of each conversation. The first is the prompt, and the second decides how many tokens are
    generated unless `output_len` is given. Both are encoded with special tokens.
    """
    conversations = [texts for texts in turns if len(texts) >= 2]
    requests: list[SampleRequest] = []
    for prompt, completion, *_ in shuffled(conversations, order) if order else conversations:
        if len(requests) >= count:
            break
        prompt_len = len(encoding.encode(prompt))
        length = len(encoding.encode(completion)) if output_len is None else output_len
        if is_valid(prompt_len, length, output_is_given=output_len is not None):
            requests.append(SampleRequest(prompt, prompt_len, length))
    return requests


def oversampled(requests: list[SampleRequest], count: int, uniforms: Uniforms) -> list[SampleRequest]:
    """Repeats requests, drawn at random, until there are `count` of them. Repeats may be drawn again."""
    if not requests:
        raise Error.invalid_argument("no conversation of the dataset has lengths that vLLM accepts")
    missing = max(count - len(requests), 0)
    return requests + [requests[index] for index in integers(uniforms, 0, len(requests), missing)]


def aligned(vocabulary: Vocabulary, requests: list[SampleRequest]) -> list[SampleRequest]:
    """Cuts prompts that have more tokens than their length says, if the first one does not have its length.

    `vllm bench serve` does so with the server's tokenizer, for the datasets `random` and `prefix_repetition`.
    """
    encoding = vocabulary.encoding
    if encoding is None or not requests or not isinstance(requests[0].prompt, str):
        return requests
    if len(encoding.encode(requests[0].prompt, with_special_tokens=False)) == requests[0].prompt_len:
        return requests

    def cut(request: SampleRequest) -> SampleRequest:
        tokens = encoding.encode(str(request.prompt), with_special_tokens=False)
        if len(tokens) <= request.prompt_len:
            return request
        return replace(request, prompt=encoding.decode(tokens[: request.prompt_len], with_special_tokens=True))

    return [cut(request) for request in requests]


def shuffled(items: Iterable[T], uniforms: Uniforms) -> list[T]:
    """Returns the items in a random order (Fisher and Yates)."""
    mixed = list(items)
    for last, uniform in zip(range(len(mixed) - 1, 0, -1), uniforms(max(len(mixed) - 1, 0)), strict=True):
        other = int(uniform * (last + 1))
        mixed[last], mixed[other] = mixed[other], mixed[last]
    return mixed

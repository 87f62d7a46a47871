"""The requests of a run: the dataset that the parameters name, drawn from llem's random streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import prompts
from llem_sdk import Dataset, Error, Model, Random, TextPrompt, TokensPrompt
from llem_sdk import parameter, parameter_within, rows, rows_if_granted
from options import choice, random_options
from prompts import SampleRequest, Vocabulary

DATASETS = ("random", "sharegpt", "prefix_repetition")


@dataclass(frozen=True, slots=True)
class Workload:
    """The requests of a run, and whether their outputs go on after an end token."""

    dataset: str
    requests: list[SampleRequest]
    vocabulary: Vocabulary

    @classmethod
    def draw(cls, model: Model, count: int, stream: str = "") -> Workload:
        """Draws `count` requests. Draws of the same stream are the same in every run with the same seed."""
        dataset, vocabulary = choice("dataset-name", DATASETS), vocabulary_of(model)
        granted = rows_if_granted("prompts") is not None
        if dataset != "sharegpt" and granted:
            raise Error.invalid_argument(
                f"a file of prompts is granted, but dataset-name is {dataset}: add -p dataset-name=sharegpt"
            )
        if dataset == "random":
            uniforms = Random(f"{stream}prompts").many_f64
            requests = prompts.random_requests(vocabulary, random_options(), count, uniforms)
        elif dataset == "prefix_repetition":
            requests = _prefix_repetition(vocabulary, count, stream)
        else:
            requests = _sharegpt(vocabulary, count, stream)
        return cls(dataset, requests, vocabulary)

    def ignores_eos(self) -> bool:
        """Returns whether `serve` generates after an end token: if it is asked to, and always for random prompts."""
        return self.dataset == "random" or parameter("ignore-eos", bool)

    def aligned(self) -> Workload:
        """Cuts prompts as `serve` does with the server's tokenizer."""
        if self.dataset == "sharegpt":
            return self
        return Workload(self.dataset, prompts.aligned(self.vocabulary, self.requests), self.vocabulary)

    def longest(self) -> int:
        """Returns the most tokens of a request, prompt and output together, with special tokens."""
        return max(prompt_length(self.vocabulary, one) + one.expected_output_len for one in self.requests)


def vocabulary_of(model: Model) -> Vocabulary:
    """Reads the vocabulary of a model. Without a tokenizer it is every id that has a logit."""
    info = model.info()
    if not info.has_tokenizer:
        return Vocabulary(info.vocab_size, frozenset(), 0, None)
    tokenizer = model.tokenizer()
    special = frozenset(token.id for token in tokenizer.special_tokens())
    # A tokenizer may know tokens that the model has no row for.
    size = min(tokenizer.vocab_size(), info.vocab_size)
    return Vocabulary(size, special, tokenizer.added_tokens(), tokenizer)


def prompt_of(request: SampleRequest) -> TextPrompt | TokensPrompt:
    """Returns the prompt as llem takes it. The host encodes a text with the special tokens that the tokenizer adds."""
    return TextPrompt(request.prompt) if isinstance(request.prompt, str) else TokensPrompt(request.prompt)


def prompt_length(vocabulary: Vocabulary, request: SampleRequest) -> int:
    """Returns the length that the engine sees."""
    if vocabulary.encoding is None or not isinstance(request.prompt, str):
        return len(request.prompt)
    return len(vocabulary.encoding.encode(request.prompt))


def _prefix_repetition(vocabulary: Vocabulary, number: int, stream: str) -> list[SampleRequest]:
    option = "prefix-repetition-"
    lengths = (
        parameter_within(f"{option}prefix-len", int, 1),
        parameter_within(f"{option}suffix-len", int, 1),
        parameter_within("output-len", int, 0) or parameter_within(f"{option}output-len", int, 1),
    )
    prefixes = parameter_within(f"{option}num-prefixes", int, 1)
    uniforms, shuffles = Random(f"{stream}prompts").many_f64, not parameter("disable-shuffle", bool)
    return prompts.prefix_repetition_requests(vocabulary, lengths, prefixes, number, uniforms, shuffles)


def _sharegpt(vocabulary: Vocabulary, number: int, stream: str) -> list[SampleRequest]:
    if vocabulary.encoding is None:
        raise Error.invalid_argument("dataset-name=sharegpt needs a model with a tokenizer, to count tokens")
    output_len = parameter_within("output-len", int, 0) or parameter_within("sharegpt-output-len", int, 0) or None
    order = None if parameter("disable-shuffle", bool) else Random(f"{stream}shuffle").many_f64
    turns = _first_turns(rows("prompts"))
    requests = prompts.sharegpt_requests(vocabulary.encoding, turns, output_len, number, order)
    if parameter("no-oversample", bool):
        return prompts.oversampled(requests, 0, Random(f"{stream}oversample").many_f64)
    return prompts.oversampled(requests, number, Random(f"{stream}oversample").many_f64)


def _first_turns(dataset: Dataset) -> Iterator[list[str]]:
    """Yields the first two texts of each conversation that has as many."""
    while block := dataset.next_rows(64):
        for row in block:
            turns = json.loads(str(row.fields.get("conversations", "[]")))
            if isinstance(turns, list) and len(turns) >= 2:
                yield [_text(turn, row.index) for turn in turns[:2]]


def _text(turn: object, row: int) -> str:
    value = turn.get("value") if isinstance(turn, dict) else None
    if not isinstance(value, str):
        raise Error.invalid_argument(f"row {row} of the prompts: a turn has no text 'value'")
    return value

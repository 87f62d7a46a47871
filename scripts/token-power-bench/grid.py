"""The grid of settings: precision, parallel split, context and batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

from llem_sdk import About, Error, Model, Parallelism, Random, TextPrompt, TokensPrompt
from llem_sdk import inputs, parameter
from llem_sdk.devices import Dtype

INSTRUCTIONS = (
    "Give three tips for staying healthy.",
    "Explain the difference between a comet and an asteroid.",
    "Describe how a sundial tells the time of day.",
    "Rewrite this sentence in the past tense: The children are building a house of snow in the garden.",
)
"""Prompts in the manner of Alpaca's, for runs without a dataset."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid."""

    precision: Dtype | None
    """`None` means the model's own."""
    parallelism: Parallelism
    context: int
    """The prompt tokens of a request. 0 means prompts as they are in the dataset."""
    batch_size: int

    @property
    def load_key(self) -> tuple[Dtype | None, Parallelism]:
        """What a model is loaded for."""
        return self.precision, self.parallelism


@dataclass(frozen=True, slots=True)
class Grid:
    """Values of each axis. The grid is their product."""

    precisions: tuple[Dtype | None, ...]
    splits: tuple[Parallelism, ...]
    contexts: tuple[int, ...]
    batch_sizes: tuple[int, ...]

    @classmethod
    def from_parameters(cls) -> Grid:
        """Reads and checks the axes."""
        precisions = [word.strip() for word in parameter("precisions", str).split(",")]
        for word in precisions:
            if word not in ("", *map(str, Dtype)):
                raise Error.invalid_argument(f"precisions: '{word}' is none of {', '.join(map(str, Dtype))}")
        return cls(
            tuple(Dtype(word) if word else None for word in precisions),
            tuple(_split(word) for word in parameter("parallel", str).split(",")),
            tuple(_whole("context-lengths", word, least=0) for word in parameter("context-lengths", str).split(",")),
            tuple(_whole("batch-sizes", word, least=1) for word in parameter("batch-sizes", str).split(",")),
        )

    def __iter__(self) -> Iterator[Setting]:
        for precision in self.precisions:
            for split in self.splits:
                for context in self.contexts:
                    for batch_size in self.batch_sizes:
                        yield Setting(precision, split, context, batch_size)

    def __len__(self) -> int:
        return len(self.precisions) * len(self.splits) * len(self.contexts) * len(self.batch_sizes)

    def name(self, setting: Setting) -> str:
        """Returns what the names of a setting's files begin with: `batch_1`, after the axes with several values."""
        parts = []
        if len(self.precisions) > 1:
            parts.append(str(setting.precision or "default"))
        if len(self.splits) > 1:
            parts.append(f"tp_{setting.parallelism.tensor}_pp_{setting.parallelism.pipeline}")
        if len(self.contexts) > 1:
            parts.append(f"context_{setting.context}")
        return "_".join([*parts, f"batch_{setting.batch_size}"])

    def labels(self, setting: Setting) -> dict[str, str]:
        """Returns the labels of a setting's metrics: the batch, and the axes that have several values."""
        labels = {"batch_size": str(setting.batch_size)}
        if len(self.precisions) > 1:
            labels["precision"] = str(setting.precision or "default")
        if len(self.splits) > 1:
            labels["tensor_parallel_size"] = str(setting.parallelism.tensor)
            labels["pipeline_parallel_size"] = str(setting.parallelism.pipeline)
        if len(self.contexts) > 1:
            labels["context"] = str(setting.context)
        return labels


def add_axes(about: About) -> About:
    """Adds the parameters of the grid and of its prompts."""
    return (
        about.text("batch-sizes", "1", "batch sizes, separated by commas (--batch-sizes)")
        .text("context-lengths", "0", "prompt tokens, separated by commas; 0: prompts of the dataset as they are")
        .text("parallel", "1x1", "tensor x pipeline ranks, separated by commas: 1x1,2x1 (--tensor-parallel-size)")
        .text("precisions", "", "f32, bf16, f16, separated by commas; empty: the model's own")
        .dataset("prompts", "rows with a text each; without it four built-in instructions")
        .text("prompt-column", "instruction", "the column that prompts are read from")
        .integer("min-words", 2, "fewest words of a prompt of the dataset (--min-words)")
        .integer("max-words", 300, "most words of it (--max-words)")
        .integer("num-samples", 4, "requests; prompts are repeated in order (--num-samples)")
    )


def prompts_of(model: Model, context: int, count: int) -> list[TextPrompt | TokensPrompt]:
    """Returns the prompts of a run: texts in the dataset's order, repeated, or random tokens of a length."""
    if context > 0:
        random, vocabulary = Random(f"context {context}"), model.info().vocab_size
        return [TokensPrompt.random(random, vocabulary, context) for _ in range(count)]
    return [TextPrompt(text) for text in islice(cycle(_texts()), count)]


def _texts() -> Sequence[str]:
    texts = inputs.texts_if_granted("prompts", "prompt-column")
    if texts is None:
        return INSTRUCTIONS
    fewest, most = parameter("min-words", int), parameter("max-words", int)
    kept = [text for text in texts if fewest <= len(text.split()) <= most]
    if not kept:
        raise Error.invalid_argument(f"no prompt of the dataset has {fewest} to {most} words")
    return kept


def _split(word: str) -> Parallelism:
    tensor, separator, pipeline = word.strip().partition("x")
    ranks = Parallelism(_whole("parallel", tensor, least=1))
    return replace(ranks, pipeline=_whole("parallel", pipeline, least=1)) if separator else ranks


def _whole(name: str, word: str, least: int) -> int:
    text = word.strip()
    if not text.isdecimal() or int(text) < least:
        raise Error.invalid_argument(f"{name}: '{word}' is no whole number from {least}")
    return int(text)

"""A task: its parameters, its documents, and the prompts of lm-evaluation-harness (`api/task.py`, `api/samplers.py`).

    description + (question + target_delimiter + answer + fewshot_delimiter) * num_fewshot + question

An answer is a choice, or the text that is scored.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import items
from llem_sdk import Error, parameter, rows_if_granted
from templates import Document, as_list, render, unescape

METRICS = {
    "multiple_choice": ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "brier_score"),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
}
"""The metrics of each output type."""

DEFAULT_METRICS = {name: metrics[:2] if name == "multiple_choice" else metrics for name, metrics in METRICS.items()}
"""The metrics of a task that names none (`DEFAULT_METRIC_REGISTRY`)."""

_DEFAULTS = {
    "multiple_choice": {"doc_to_text": "{{question}}", "doc_to_target": "answer", "doc_to_choice": "choices"},
    "loglikelihood": {"doc_to_text": "{{context}}", "doc_to_target": "{{continuation}}", "doc_to_choice": ""},
    "loglikelihood_rolling": {"doc_to_text": "", "doc_to_target": "{{text}}", "doc_to_choice": ""},
}
"""The templates that fit the documents of `items.py`."""

_BUILT_IN = {
    "multiple_choice": items.QUESTIONS,
    "loglikelihood": items.PASSAGES,
    "loglikelihood_rolling": items.TEXTS,
}


@dataclass(slots=True)
class Task:
    """What is asked of the model, under the names of a task's YAML file."""

    task: str
    output_type: str
    doc_to_text: str
    doc_to_target: str
    doc_to_choice: str
    doc_to_count: str
    """The text whose words and bytes count, if it is another than the one that is scored (as in `wikitext`)."""
    target_delimiter: str
    fewshot_delimiter: str
    description: str
    metric_list: tuple[str, ...]
    num_fewshot: int
    fewshot_sampler: str
    fewshot_seed: int
    documents: Sequence[Document] = field(repr=False)
    """All documents, of which `limit` are evaluated."""
    fewshot_documents: Sequence[Document] | None = field(repr=False)
    """The pool of examples. `None` means the documents themselves, without the one that is asked."""

    @classmethod
    def from_parameters(cls) -> Task:
        """Reads and checks the parameters, and the datasets that were granted."""
        output_type = parameter("output-type", str)
        if output_type not in METRICS:
            raise Error.invalid_argument(f"output-type is '{output_type}': set it to one of {', '.join(METRICS)}")
        names = parameter("metric-list", str)
        metrics = tuple(name.strip() for name in names.split(",")) if names else DEFAULT_METRICS[output_type]
        if unknown := [name for name in metrics if name not in METRICS[output_type]]:
            known = ", ".join(METRICS[output_type])
            raise Error.invalid_argument(f"metric-list: '{unknown[0]}' is no metric of {output_type}; it has {known}")
        sampler, shots = parameter("fewshot-sampler", str), parameter("num-fewshot", int)
        if sampler not in ("default", "first_n") or shots < 0:
            raise Error.invalid_argument("set fewshot-sampler to default or first_n, and num-fewshot to 0 or more")

        def template(name: str) -> str:
            given = unescape(parameter(name, str))
            return given or _DEFAULTS[output_type].get(name.replace("-", "_"), "")

        documents = _documents("items")
        return cls(
            task=parameter("task", str),
            output_type=output_type,
            doc_to_text=template("doc-to-text"),
            doc_to_target=template("doc-to-target"),
            doc_to_choice=template("doc-to-choice"),
            doc_to_count=template("doc-to-count"),
            target_delimiter=unescape(parameter("target-delimiter", str)),
            fewshot_delimiter=unescape(parameter("fewshot-delimiter", str)),
            description=unescape(parameter("description", str)),
            metric_list=metrics,
            num_fewshot=shots if output_type != "loglikelihood_rolling" else 0,
            fewshot_sampler=sampler,
            fewshot_seed=parameter("fewshot-seed", int),
            documents=_BUILT_IN[output_type] if documents is None else documents,
            fewshot_documents=_documents("fewshot"),
        )

    def contexts(self, count: int) -> list[str]:
        """Returns the prompts of the first documents, with their examples before each question.

        The examples of all documents come from one stream of Python's random numbers, as in the harness.
        """
        draw = random.Random(self.fewshot_seed)
        return [self._context(document, draw) for document in self.documents[:count]]

    def _context(self, document: Document, draw: random.Random) -> str:
        if self.output_type == "loglikelihood_rolling":
            return ""
        # The harness accepts the name of a field or a template here, and nothing for an empty description.
        parts = [str(render(self.description, document))] if self.description else []
        for example in self._examples(document, draw):
            answer = self._answer(example)
            parts += [self._text(example), self.target_delimiter, answer, self.fewshot_delimiter]
        return "".join([*parts, self._text(document)])

    def _examples(self, document: Document, draw: random.Random) -> Sequence[Document]:
        count = self.num_fewshot
        if count == 0:
            return ()
        pool = list(self.documents if self.fewshot_documents is None else self.fewshot_documents)
        is_own = self.fewshot_documents is None
        if len(pool) < count + is_own:
            raise Error.invalid_argument(f"num-fewshot is {count}, and the pool has {len(pool)} documents: lower it")
        if self.fewshot_sampler == "first_n":
            return [one for one in pool if not (is_own and one == document)][:count]
        if not is_own:
            return draw.sample(pool, count)
        others = [one for one in draw.sample(pool, count + 1) if one != document][:count]
        return others if len(others) == count else draw.sample([one for one in pool if one != document], count)

    def _text(self, document: Document) -> str:
        return str(render(self.doc_to_text, document))

    def _answer(self, document: Document) -> str:
        """Returns the right answer of an example as text."""
        gold = self.target(document)
        if isinstance(gold, int):
            return self.choices(document)[gold]
        return str(gold[0]) if isinstance(gold, list) else gold

    def target(self, document: Document) -> int | str | list[Any]:
        """Returns the right answer: the index of a choice, several of them, or a text."""
        target = render(self.doc_to_target, document)
        if self.output_type == "multiple_choice" and isinstance(target, str) and target.isdigit():
            return int(target)
        if isinstance(target, int) and not isinstance(target, bool):
            return target
        listed = as_list(target)
        return str(target) if listed is None else listed

    def counted(self, document: Document) -> str:
        """Returns the text whose words and bytes count."""
        return str(render(self.doc_to_count or self.doc_to_target, document))

    def choices(self, document: Document) -> list[str]:
        """Returns the texts of the choices."""
        value = self.doc_to_choice if self.doc_to_choice.startswith("[") else render(self.doc_to_choice, document)
        listed = as_list(value)
        if not listed or not all(isinstance(one, str) for one in listed):
            raise Error.invalid_argument(f"doc-to-choice gives {value!r}, which is no list of texts")
        return listed

    def as_config(self) -> dict[str, object]:
        """Returns the entry of `configs`: the fields of the task's YAML file."""
        names: tuple[str, ...] = ("task", "output_type", "doc_to_text", "doc_to_target", "doc_to_choice", "description")
        names += ("target_delimiter", "fewshot_delimiter", "num_fewshot")
        values: dict[str, object] = {name: getattr(self, name) for name in names}
        metrics = [{"metric": name} for name in self.metric_list]
        sampler = {"sampler": self.fewshot_sampler}
        return values | {"fewshot_config": sampler, "metric_list": metrics, "repeats": 1}


def _documents(name: str) -> list[Document] | None:
    """Returns the rows of a dataset, or `None` if it was not granted."""
    rows = rows_if_granted(name)
    if rows is None:
        return None
    documents: list[Document] = [row.fields for row in rows]
    if not documents:
        raise Error.invalid_argument(f"the dataset '{name}' has no rows: give a file with documents")
    return documents

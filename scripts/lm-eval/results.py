"""The results of an evaluation as lm-evaluation-harness writes them (`evaluator_utils.py`, `evaluation_tracker.py`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from encoding import Encoder, Prepared
from llem_sdk import Error, Measurement, Metric, Model, Quantity, Reading, Source, Unavailable, facts, parameter, report
from llem_sdk.wait import NS
from metrics import HIGHER_IS_BETTER, Likelihood, Value
from task import Task

NO_STDERR = "N/A"
"""What the harness writes where it has no standard error."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a run that are not the task's."""

    limit: int
    count: int
    """The documents that are evaluated."""
    bootstrap_iters: int
    batch_size: int
    max_length: int
    prefix_token_id: int | None
    add_bos_token: bool | None
    log_samples: bool

    @classmethod
    def from_parameters(cls, model: Model, documents: int) -> Settings:
        """Reads and checks the parameters."""
        context, limit = model.info().context_length, parameter("limit", int)
        longest, batch_size = parameter("max-length", int) or context, parameter("batch-size", int)
        if not 0 < longest <= context or limit < 0 or batch_size < 1:
            raise Error.invalid_argument(
                f"set max-length to at most {context}, which is the model's, limit to 0 or more, batch-size to 1"
            )
        bos, prefix = parameter("add-bos-token", str), parameter("prefix-token-id", int)
        if bos not in ("", "true", "false"):
            raise Error.invalid_argument(f"add-bos-token is '{bos}': set it to true or false, or leave it out")
        return cls(
            limit=limit,
            count=min(limit, documents) if limit else documents,
            bootstrap_iters=parameter("bootstrap-iters", int),
            batch_size=batch_size,
            max_length=longest,
            prefix_token_id=None if prefix < 0 else prefix,
            add_bos_token=None if bos == "" else bos == "true",
            log_samples=parameter("log-samples", bool),
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured with one adapter, or with the base weights."""

    adapter: str | None
    metrics: dict[str, tuple[float, float | None]]
    """The value and the standard error of each metric."""
    values: list[dict[str, Value]]
    scores: list[list[Likelihood]]
    measurement: Measurement
    requests: int
    scored_tokens: int
    input_tokens: int
    """The tokens that were fed to the model."""
    correct: float | None
    """The documents with `acc` 1. `None` if `acc` is not evaluated."""

    def additions(self) -> dict[str, Reading]:
        """Returns what the harness does not have: the energy of all scoring, of a correct answer, of a token."""
        energy = self.measurement.energy_total
        answer, token = "no document was answered correctly", "no token was scored"
        per_answer = _per(energy, self.correct, "J/{answer}", answer if self.correct is not None else "no acc")
        return {
            "energy": energy,
            "energy_per_correct_answer": per_answer,
            "energy_per_scored_token": _per(energy, self.scored_tokens, "J/{token}", token),
        }


def _per(energy: Reading, count: float | None, unit: str, otherwise: str) -> Reading:
    if not energy:
        return energy
    return (energy.per(count, unit) if count else None) or Unavailable(otherwise)


def write(
    task: Task,
    settings: Settings,
    encoder: Encoder,
    model: Model,
    prepared: Sequence[Prepared],
    evaluation: Evaluation,
    suffix: str,
) -> None:
    """Writes `results.json`, the table and the metrics, and the samples if they are asked for."""
    content = as_results(task, settings, encoder, model, evaluation)
    report.write_artifact(f"results{suffix}.json", json.dumps(content, indent=2, ensure_ascii=False).encode())
    labels = {"task": task.task, "filter": "none", "peft": evaluation.adapter or "none"}
    rows = []
    for name, (value, error) in evaluation.metrics.items():
        quantity = Quantity(value, error or 0.0, "bit/By" if name == "bits_per_byte" else "1", Source.DERIVED)
        report.add_metric(quantity.into_metric(name, **labels))
        arrow = "↑" if HIGHER_IS_BETTER[name] else "↓"
        shown = NO_STDERR if error is None else f"{error:.4f}"
        rows.append([task.task, "none", str(task.num_fewshot), name, arrow, f"{value:.4f}", "±", shown])
    columns = ("Tasks", "Filter", "n-shot", "Metric", "", "Value", " ", "Stderr")
    report.add_table(report.Table(f"results{suffix}", columns, rows))
    seconds = Quantity.exact(evaluation.measurement.wall_time * NS, "s", Source.CLOCK)
    report.add_metric(Metric("scoring_time", seconds, tuple(labels.items())))
    reasons: dict[str, list[str]] = {}
    for name, reading in evaluation.additions().items():
        if reading:
            report.add_metric(Metric(name, reading, tuple(labels.items())))
        else:
            reasons.setdefault(reading.reason, []).append(name)
    for reason, names in reasons.items():
        report.warn(f"{', '.join(names)}: {reason}")
    if settings.log_samples:
        lines = [_sample(task, index, *one) for index, one in _samples(task, prepared, evaluation)]
        report.write_artifact(f"samples{suffix}_{task.task}.jsonl", "".join(lines).encode())


def as_results(
    task: Task, settings: Settings, encoder: Encoder, model: Model, evaluation: Evaluation
) -> dict[str, Any]:
    """Returns the content of `results.json`: the harness' keys, and one key `llem`."""
    info = model.info()
    measured: dict[str, object] = {"name": task.task, "alias": task.task, "sample_len": settings.count}
    for name, (value, error) in evaluation.metrics.items():
        measured[f"{name},none"] = value
        measured[f"{name}_stderr,none"] = NO_STDERR if error is None else error
    pretrained = {"pretrained": info.source, "dtype": str(info.dtype), "peft": evaluation.adapter}
    tokenizer = encoder.tokenizer
    return {
        "results": {task.task: measured},
        "group_subtasks": {task.task: []},
        "configs": {task.task: task.as_config()},
        "versions": {},
        "n-shot": {task.task: task.num_fewshot},
        "higher_is_better": {task.task: {name: HIGHER_IS_BETTER[name] for name in task.metric_list}},
        "n-samples": {task.task: {"original": len(task.documents), "effective": settings.count}},
        "config": {
            "model": "llem",
            "model_args": {name: value for name, value in pretrained.items() if value is not None},
            "model_num_parameters": info.parameters,
            "model_dtype": str(info.dtype),
            "model_revision": "",
            "model_sha": info.digest,
            "batch_size": settings.batch_size,
            "batch_sizes": [],
            "device": info.device,
            "use_cache": None,
            "limit": settings.limit or None,
            "bootstrap_iters": settings.bootstrap_iters,
            "gen_kwargs": {},
            "random_seed": None,
            "numpy_seed": None,
            "torch_seed": None,
            "fewshot_seed": task.fewshot_seed,
        },
        "git_hash": facts.fact("llem-revision"),
        "date": facts.run_began().astimezone(UTC).timestamp(),
        "tokenizer_eos_token": _token(encoder, tokenizer.eos()),
        "tokenizer_bos_token": _token(encoder, tokenizer.bos()),
        "eot_token_id": tokenizer.eos(),
        "max_length": settings.max_length,
        "model_source": "llem",
        "model_name": info.source,
        "total_evaluation_time_seconds": str(evaluation.measurement.wall_time * NS),
        "llem": {
            "version": facts.fact("llem-version"),
            "prefix_token_id": encoder.prefix,
            "requests": evaluation.requests,
            "scored_tokens": evaluation.scored_tokens,
            "input_tokens": evaluation.input_tokens,
            "correct_answers": evaluation.correct,
            **{name: _as_json(reading) for name, reading in evaluation.additions().items()},
        },
    }


def _as_json(reading: Reading) -> dict[str, object]:
    if not reading:
        return {"value": None, "reason": reading.reason}
    names = ("value", "uncertainty", "unit")
    return {name: getattr(reading, name) for name in names} | {"source": str(reading.source)}


def _token(encoder: Encoder, token: int | None) -> list[str | None]:
    return [None if token is None else encoder.tokenizer.decode([token], True), str(token)]


def _samples(task: Task, prepared: Sequence[Prepared], evaluation: Evaluation) -> Any:
    return enumerate(zip(task.documents, prepared, evaluation.scores, evaluation.values, strict=False))


def _sample(task: Task, index: int, document: Any, one: Prepared, scores: Any, values: dict[str, Value]) -> str:
    """Returns a line of the file of samples."""
    is_rolling = task.output_type == "loglikelihood_rolling"
    responses = [[str(score.total)] if is_rolling else [str(score.total), str(score.is_greedy)] for score in scores]
    arguments = enumerate(one.arguments)
    content = {
        "doc_id": index,
        "doc": document,
        "target": str(task.target(document)),
        "arguments": {f"gen_args_{i}": {f"arg_{j}": text for j, text in enumerate(texts)} for i, texts in arguments},
        "resps": [[response] for response in responses],
        "filtered_resps": responses,
        "filter": "none",
        "metrics": list(values),
        **values,
    }
    return json.dumps(content, ensure_ascii=False) + "\n"

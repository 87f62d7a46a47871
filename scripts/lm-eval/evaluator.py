"""lm-evaluation-harness' log-likelihood tasks, with llem as the model.

    documents -> prompts -> requests -> scores -> a value of each metric a document -> mean or bootstrap -> results.json

All scoring is inside one window, so its time and energy are known beside the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence

import llem_sdk
import metrics
from encoding import Encoder, Prepared
from llem_sdk import About, Error, Measurement, Model, Phase, Window, parameter, report
from metrics import Likelihood, Value
from results import Evaluation, Settings, write
from task import Task


def about() -> About:
    return (
        About("lm-eval", "0.1.0", "lm-evaluation-harness: accuracies and perplexities from log-likelihoods")
        .dataset("items", "documents, one a row, with the fields that the templates name")
        .dataset("fewshot", "documents that examples are taken from; by default those of items")
        .text("task", "llem_builtin", "the task's name in the results")
        .text("output-type", "multiple_choice", "multiple_choice, loglikelihood or loglikelihood_rolling")
        .text("doc-to-text", "", "field or template of the prompt; by default {{question}}, {{context}} or nothing")
        .text("doc-to-target", "", "of the answer; by default answer, {{continuation}} or {{text}}")
        .text("doc-to-choice", "", "of the choices, or a list as JSON; by default choices")
        .text("doc-to-count", "", "of the text whose words and bytes count; by default the one that is scored")
        .text("target-delimiter", " ", "text between a question and a choice")
        .text("fewshot-delimiter", "\n\n", "text behind an example")
        .text("description", "", "text before everything")
        .text("metric-list", "", "names of metrics, separated by commas; by default the output type's")
        .integer("num-fewshot", 0, "examples before each question")
        .text("fewshot-sampler", "default", "default (drawn) or first_n")
        .integer("fewshot-seed", 1234, "seed of the drawn examples (--seed)")
        .integer("limit", 0, "documents that are evaluated, 0 for all (--limit)")
        .integer("bootstrap-iters", 100_000, "replicates of a bootstrap, 0 for no standard errors")
        .integer("batch-size", 64, "requests that are given to the model at once (--batch_size)")
        .integer("max-length", 0, "most tokens that are fed to the model, 0 for its context (max_length)")
        .integer("prefix-token-id", -1, "token before texts without a context, -1 for BOS or EOS (prefix_token_id)")
        .text("add-bos-token", "", "true or false, or nothing for what the tokenizer does (add_bos_token)")
        .text("peft", "", "adapter: a name, none, both (without and with), or nothing for the granted one (peft)")
        .boolean("log-samples", False, "whether a file has every document's scores (--log_samples)")
    )


def prepare(task: Task, encoder: Encoder, count: int) -> list[Prepared]:
    """Makes the requests of the first documents (`construct_requests`)."""
    prepared = []
    for document, context in zip(task.documents[:count], task.contexts(count), strict=True):
        if task.output_type == "loglikelihood_rolling":
            text = str(task.target(document))
            prepared.append(Prepared([(text,)], [encoder.windows(text)]))
            continue
        if task.output_type == "loglikelihood":
            arguments = [(context, str(task.target(document)))]
        else:
            continuations = [f"{task.target_delimiter}{choice}" for choice in task.choices(document)]
            arguments = [(context, one) for one in continuations]
            if "acc_mutual_info" in task.metric_list:
                arguments += [("", one) for one in continuations]
        pairs = [[encoder.pair(before, after)] for before, after in arguments]
        prepared.append(Prepared(list(arguments), pairs))
    return prepared


def score(model: Model, prepared: Sequence[Prepared], batch_size: int) -> tuple[list[list[Likelihood]], Measurement]:
    """Scores all requests, the longest first as in the harness. Returns the scores of each document's arguments."""
    flat = [request for one in prepared for parts in one.requests for request in parts]
    order = sorted(range(len(flat)), key=lambda index: -len(flat[index].context) - len(flat[index].continuation))
    scores = [Likelihood(0.0, True)] * len(flat)
    with Window("score") as window:
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            for index, one in zip(indices, model.score([flat[index] for index in indices]).scores, strict=True):
                scores[index] = Likelihood(sum(one.log_likelihoods), one.is_greedy)
            report.show_progress(min(start + batch_size, len(order)), len(order), "requests")
    taken = iter(scores)
    joined = [[_joined([next(taken) for _ in parts]) for parts in one.requests] for one in prepared]
    return joined, window.measurement


def _joined(parts: Sequence[Likelihood]) -> Likelihood:
    return Likelihood(sum(part.total for part in parts), all(part.is_greedy for part in parts))


def values_of(task: Task, count: int, scores: Sequence[Sequence[Likelihood]]) -> list[dict[str, Value]]:
    """Returns what each document contributes to each metric (`process_results`)."""
    values = []
    for document, of_document in zip(task.documents[:count], scores, strict=True):
        if task.output_type == "multiple_choice":
            choices, gold = task.choices(document), task.target(document)
            values.append(metrics.multiple_choice(choices, gold, of_document, task.metric_list))
        elif task.output_type == "loglikelihood":
            values.append(metrics.loglikelihood(of_document[0], task.metric_list))
        else:
            values.append(metrics.rolling(of_document[0].total, task.counted(document), task.metric_list))
    return values


def evaluate(task: Task, settings: Settings, model: Model, adapter: str | None, prepared: list[Prepared]) -> Evaluation:
    """Evaluates the task with an adapter, or with the base weights if there is none."""
    model.use_adapter(adapter)
    with Phase("peft" if adapter else "base"):
        scores, measurement = score(model, prepared, settings.batch_size)
        values = values_of(task, len(prepared), scores)
        aggregated: dict[str, tuple[float, float | None]] = {}
        for name in task.metric_list:
            column = [one[name] for one in values]
            report.show_progress(len(aggregated), len(task.metric_list), f"standard error of {name}")
            error = metrics.stderr(name, column, settings.bootstrap_iters)
            aggregated[name] = (metrics.AGGREGATIONS[name](column), error)
    requests = [request for one in prepared for parts in one.requests for request in parts]
    correct = float(sum(one.get("acc") == 1.0 for one in values))
    scored = sum(len(request.continuation) for request in requests)
    fed = sum(len(request.context) + len(request.continuation) - 1 for request in requests)
    return Evaluation(
        adapter=adapter,
        metrics=aggregated,
        values=values,
        scores=scores,
        measurement=measurement,
        requests=len(requests),
        scored_tokens=scored,
        input_tokens=fed,
        correct=correct if "acc" in task.metric_list else None,
    )


def _adapters(model: Model, wanted: str) -> list[str | None]:
    """Returns the adapters to evaluate with. `None` stands for the base weights."""
    attached = [adapter.name for adapter in model.adapters()]
    if wanted == "none":
        return [None]
    if wanted in ("", "both"):
        if wanted == "both" and not attached:
            raise Error.invalid_argument("peft is both, and no adapter is attached: give one with --adapter PATH")
        return [*([None] if wanted == "both" or not attached else []), *attached[:1]]
    if wanted not in attached:
        return [model.attach_adapter(wanted).name]
    return [wanted]


def run() -> None:
    task = Task.from_parameters()
    model = Model.load_granted()
    adapters = _adapters(model, parameter("peft", str))
    settings = Settings.from_parameters(model, len(task.documents))
    encoder = Encoder.of(model.tokenizer(), settings.max_length, settings.prefix_token_id, settings.add_bos_token)
    with Phase("prepare"):
        prepared = prepare(task, encoder, settings.count)
    # A first call packs buffers and wakes the threads.
    with Phase("warmup"):
        model.score([next(request for one in prepared for parts in one.requests for request in parts)])
    evaluations = [evaluate(task, settings, model, adapter, prepared) for adapter in adapters]
    for evaluation in evaluations:
        suffix = "" if len(evaluations) == 1 else "_peft" if evaluation.adapter else "_base"
        write(task, settings, encoder, model, prepared, evaluation, suffix)


llem_sdk.experiment(about, run)

"""Accuracy on multiple-choice questions, as lm-evaluation-harness' `multiple_choice` tasks score them."""

import json
import math

import llem_sdk
from llem_sdk import About, Model, Quantity, ScoreRequest, Source, parameter, report, rows


def about() -> About:
    return (
        About("multiple-choice", "0.1.0", "acc and acc_norm of multiple-choice questions")
        .required_dataset("items", "rows with `question`, `choices` (a list of texts) and `answer` (an index)")
        .integer("limit", 0, "how many rows are scored, 0 for all")
    )


def run() -> None:
    model = Model.load_granted()
    tokenizer, limit = model.tokenizer(), parameter("limit", int)
    correct: dict[str, list[float]] = {"acc": [], "acc_norm": []}
    for index, row in enumerate(rows("items")):
        if limit and index == limit:
            break
        context, choices = row.get("question", str), json.loads(row.get("choices", str))
        before = len(tokenizer.encode(context, True))
        requests = []
        for choice in choices:
            # The continuation is what remains after the context's tokens, as the harness counts them.
            whole = tokenizer.encode(f"{context} {choice}", True)
            requests.append(ScoreRequest(whole[:before], whole[before:]))
        sums = [math.fsum(score.log_likelihoods) for score in model.score(requests).scores]
        normed = [total / len(choice) for total, choice in zip(sums, choices)]
        answer = row.get("answer", int)
        for name, values in (("acc", sums), ("acc_norm", normed)):
            correct[name].append(float(values.index(max(values)) == answer))
    for name, values in correct.items():
        if values:
            count = len(values)
            mean = sum(values) / count
            error = math.sqrt(mean * (1.0 - mean) / (count - 1)) if count > 1 else 0.0
            report.add_metric(Quantity(mean, error, "1", Source.DERIVED).into_metric(name))


llem_sdk.experiment(about, run)

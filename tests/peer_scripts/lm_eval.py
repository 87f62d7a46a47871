"""Checks what scripts/lm-eval reports against its record: tokens of the journal's scores, windows, its own samples."""

import json
import math
import random
import re
import statistics

from .comparison import assert_close


def _totals(sample: dict) -> list[float]:
    return [float(response[0][0]) for response in sample["resps"]]


def _stderr(results: dict, name: str) -> object:
    return results[f"{name}_stderr,none"]


def _first(values: list[float]) -> int:
    return values.index(max(values))


def _check_energy(run, results: dict, phase: str) -> None:
    [window] = [one for one in run.of_kind("window") if one["label"] == "score" and one["phase"] == phase]
    added = results["llem"]
    assert_close(float(results["total_evaluation_time_seconds"]), window["wall_ns"] * 1e-9, "time")
    total = window["energy_total"].get("value")
    if total is None:
        assert added["energy"]["value"] is None and added["energy"]["reason"]
        assert any("energy" in warning for warning in run.record["warnings"])
        return
    assert_close(added["energy"]["value"], total, "energy")
    assert_close(added["energy_per_scored_token"]["value"], total / added["scored_tokens"], "energy of a token")
    if added["correct_answers"]:
        assert_close(added["energy_per_correct_answer"]["value"], total / added["correct_answers"], "energy of an answer")


def _check_journal(results: dict, samples: list[dict], calls: list[dict]) -> None:
    """Compares the samples with the scores that the host wrote to the journal, which are in another order."""
    recorded = [one["log_likelihood"] for call in calls for one in call["results"]]
    assert_close(math.fsum(total for sample in samples for total in _totals(sample)), math.fsum(recorded), "all scores")
    assert results["llem"]["scored_tokens"] == sum(call["scored_tokens"] for call in calls)
    fed = sum(call["window"]["activity"]["prompt_tokens"] for call in calls)
    assert results["llem"]["input_tokens"] == fed
    assert results["llem"]["requests"] == sum(call["requests"] for call in calls)


def _check_choices(run, results: dict, samples: list[dict]) -> None:
    measured = results["results"]["llem_builtin"]
    columns: dict[str, list[float]] = {name: [] for name in ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")}
    for sample in samples:
        choices, gold = sample["doc"]["choices"], sample["doc"]["answer"]
        choices = json.loads(choices) if isinstance(choices, str) else choices
        totals = _totals(sample)
        assert len(totals) == 2 * len(choices)
        pairs = [list(one.values()) for one in sample["arguments"].values()]
        context = sample["doc"]["question"]
        assert pairs == [[context, f" {choice}"] for choice in choices] + [["", f" {choice}"] for choice in choices]
        given, alone = totals[: len(choices)], totals[len(choices) :]
        chosen = {
            "acc": _first(given),
            "acc_norm": _first([total / len(choice) for total, choice in zip(given, choices)]),
            "acc_bytes": _first([total / len(choice.encode()) for total, choice in zip(given, choices)]),
            "acc_mutual_info": _first([one - other for one, other in zip(given, alone)]),
        }
        for name, choice in chosen.items():
            columns[name].append(float(choice == gold))
            assert sample[name] == columns[name][-1], name
    for name, values in columns.items():
        assert_close(measured[f"{name},none"], statistics.fmean(values), name)
        assert_close(_stderr(measured, name), statistics.stdev(values) / math.sqrt(len(values)), f"stderr of {name}")
        assert_close(run.metrics(name)[tuple(run.metrics(name))[0]], measured[f"{name},none"], name)


def _check_passages(results: dict, samples: list[dict], iterations: int) -> None:
    measured = results["results"]["llem_builtin"]
    totals = [_totals(sample)[0] for sample in samples]
    assert_close(measured["perplexity,none"], math.exp(-statistics.fmean(totals)), "perplexity")
    replicates = []
    for seed in range(iterations // 1000):
        draw = random.Random(seed)
        replicates += [math.exp(-statistics.fmean(draw.choices(totals, k=len(totals)))) for _ in range(1000)]
    assert_close(_stderr(measured, "perplexity"), statistics.stdev(replicates), "bootstrap")
    assert_close(measured["acc,none"], statistics.fmean(sample["resps"][0][0][1] == "True" for sample in samples), "acc")


def _check_texts(results: dict, samples: list[dict]) -> None:
    measured = results["results"]["llem_builtin"]
    total = math.fsum(_totals(sample)[0] for sample in samples)
    texts = [sample["doc"]["text"] for sample in samples]
    words, size = sum(len(re.split(r"\s+", text)) for text in texts), sum(len(text.encode()) for text in texts)
    assert_close(measured["word_perplexity,none"], math.exp(-total / words), "word_perplexity")
    assert_close(measured["byte_perplexity,none"], math.exp(-total / size), "byte_perplexity")
    assert_close(measured["bits_per_byte,none"], -total / size / math.log(2), "bits_per_byte")
    assert {_stderr(measured, name) for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")} == {"N/A"}


def check(run_of) -> None:
    metrics = "acc,acc_norm,acc_bytes,acc_mutual_info"
    parameters = {"metric-list": metrics, "log-samples": "true", "peft": "both", "batch-size": 7}
    run = run_of("lm-eval", parameters, ("--adapter", "synthetic:rank=4"))
    for phase, suffix in (("base", "_base"), ("peft", "_peft")):
        results = json.loads(run.artifacts[f"results{suffix}.json"])
        samples = [json.loads(line) for line in run.artifacts[f"samples{suffix}_llem_builtin.jsonl"].splitlines()]
        calls = [one for one in run.of_kind("score") if one["window"]["phase"] == phase]
        # Eight questions of four choices, with and without a context, seven at a time.
        assert len(calls) == math.ceil(8 * 8 / 7)
        _check_journal(results, samples, calls)
        _check_energy(run, results, phase)
        if phase == "base":
            _check_choices(run, results, samples)
    for output_type in ("loglikelihood", "loglikelihood_rolling"):
        parameters = {"output-type": output_type, "log-samples": "true", "bootstrap-iters": 3000, "max-length": 24}
        run = run_of("lm-eval", parameters)
        results = json.loads(run.artifacts["results.json"])
        samples = [json.loads(line) for line in run.artifacts["samples_llem_builtin.jsonl"].splitlines()]
        _check_energy(run, results, "base")
        _check_journal(results, samples, [one for one in run.of_kind("score") if one["window"]["phase"] == "base"])
        if output_type == "loglikelihood":
            _check_passages(results, samples, 3000)
        else:
            _check_texts(results, samples)

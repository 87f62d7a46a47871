"""The evaluation on the synthetic host, whose times and joules are given, and its rules without a host.

Expected values of metrics and windows were computed by lm_eval 0.4.13.
"""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import metrics
import pytest
from encoding import Encoder
from llem_sdk import Error, testing
from metrics import Likelihood
from templates import as_list, render, unescape

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(prefill_s_per_token=1e-3, idle_watts=0.0, prefill_joules_per_token=0.5)
"""A token that is fed takes 1 ms and 0.5 J."""


class Words:
    """A tokenizer that gives each word, and each white space, a token: its number in order of appearance."""

    def __init__(self) -> None:
        self.known = ["<s>", "</s>"]

    def encode(self, text: str, with_special_tokens: bool = True) -> list[int]:
        tokens = [0] if with_special_tokens else []
        while text:
            word = next((one for one in ("<s>", " ") if text.startswith(one)), text.split(" ")[0])
            if word not in self.known:
                self.known.append(word)
            tokens.append(self.known.index(word))
            text = text[len(word) :]
        return tokens

    def decode(self, tokens: Sequence[int], with_special_tokens: bool = False) -> str:
        return "".join(self.known[token] for token in tokens if with_special_tokens or token > 1)

    def bos(self) -> int | None:
        return 0

    def eos(self) -> int | None:
        return 1


def results_of(result: testing.TestResult, name: str = "results.json") -> dict[str, Any]:
    assert result.status == "completed", result.error
    content: dict[str, Any] = json.loads(result.artifacts[name])
    return content


def test_energies_are_those_of_the_tokens_that_are_fed() -> None:
    result = testing.run(PROJECT, host=HOST, parameters={"limit": 5, "log-samples": True})
    results = results_of(result)
    measured = results["results"]["llem_builtin"]
    assert results["n-samples"]["llem_builtin"] == {"original": 8, "effective": 5}
    samples = [json.loads(line) for line in result.artifacts["samples_llem_builtin.jsonl"].decode().splitlines()]
    correct = [sample["acc"] for sample in samples]
    assert measured["acc,none"] == statistics.fmean(correct)
    assert measured["acc_stderr,none"] == pytest.approx(statistics.stdev(correct) / math.sqrt(5))
    added = results["llem"]
    joules = added["input_tokens"] * 0.5
    assert added["energy"]["value"] == pytest.approx(joules)
    assert added["energy_per_scored_token"]["value"] == pytest.approx(joules / added["scored_tokens"])
    if sum(correct):
        assert added["energy_per_correct_answer"]["value"] == pytest.approx(joules / sum(correct))
        assert result.metric("energy_per_correct_answer").value == pytest.approx(joules / sum(correct))
    assert float(results["total_evaluation_time_seconds"]) == pytest.approx(added["input_tokens"] * 1e-3)


def test_all_output_types_and_metrics_are_evaluated() -> None:
    every = {
        "multiple_choice": "acc,acc_norm,acc_bytes,acc_mutual_info,exact_match,brier_score",
        "loglikelihood": "perplexity,acc",
        "loglikelihood_rolling": "word_perplexity,byte_perplexity,bits_per_byte",
    }
    for output_type, names in every.items():
        parameters: dict[str, str | int | float | bool] = {
            "output-type": output_type,
            "metric-list": names,
            "bootstrap-iters": 2000,
        }
        result = testing.run(PROJECT, host=HOST, parameters=parameters)
        measured = results_of(result)["results"]["llem_builtin"]
        assert {key.removesuffix(",none") for key in measured if key.endswith(",none")} == {
            text for name in names.split(",") for text in (name, f"{name}_stderr")
        }
        for name in names.split(","):
            assert result.metric(name).value == measured[f"{name},none"]
    assert measured["bits_per_byte,none"] == pytest.approx(math.log2(measured["byte_perplexity,none"]))
    assert measured["word_perplexity_stderr,none"] == "N/A"


def test_an_adapter_is_compared_with_its_base() -> None:
    options = ("--adapter", "synthetic:rank=8")
    result = testing.run(PROJECT, host=HOST, parameters={"peft": "both", "log-samples": True}, options=options)
    base, peft = (results_of(result, f"results{suffix}.json") for suffix in ("_base", "_peft"))
    assert "peft" not in base["config"]["model_args"]
    assert "peft" in peft["config"]["model_args"]
    scores = [
        [json.loads(line)["resps"] for line in result.artifacts[f"samples{suffix}_llem_builtin.jsonl"].splitlines()]
        for suffix in ("_base", "_peft")
    ]
    assert scores[0] != scores[1]
    assert len(result.metrics("acc")) == 2


def test_examples_are_drawn_as_pythons_random_draws_them(tmp_path: Path) -> None:
    rows = [{"question": f"q{index}", "choices": ["yes", "no"], "answer": index % 2} for index in range(6)]
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parameters: dict[str, str | int | float | bool] = {"num-fewshot": 2, "log-samples": True, "description": "Answer."}
    result = testing.run(PROJECT, host=HOST, parameters=parameters, datasets={"items": file})
    assert result.status == "completed", result.error
    samples = [json.loads(line) for line in result.artifacts["samples_llem_builtin.jsonl"].decode().splitlines()]
    contexts = [sample["arguments"]["gen_args_0"]["arg_0"] for sample in samples]
    # ContextSampler(rows, rnd=1234).sample(2, eval_doc=row) for each row of lm_eval 0.4.13.
    examples = [[3, 4], [0, 4], [5, 0], [2, 1], [0, 5], [4, 3]]
    answers = ["yes", "no"]
    for index, drawn in enumerate(examples):
        text = "".join(f"q{one} {answers[one % 2]}\n\n" for one in drawn)
        assert contexts[index] == f"Answer.{text}q{index}"


def test_white_space_moves_to_the_continuation() -> None:
    words = Words()
    encoder = Encoder.of(words, 100, None, None)
    one, other = encoder.pair("the red  ", "fox"), encoder.pair("the red", "  fox")
    assert (one.context, one.continuation) == (other.context, other.continuation)
    assert (words.decode(one.context, True), words.decode(one.continuation)) == ("<s>the red", "  fox")


def test_special_tokens_are_those_of_the_harness() -> None:
    words = Words()
    encoder = Encoder.of(words, 100, None, None)
    # A text that begins with BOS gets no second one.
    assert encoder.encode("<s>the") == encoder.encode("the")
    # Without a context the prefix stands for it, also if the text begins with it.
    for text in ("the fox", "<s>the fox"):
        request = encoder.pair("", text)
        assert (request.context, words.decode(request.continuation)) == ([0], "the fox")
    assert Encoder.of(words, 100, 1, False).pair("", "the").context == [1]
    assert Encoder.of(words, 100, None, False).encode("the") == [words.known.index("the")]


def test_a_long_context_is_cut_from_the_left() -> None:
    encoder = Encoder.of(Words(), 4, None, None)
    request = encoder.pair("a b c d", " e")
    # Five tokens remain, of which the last is not fed.
    assert len(request.context) + len(request.continuation) == 5
    assert encoder.tokenizer.decode(request.context) == " d"[-3:] if len(request.context) == 2 else "c d"
    with pytest.raises(Error, match="has 6 tokens, and the model takes 4"):
        encoder.pair("a", " b c d")


def test_windows_are_those_of_the_harness() -> None:
    words = Words()
    encoder = Encoder.of(words, 4, None, False)
    windows = encoder.windows("a b c d e")
    tokens = encoder.encode("a b c d e")
    # get_rolling_token_windows(tokens, 0, 4, 1) and make_disjoint_window, for nine tokens.
    expected = [([0], tokens[:4]), (tokens[3:4], tokens[4:8]), (tokens[4:8], tokens[8:])]
    assert [(list(one.context), list(one.continuation)) for one in windows] == expected
    assert encoder.windows("") == []


def test_choices_are_ranked_by_sums_characters_bytes_and_information() -> None:
    choices = ["ab", "éé", "abcdef"]
    scores = [Likelihood(total, False) for total in (-4.0, -6.0, -9.0, -3.0, -5.5, -1.0)]
    names = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match", "brier_score")
    values = metrics.multiple_choice(choices, 0, scores, names)
    # By sums 0, by characters (-2, -3, -1.5) 2, by bytes (-2, -1.5, -1.5) 1, by information (-1, -0.5, -8) 1.
    assert [values[name] for name in names[:5]] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert metrics.multiple_choice(choices, 2, scores, ("acc_norm",)) == {"acc_norm": 1.0}
    assert metrics.multiple_choice(choices, "éé", scores, names[2:4]) == {"acc_bytes": 1.0, "acc_mutual_info": 1.0}
    assert metrics.multiple_choice(choices, [1, 2], scores, ("acc", "acc_norm")) == {"acc": 0.0, "acc_norm": 1.0}
    assert metrics.multiple_choice(choices, 7, scores, ("acc",)) == {"acc": 0.0}


def test_aggregations_and_standard_errors_are_those_of_the_harness() -> None:
    totals = [-1.5, -0.25, -3.0, -2.0, -0.5]
    assert metrics.perplexity(totals) == pytest.approx(4.263114515168817, rel=1e-14)
    assert metrics.stderr("perplexity", totals, 5000) == pytest.approx(2.29433545915789, rel=1e-12)
    assert metrics.stderr("acc", [1.0, 0.0, 1.0, 1.0], 1) == pytest.approx(0.25)
    weighted = [(-20.0, 5), (-300.5, 70)]
    assert metrics.weighted_perplexity(weighted) == pytest.approx(math.exp(320.5 / 75))
    assert metrics.bits_per_byte(weighted) == pytest.approx(320.5 / 75 / math.log(2))
    assert metrics.stderr("bits_per_byte", weighted, 1000) is None
    assert metrics.stderr("acc", [1.0], 1000) is None
    # Words are what stands between white space: the empty ones at the ends count.
    assert metrics.rolling(-9.0, " two  words\n", ("word_perplexity", "byte_perplexity")) == {
        "word_perplexity": (-9.0, 4),
        "byte_perplexity": (-9.0, 12),
    }


def test_templates_read_fields_of_fields() -> None:
    document = {"q": " why? ", "choices": '{"text": ["x", "y"], "label": ["A", "B"]}', "key": "B", "n": 3}
    assert render("q", document) == " why? "
    assert render("Q: {{q.strip()}}/{{ q|trim|upper }} {{n}}", document) == "Q: why?/WHY? 3"
    assert render("{{choices.label.index(key)}}", document) == 1
    assert render("{{choices.text}}", document) == ["x", "y"]
    assert as_list("['no', 'yes']") == as_list('["no", "yes"]') == ["no", "yes"]
    assert render("{{choices.text[1]}}", document) == "y"
    assert unescape(r"a\nb\\n") == "a\nb\\n"
    for template in ("{{q.split()}}", "{% if q %}", "{{nothing}}"):
        with pytest.raises(Error):
            render(template, document)

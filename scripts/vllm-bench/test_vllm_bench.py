"""The modes on the synthetic host, whose times and joules are given, and the formulas without a host."""

import csv
import io
import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from arrivals import ArrivalPlan, rate_changes
from llem_sdk import Error, testing
from llem_sdk.about import Value
from options import RampUp
from prompts import RandomOptions, Vocabulary, integers, is_valid, random_requests, sharegpt_requests
from serving_metrics import LatencyStatistics, RequestOutput, ServingMetrics, parse_goodput, peak_overlap, per_second
from sweep import base_name, csv_of, workloads_between

PROJECT = Path(__file__).parent

HOST = testing.SyntheticHost(
    prefill_s_per_token=1e-3,
    decode_s_per_step=8e-3,
    idle_watts=0.0,
    prefill_joules_per_token=0.5,
    decode_joules_per_token=2.0,
)
"""A prompt token takes 1 ms and 0.5 J, a step 8 ms, and each token of it 2 J."""

SHAPE: dict[str, Value] = {
    "num-prompts": 3,
    "random-input-len": 10,
    "random-output-len": 5,
    "enable-prefix-caching": "false",
    "save-detailed": True,
    "percentile-metrics": "ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue",
}


def serve(**parameters: Value) -> tuple[testing.TestResult, dict[str, Any]]:
    """Runs the mode `serve` and returns its result file too. Underscores in names stand for dashes."""
    given = {name.replace("_", "-"): value for name, value in parameters.items()}
    result = testing.run(PROJECT, parameters={**SHAPE, **given}, host=HOST)
    assert result.status == "completed", result.error
    return result, json.loads(result.artifacts["serve.json"])


def test_requests_that_are_sent_at_once_share_a_prefill() -> None:
    result, data = serve(goodput="tpot:8.5", metadata="tp=1")
    prompt_tokens = sum(data["input_lens"])
    seconds = prompt_tokens * 1e-3
    assert data["ttfts"] == pytest.approx([seconds] * 3)
    assert data["itls"] == [pytest.approx([8e-3] * 4)] * 3
    assert data["duration"] == pytest.approx(seconds + 4 * 8e-3)
    assert data["output_throughput"] == pytest.approx(15 / data["duration"])
    assert data["total_token_throughput"] == pytest.approx((15 + prompt_tokens) / data["duration"])
    assert data["request_goodput"] == pytest.approx(3 / data["duration"])
    assert (data["request_rate"], data["max_concurrency"], data["tp"]) == ("inf", None, "1")
    # Without a limit of concurrency the tool has no statistics of queueing.
    assert "mean_client_queue_time_ms" not in data
    # 0.5 J a prompt token, then 4 steps of 3 tokens.
    joules = 0.5 * prompt_tokens + 2.0 * 12
    assert data["llem_energy_joules"] == pytest.approx(joules)
    assert result.metric("joules_per_output_token").value == pytest.approx(joules / 15)
    assert result.metric("mean_ttft_ms").value == pytest.approx(1e3 * seconds)
    printed = [line.message for line in result.log if line.level == "stdout"]
    assert printed[0] == "============ Serving Benchmark Result ============"
    assert f"Total input tokens:                      {prompt_tokens:<10}" in printed


def test_a_limit_of_concurrency_starts_the_clock_when_a_request_is_sent() -> None:
    result, data = serve(max_concurrency=1, num_warmups=2, request_rate="1000")
    assert [one.label for one in result.warmup_requests] == ["warmup"] * 2
    assert result.warmup_requests[0].prompt_tokens == data["input_lens"][0]
    lengths = [length * 1e-3 + 4 * 8e-3 for length in data["input_lens"]]
    assert data["latencies"] == pytest.approx(lengths)
    # Each request is sent at the last token of the one before, and waits since its arrival.
    began, starts = data["llem_began_ns"] * 1e-9, data["start_times"]
    assert [after - before for before, after in pairwise(starts)] == pytest.approx(lengths[:-1])
    arrivals = [start - queued - began for start, queued in zip(starts, data["queue_times"], strict=True)]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(3 / 1000)
    assert data["queue_times"][0] == pytest.approx(0.0, abs=1e-12)
    waited = [one + queued for one, queued in zip(lengths, data["queue_times"], strict=True)]
    assert data["mean_e2el_including_client_queue_ms"] == pytest.approx(1e3 * sum(waited) / 3)
    # Three requests one after another within a second count as three at a time in the tool.
    assert (data["max_concurrent_requests"], data["llem_max_overlapping_requests"]) == (3, 1)


def test_the_last_request_arrives_at_the_number_over_the_rate() -> None:
    _, data = serve(num_prompts=6, request_rate="10", burstiness="0.5")
    delays = [start - data["llem_began_ns"] * 1e-9 for start in data["start_times"]]
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(6 / 10)
    assert delays[0] > 0.0


def test_latency_repeats_one_batch() -> None:
    parameters: dict[str, Value] = {"mode": "latency", "batch-size": 2, "input-len": 10, "output-len": 5}
    parameters |= {"num-iters": 3, "num-iters-warmup": 1}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    data = json.loads(result.artifacts["latency.json"])
    assert data["latencies"] == pytest.approx([20e-3 + 4 * 8e-3] * 3)
    assert [data["avg_latency"], data["percentiles"]["99"]] == pytest.approx([52e-3, 52e-3])
    assert data["llem_joules_per_output_token"] == pytest.approx((20 * 0.5 + 8 * 2.0) / 10)
    assert (len(result.warmup_requests), len(result.requests)) == (2, 6)


def test_throughput_counts_prompts_too() -> None:
    parameters: dict[str, Value] = {**SHAPE, "mode": "throughput", "num-warmups": 1}
    del parameters["save-detailed"]
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    data = json.loads(result.artifacts["throughput.json"])
    prompt_tokens = sum(one.prompt_tokens for one in result.requests)
    assert data["elapsed_time"] == pytest.approx(prompt_tokens * 1e-3 + 4 * 8e-3)
    assert data["tokens_per_second"] == pytest.approx((prompt_tokens + 15) / data["elapsed_time"])
    assert data["requests_per_second"] == pytest.approx(3 / data["elapsed_time"])
    assert len(result.warmup_requests) == 1


def test_a_sweep_runs_from_one_request_at_a_time_to_all_at_once() -> None:
    parameters: dict[str, Value] = {**SHAPE, "mode": "sweep", "workload-var": "max_concurrency", "num-runs": 1}
    parameters |= {"num-prompts": 8, "workload-iters": 3, "warmup-num-prompts": 2}
    result = testing.run(PROJECT, parameters=parameters, host=HOST)
    assert result.status == "completed", result.error
    table = list(csv.DictReader(io.StringIO(result.artifacts["summary.csv"].decode())))
    values = [int(row["max_concurrency"]) for row in table]
    assert (values[0], values[-1]) == (1, 8)
    ends = [float(row["request_throughput"]) * float(row["mean_e2el_ms"]) / 1000 for row in (table[0], table[-1])]
    # One at a time is a concurrency of 1, and all at once nearly one of 8.
    assert ends == pytest.approx([1.0, 8.0])
    assert values[1] in (4, 5)
    name = "BENCH--max_concurrency-1-WL--max_concurrency-1"
    assert json.loads(result.artifacts[f"{name}-run-0.json"])["mean_e2el_ms"] == float(table[0]["mean_e2el_ms"])
    assert json.loads(result.artifacts[f"{name}-warmup.json"])["completed"] == 2


def test_conversations_are_read_from_sharegpt_files(tmp_path: Path) -> None:
    turn = "eight words are enough for this one turn"
    turns = [{"from": "human", "value": f"{turn} {index}"} for index in range(2)]
    rows = [{"id": "a", "conversations": turns}, {"id": "b", "conversations": turns[:1]}, {"id": "c"}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    parameters: dict[str, Value] = {"dataset-name": "sharegpt", "num-prompts": 2, "output-len": 3, "ignore-eos": True}
    result = testing.run(PROJECT, parameters=parameters, datasets={"prompts": path}, host=HOST)
    assert result.status == "completed", result.error
    # One conversation is left, and it is repeated.
    assert [one.output_tokens for one in result.requests] == [3, 3]
    without = testing.run(PROJECT, parameters={"dataset-name": "sharegpt"}, host=HOST)
    assert without.error is not None
    assert "--dataset" in without.error


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mode": "server"}, "mode is 'server', which is none of latency, throughput, serve, sweep"),
        ({"request-rate": "0"}, "request-rate is '0': give a number above 0, or inf"),
        ({"goodput": "itl:5"}, "goodput: 'itl' is none of ttft, tpot, e2el"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Value], message: str) -> None:
    error = testing.run(PROJECT, parameters=parameters, host=HOST).error
    assert error is not None
    assert message in error


def output(start: float, ttft: float, *gaps: float, prompt_len: int = 10) -> RequestOutput:
    """A request that was sent at once."""
    return RequestOutput(
        success=True,
        prompt_len=prompt_len,
        output_tokens=1 + len(gaps),
        start_time=start,
        ttft=ttft,
        itl=gaps,
        latency=ttft + sum(gaps),
        client_queue_time=0.0,
    )


def test_metrics_are_those_of_the_tool() -> None:
    outputs = [output(100.0, 0.2, 0.1, 0.3), output(100.5, 0.4), output(101.9, 0.05, 0.1, 0.1, 0.2)]
    failed = RequestOutput(False, 10, 0, 100.0, 0.0, (), 0.0, 0.0)
    metrics = ServingMetrics.of([*outputs, failed], 2.5, [50.0, 90.0], {"ttft": 200.0, "tpot": 150.0})
    assert (metrics.completed, metrics.failed, metrics.total_input, metrics.total_output) == (3, 1, 30, 8)
    assert metrics.request_throughput == pytest.approx(1.2)
    # The first misses its TPOT of 200 ms, and the second, whose TPOT counts as 0, its TTFT.
    assert metrics.request_goodput == pytest.approx(1 / 2.5)
    tpot = metrics.latencies["tpot"]
    assert tpot.values == pytest.approx([0.2, 0.4 / 3])
    # numpy: np.std([0.2, 0.4 / 3]) * 1000, np.percentile([0.2, 0.4 / 3], 90) * 1000
    assert (tpot.mean, tpot.std) == pytest.approx((166.66666666666669, 33.333333333333336))
    assert dict(tpot.fields("tpot"))["p90_tpot_ms"] == pytest.approx(193.33333333333334)
    assert metrics.latencies["itl"].values == (0.1, 0.3, 0.1, 0.1, 0.2)
    # Tokens at 0.2, 0.3, 0.6, 0.9, 1.95, 2.05, 2.15 and 2.35 s.
    assert per_second(outputs) == ([4, 1, 3, 0], [2, 1, 1, 0])
    assert peak_overlap(outputs) == 2
    nothing = LatencyStatistics.of([], [99.0])
    assert (nothing.mean, nothing.std, nothing.percentiles) == (0.0, 0.0, (("p99", 0.0),))
    assert parse_goodput("ttft:500 tpot:50.5") == {"ttft": 500.0, "tpot": 50.5}


def test_ramps_stay_as_drawn_and_fixed_rates_are_stretched() -> None:
    def half() -> float:
        return 0.5

    linear = ArrivalPlan.draw(3, float("inf"), float("inf"), RampUp("linear", 1, 5), half)
    assert linear.rates == (1.0, 3.0, 5.0)
    assert linear.delays == pytest.approx(list(accumulate([1.0, 1 / 3, 1 / 5])))
    exponential = ArrivalPlan.draw(3, float("inf"), float("inf"), RampUp("exponential", 1, 4), half)
    assert exponential.rates == (1.0, 2.0, 4.0)
    assert rate_changes(exponential.rates, 1) == [(2, 1), (3, 2), (4, 2)]
    poisson = ArrivalPlan.draw(4, 2.0, 1.0, None, half)
    assert poisson.delays == pytest.approx([0.5, 1.0, 1.5, 2.0])


class Letters:
    """A tokenizer whose tokens are letters, with one special token before each text."""

    def encode(self, text: str, with_special_tokens: bool = True) -> list[int]:
        return [0] * with_special_tokens + [ord(letter) - ord("a") + 1 for letter in text]

    def decode(self, tokens: Sequence[int], with_special_tokens: bool = False) -> str:
        return "".join(chr(ord("a") + token - 1) for token in tokens if token > 0)


def test_random_prompts_are_runs_of_consecutive_ids() -> None:
    vocabulary = Vocabulary(27, frozenset([0]), 1, Letters())
    drawn = iter([0.0, 0.99, 0.5, 0.5, 0.0, 0.95, 0.1, 0.9])
    options = RandomOptions(input_len=5, output_len=4, prefix_len=2, input_range_ratio=0.5, output_range_ratio=0.0)
    requests = random_requests(vocabulary, options, 2, lambda count: [next(drawn) for _ in range(count)])
    # Four of five tokens are not special: lengths from 2 to 6. Offsets 0 and 25, the prefix is the letters 2 and 23.
    assert [one.prompt for one in requests] == ["cx" + "ab", "cx" + "abcdef"]
    assert [(one.prompt_len, one.expected_output_len) for one in requests] == [(4, 4), (8, 4)]
    with pytest.raises(Error, match="could be empty"):
        RandomOptions(1, 4, 0, 0.0, 0.0).bounds(added=1)
    assert integers(lambda count: [0.0, 0.999], 3, 5, 2) == [3, 4]


def test_conversations_of_unusual_lengths_are_left_out() -> None:
    assert is_valid(4, 4, output_is_given=False)
    assert not is_valid(3, 4, output_is_given=False)
    assert not is_valid(1025, 4, output_is_given=False)
    assert not is_valid(1024, 1025, output_is_given=False)
    assert not is_valid(4, 3, output_is_given=False)
    assert is_valid(4, 3, output_is_given=True)
    turns = [["abcdef", "abc"], ["ab", "abcdef"], ["alone"], ["abcd", "abcd", "abc"]]
    requests = sharegpt_requests(Letters(), turns, None, 5, None)
    assert [(one.prompt, one.prompt_len, one.expected_output_len) for one in requests] == [
        ("abcdef", 7, 4),
        ("abcd", 5, 5),
    ]


def test_a_summary_is_written_as_pandas_writes_it() -> None:
    data: list[dict[str, object]] = [
        {"request_rate": 1, "max_concurrency": 1, "request_goodput": None, "latencies": [0.1, 0.25]},
        {"request_rate": "inf", "max_concurrency": None, "request_goodput": None, "run_number": 1.5},
    ]
    assert csv_of(data) == (
        ',request_rate,max_concurrency,request_goodput,latencies,run_number\n0,1,1.0,,"[0.1, 0.25]",\n1,inf,,,,1.5\n'
    )
    assert workloads_between(1, 23, 7) == [5, 8, 12, 16, 19]
    assert workloads_between(3, 4, 10) == [3, 4]
    assert base_name({"max_concurrency": 1}, "request_rate", 1) == "BENCH--max_concurrency=1-WL--request_rate=1"

"""The parameters, which have the names of the tool's options, and what they mean together."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

from llem_sdk import About, Error, Model, Sampling, parameter, parameter_within
from prompts import RandomOptions
from serving_metrics import HEADERS, parse_goodput

MODES = ("latency", "throughput", "serve", "sweep")


def about() -> About:
    """Returns the description of the experiment."""
    return (
        About("vllm-bench", "0.1.0", "vllm bench: latency, throughput, serve, and sweep serve_workload")
        .text("mode", "serve", "latency, throughput, serve, or sweep (vllm bench sweep serve_workload)")
        .dataset("prompts", "conversations for dataset-name=sharegpt: ShareGPT's own JSON, or JSONL of its objects")
        .text("dataset-name", "random", "random, sharegpt or prefix_repetition")
        .integer("num-prompts", 1000, "number of requests")
        .integer("input-len", 0, "prompt tokens; 0 means 32 in latency, and random-input-len elsewhere")
        .integer("output-len", 0, "new tokens; 0 means 128 in latency, and each dataset's own length elsewhere")
        .integer("random-input-len", 1024, "tokens of a random prompt after the prefix, special tokens included")
        .integer("random-output-len", 128, "new tokens of a random request")
        .text("random-range-ratio", "0.0", 'lengths vary by this share: 0.3, or {"input": 0.3, "output": 0.5}')
        .integer("random-prefix-len", 0, "tokens that all random prompts begin with")
        .integer("sharegpt-output-len", 0, "new tokens of a conversation; 0 means as many as its second turn has")
        .integer("prefix-repetition-prefix-len", 256, "tokens of a repeated prefix")
        .integer("prefix-repetition-suffix-len", 256, "tokens after a repeated prefix")
        .integer("prefix-repetition-num-prefixes", 10, "number of repeated prefixes")
        .integer("prefix-repetition-output-len", 128, "new tokens of a request with a repeated prefix")
        .boolean("disable-shuffle", False, "whether conversations stay in the order of the file")
        .boolean("no-oversample", False, "whether conversations are not repeated if there are too few")
        .text("request-rate", "inf", "arrivals per second; inf sends all requests at once")
        .text("burstiness", "1.0", "shape of the gamma distribution of gaps: 1 is Poisson, inf is constant")
        .integer("max-concurrency", 0, "most requests that are sent and not answered; 0 means no limit")
        .text("ramp-up-strategy", "", "linear or exponential; request-rate must then be inf")
        .integer("ramp-up-start-rps", -1, "first rate of a ramp, in requests per second")
        .integer("ramp-up-end-rps", -1, "last rate of a ramp, in requests per second")
        .integer("num-warmups", 0, "unmeasured requests: serve repeats the first, throughput draws others")
        .text("goodput", "", "service levels in ms: ttft:500 tpot:50 e2el:5000")
        .text("percentile-metrics", "ttft,tpot,itl", f"latencies to report, of {', '.join(HEADERS)}")
        .text("metric-percentiles", "99", "percentiles to report: 50,90,99")
        .boolean("save-detailed", False, "whether the result holds every request's times and texts")
        .boolean("ignore-eos", False, "whether generation goes on after an end token; always so for random")
        .number("temperature", 1.0, "sampling temperature; 0 is greedy")
        .number("top-p", 1.0, "nucleus sampling; 1 keeps all tokens")
        .integer("top-k", 0, "number of most likely tokens that are kept; 0 keeps all")
        .text("label", "", "value of `label` in the result")
        .text("metadata", "", "further fields of the result: version=1 tp=2")
        .integer("batch-size", 8, "latency: prompts of the batch")
        .integer("num-iters-warmup", 10, "latency: unmeasured iterations")
        .integer("num-iters", 30, "latency: measured iterations")
        .text("workload-var", "request_rate", "sweep: request_rate or max_concurrency")
        .integer("workload-iters", 10, "sweep: number of workloads, at least 2")
        .integer("num-runs", 3, "sweep: runs of each workload")
        .integer("warmup-num-prompts", 0, "sweep: requests of an unmeasured run before those of each workload")
        .integer("max-num-seqs", 256, "engine: most sequences that run at a time")
        .integer("max-num-batched-tokens", 0, "engine: most tokens of a step; 0 means 8192 in throughput, else 2048")
        .text("enable-prefix-caching", "auto", "engine: true, false, or auto (vLLM's default: true)")
    )


@dataclass(frozen=True, slots=True)
class RampUp:
    """A rate that changes from request to request."""

    strategy: str
    start_rps: int
    end_rps: int

    def rate(self, index: int, count: int) -> float:
        """Returns the rate at the request of this index, in requests per second."""
        progress = index / max(count - 1, 1)
        if self.strategy == "linear":
            return self.start_rps + (self.end_rps - self.start_rps) * progress
        return float(self.start_rps * (self.end_rps / self.start_rps) ** progress)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `vllm bench serve`."""

    num_prompts: int
    request_rate: float
    burstiness: float
    max_concurrency: int | None
    ramp_up: RampUp | None
    num_warmups: int
    goodput: dict[str, float]
    percentile_metrics: tuple[str, ...]
    metric_percentiles: tuple[float, ...]
    save_detailed: bool
    label: str | None
    metadata: dict[str, str]

    @classmethod
    def from_parameters(cls) -> ServeOptions:
        """Reads and checks the parameters."""
        rate, burstiness = _positive("request-rate"), _positive("burstiness")
        return cls(
            num_prompts=parameter_within("num-prompts", int, 1),
            request_rate=rate,
            burstiness=burstiness,
            max_concurrency=parameter_within("max-concurrency", int, 0) or None,
            ramp_up=_ramp_up(rate),
            num_warmups=parameter_within("num-warmups", int, 0),
            goodput=_goodput(),
            percentile_metrics=_names("percentile-metrics", tuple(HEADERS)),
            metric_percentiles=_percentiles(),
            save_detailed=parameter("save-detailed", bool),
            label=parameter("label", str) or None,
            metadata=_metadata(),
        )

    def with_workload(self, request_rate: float | None, max_concurrency: int | None) -> ServeOptions:
        """Changes what a sweep changes. `None` keeps the value."""
        return replace(
            self,
            request_rate=self.request_rate if request_rate is None else request_rate,
            max_concurrency=self.max_concurrency if max_concurrency is None else max_concurrency,
        )


def random_options() -> RandomOptions:
    """Reads the options of the dataset `random`."""
    text = parameter("random-range-ratio", str)
    try:
        given = json.loads(text)
        ratios = (given["input"], given["output"]) if isinstance(given, dict) else (given, given)
        one, other = (float(ratio) for ratio in ratios)
    except (ValueError, KeyError, TypeError):
        raise Error.invalid_argument(
            f'random-range-ratio is \'{text}\': give a number, or {{"input": 0.3, "output": 0.5}}'
        ) from None
    return RandomOptions(
        input_len=parameter_within("input-len", int, 0) or parameter_within("random-input-len", int, 0),
        output_len=parameter_within("output-len", int, 0) or parameter_within("random-output-len", int, 1),
        prefix_len=parameter_within("random-prefix-len", int, 0),
        input_range_ratio=one,
        output_range_ratio=other,
    )


def sampling() -> Sampling:
    """Reads the sampling options of `serve`."""
    top_p, top_k = parameter("top-p", float), parameter_within("top-k", int, 0)
    return Sampling(parameter("temperature", float), top_k=top_k or None, top_p=None if top_p == 1.0 else top_p)


def caches_prefixes(otherwise: bool) -> bool:
    """Reads whether the engine reuses the keys and values of common prefixes."""
    word = parameter("enable-prefix-caching", str)
    if word not in ("auto", "true", "false"):
        raise Error.invalid_argument(f"enable-prefix-caching is '{word}', which is none of auto, true, false")
    return otherwise if word == "auto" else word == "true"


def choice(name: str, of: tuple[str, ...]) -> str:
    """Returns a parameter that is one of some words."""
    word = parameter(name, str)
    if word not in of:
        raise Error.invalid_argument(f"{name} is '{word}', which is none of {', '.join(of)}")
    return word


def model_id(model: Model) -> str:
    """Returns the name that results give to the model."""
    return model.info().source


def _positive(name: str) -> float:
    text = parameter(name, str)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value > 0.0:
        raise Error.invalid_argument(f"{name} is '{text}': give a number above 0, or inf")
    return value


def _ramp_up(rate: float) -> RampUp | None:
    strategy = choice("ramp-up-strategy", ("", "linear", "exponential"))
    if not strategy:
        return None
    start, end = parameter("ramp-up-start-rps", int), parameter("ramp-up-end-rps", int)
    if rate != math.inf:
        raise Error.invalid_argument("request-rate and ramp-up-strategy are both given: leave out request-rate")
    # A rate of 0 would never send the first request; the tool stops there too.
    if not 0 < start <= end:
        raise Error.invalid_argument(f"a ramp from {start} to {end} requests per second: give 0 < start <= end")
    return RampUp(strategy, start, end)


def _goodput() -> dict[str, float]:
    try:
        return parse_goodput(parameter("goodput", str))
    except ValueError as error:
        raise Error.invalid_argument(f"goodput: {error}: give levels such as 'ttft:500 tpot:50'") from None


def _names(name: str, of: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(word.strip() for word in parameter(name, str).split(",") if word.strip())
    if unknown := [word for word in words if word not in of]:
        raise Error.invalid_argument(f"{name}: '{unknown[0]}' is none of {', '.join(of)}")
    return words


def _percentiles() -> tuple[float, ...]:
    text = parameter("metric-percentiles", str)
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(0.0 <= value <= 100.0 for value in values):
        raise Error.invalid_argument(f"metric-percentiles is '{text}': give numbers from 0 to 100, such as 50,99")
    return values


def _metadata() -> dict[str, str]:
    fields = {}
    for pair in parameter("metadata", str).split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise Error.invalid_argument(f"metadata: '{pair}' is not NAME=VALUE")
        fields[name] = value
    return fields

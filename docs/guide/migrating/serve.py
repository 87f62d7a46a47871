"""A serving load in the words of `vllm bench serve`: random prompts, arrivals, concurrency, service levels, its metrics."""

from collections.abc import Sequence

import llem_sdk
from llem_sdk import About, Arrivals, BatchOptions, Experiment, FixedCount, Goodput, Metric, MetricsPolicy, Model
from llem_sdk import ModelInfo, Quantity, Random, Request, RequestList, ServiceLevels, Session, Source, Trial, parameter
from llem_sdk.statistics import mean, percentile, standard_deviation


def about() -> About:
    return (
        About("serve", "0.1.0", "Requests that arrive at a rate, in a continuous batch")
        .integer("num-prompts", 100, "how many requests are sent")
        .integer("random-input-len", 32, "tokens of each prompt")
        .integer("random-output-len", 16, "tokens generated for each prompt, end-of-sequence tokens ignored")
        .number("request-rate", 20.0, "requests a second, 0 for all at once")
        .number("burstiness", 1.0, "shape of the gamma distribution of gaps, 1 for Poisson")
        .integer("max-concurrency", 0, "most requests that have been sent and not ended, 0 for no limit")
        .integer("max-num-seqs", 32, "most sequences that run at a time")
        .integer("num-warmups", 5, "short requests before anything is measured")
        .number("ttft", 0.0, "goodput: highest TTFT in ms, 0 for none")
        .number("tpot", 0.0, "goodput: highest TPOT in ms, 0 for none")
        .number("e2el", 0.0, "goodput: highest E2EL in ms, 0 for none")
    )


def run() -> None:
    model = Model.load_granted()
    rate, concurrency = parameter("request-rate", float), parameter("max-concurrency", int)
    if rate > 0.0:
        arrivals = Arrivals.gamma(rate, parameter("burstiness", float))
        # A request that waits keeps its arrival, so the wait is a part of its latencies.
        arrivals = arrivals.with_concurrency(concurrency) if concurrency > 0 else arrivals
    else:
        # In a closed loop a request has no arrival, and its latencies count from its submission.
        arrivals = Arrivals.closed_loop(concurrency) if concurrency > 0 else Arrivals.at_once()
    batch = BatchOptions(parameter("max-num-seqs", int), max_tokens=length("input") + length("output"))
    workload = arrivals.apply_to(RequestList(requests(model)), batch)
    warmup = FixedCount(runs=parameter("num-warmups", int))
    Experiment(model, warmup=warmup, workload=workload, metrics=ServingMetrics()).run()


def length(of: str) -> int:
    return parameter(f"random-{of}-len", int)


def requests(model: Model) -> list[Request]:
    """Returns prompts of independent random tokens."""
    random, vocabulary = Random("prompts"), model.info().vocab_size
    prompts = [random.tokens(length("input"), vocabulary) for _ in range(parameter("num-prompts", int))]
    output = length("output")
    return [Request.from_tokens(tokens, label="random", max_new_tokens=output, ignore_eos=True) for tokens in prompts]


class ServingMetrics(MetricsPolicy):
    """The metrics of `vllm bench serve` under its names. Standard deviations are of the sample."""

    def __init__(self) -> None:
        level = {name: parameter(name, float) or None for name in ("ttft", "tpot", "e2el")}
        self.has_levels = any(level.values())
        self.goodput = Goodput(ServiceLevels(**level))
        self.latencies: dict[str, list[float]] = {"ttft": [], "tpot": [], "itl": [], "e2el": []}

    def observe(self, trial: Trial) -> None:
        self.goodput.count(trial)
        self.latencies["itl"] += trial.itl()
        for one in trial.completions:
            for name, seconds in (("ttft", one.ttft()), ("tpot", one.tpot()), ("e2el", one.e2el())):
                if seconds is not None:
                    self.latencies[name].append(seconds)

    def derive(self, model: ModelInfo, session: Session) -> list[Metric]:
        metrics = [metric for name, values in self.latencies.items() for metric in statistics(name, values)]
        if measured := session.measurement:
            seconds, work = 1e-9 * measured.wall_time, measured.activity
            counts = {
                "request_throughput": (work.requests, "{request}/s"),
                "output_throughput": (work.output_tokens, "{token}/s"),
                "total_token_throughput": (work.prompt_tokens + work.output_tokens, "{token}/s"),
            }
            for name, (count, unit) in counts.items():
                metrics.append(Quantity.exact(count / seconds, unit, Source.DERIVED).into_metric(name))
            if measured.energy_per_output_token:
                metrics.append(measured.energy_per_output_token.into_metric("joules_per_output_token"))
        if self.has_levels and (rate := self.goodput.rate(session)):
            metrics.append(rate.into_metric("request_goodput"))
        return metrics


def statistics(name: str, values: Sequence[float]) -> list[Metric]:
    found = {
        "mean": mean(values),
        "median": percentile(values, 50.0),
        "std": standard_deviation(values),
        "p99": percentile(values, 99.0),
    }
    return [
        Quantity.exact(1e3 * seconds, "ms", Source.DERIVED).into_metric(f"{of}_{name}_ms")
        for of, seconds in found.items()
        if seconds is not None
    ]


llem_sdk.experiment(about, run)

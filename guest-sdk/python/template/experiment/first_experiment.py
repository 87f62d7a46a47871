"""Measures prompts of random lengths: time to first token, speed and energy."""

from collections.abc import Sequence

import llem_sdk
from llem_sdk import About, Experiment, FixedCount, Metric, Model, ModelInfo, Quantity, Random, Request, RequestList
from llem_sdk import Source, Trial, parameter
from llem_sdk.statistics import percentile

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def about() -> About:
    return (
        About("first-experiment", "0.1.0", "Time to first token, speed and energy for prompts of random lengths")
        .integer("prompts", 8, "how many prompts are measured")
        .integer("new-tokens", 16, "tokens generated for each prompt")
    )


def run() -> None:
    model = Model.load_granted()
    prompts = requests(parameter("prompts", int), parameter("new-tokens", int))
    Experiment(model, warmup=FixedCount(), workload=RequestList(prompts), metrics=derive).run()


def requests(count: int, new_tokens: int) -> list[Request]:
    """Returns prompts of one to four sentences, whose lengths are drawn from the run's seed."""
    random = Random("lengths")
    lengths = [1 + int(4.0 * random.next_f64()) for _ in range(count)]
    return [
        Request.from_text(
            SENTENCE * sentences, label=f"{sentences} sentences", max_new_tokens=new_tokens, ignore_eos=True
        )
        for sentences in lengths
    ]


def derive(_: ModelInfo, trials: Sequence[Trial]) -> list[Metric]:
    ttft = [seconds for trial in trials for seconds in trial.ttft()]
    rate = Quantity.mean_of(rate for trial in trials if (rate := trial.decode_rate()))
    energy = Quantity.mean_of(joules for trial in trials if (joules := trial.joules_per_output_token()))
    metrics = []
    if mean := Quantity.mean(ttft, "s"):
        metrics.append(mean.into_metric("ttft_mean"))
    if (p90 := percentile(ttft, 90.0)) is not None:
        metrics.append(Quantity.exact(p90, "s", Source.DERIVED).into_metric("ttft_p90"))
    if rate:
        metrics.append(rate.into_metric("decode_rate"))
    if energy:
        metrics.append(energy.into_metric("joules_per_output_token"))
    return metrics


llem_sdk.experiment(about, run)

"""`vllm bench throughput`: all requests at once."""

from __future__ import annotations

from dataclasses import dataclass

import results
from client import open_batch
from llem_sdk import Batch, Completion, Model, Phase, Request, Sampling, Window, parameter_within
from llem_sdk.wait import NS
from options import model_id
from workload import Workload, prompt_of

BUDGET = 8192
"""vLLM's default of `--max-num-batched-tokens` for its class LLM, where a device has less than 70 GiB."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What the tool counts and divides."""

    requests: int
    prompt_tokens: int
    output_tokens: int
    elapsed_time: float
    """From handing over the requests to the last token, in s."""

    @classmethod
    def of(cls, completions: list[Completion], began: int) -> Throughput:
        """Counts the tokens of requests that were handed over at `began`, in ns since the run began."""
        return cls(
            requests=len(completions),
            prompt_tokens=sum(one.prompt_tokens + one.cached_tokens for one in completions),
            output_tokens=sum(len(one.tokens) for one in completions),
            elapsed_time=(max(one.token_times[-1] for one in completions if one.token_times) - began) * NS,
        )

    @property
    def total_tokens(self) -> int:
        """The tokens of prompts and outputs together."""
        return self.prompt_tokens + self.output_tokens

    def rate(self, count: int) -> float:
        """Divides by the elapsed time."""
        return count / self.elapsed_time

    def lines(self) -> list[str]:
        """Returns the lines that the tool prints."""
        return [
            f"Throughput: {self.rate(self.requests):.2f} requests/s, "
            f"{self.rate(self.total_tokens):.2f} total tokens/s, {self.rate(self.output_tokens):.2f} output tokens/s",
            f"Total num prompt tokens:  {self.prompt_tokens}",
            f"Total num output tokens:  {self.output_tokens}",
        ]

    def fields(self) -> dict[str, object]:
        """Returns the fields of the tool's result. `tokens_per_second` counts prompts too."""
        return {
            "elapsed_time": self.elapsed_time,
            "num_requests": self.requests,
            "total_num_tokens": self.total_tokens,
            "requests_per_second": self.rate(self.requests),
            "tokens_per_second": self.rate(self.total_tokens),
        }


def run(model: Model) -> None:
    """Runs the benchmark, as the parameters say. Warm-up requests are other ones, drawn beforehand."""
    number, warmups = parameter_within("num-prompts", int, 1), parameter_within("num-warmups", int, 0)
    warmup = Workload.draw(model, warmups, "warmup-") if warmups else None
    workload = Workload.draw(model, number)
    longest = max((workload, *([warmup] if warmup else [])), key=Workload.longest)
    with open_batch(model, longest, number, budget=BUDGET, caches=True) as batch:
        if warmup:
            with Phase("warmup"):
                _generate(batch, _requests(warmup, "warmup"))
        requests = _requests(workload, "throughput")
        with Phase("benchmark"), Window("throughput") as window:
            completions = _generate(batch, requests)
    measured = Throughput.of(completions, window.measurement.started)
    print("\n".join(measured.lines()))
    energy = window.measurement.energy_total
    for name, value, unit in (
        ("elapsed_time", measured.elapsed_time, "s"),
        ("requests_per_second", measured.rate(measured.requests), "{request}/s"),
        ("tokens_per_second", measured.rate(measured.total_tokens), "{token}/s"),
        ("output_tokens_per_second", measured.rate(measured.output_tokens), "{token}/s"),
    ):
        results.add_metric(name, value, unit, {})
    results.report_energy(energy, measured.output_tokens, {})
    result = {"model_id": model_id(model)} | measured.fields()
    results.write_json("throughput.json", result | results.energy_fields(energy, measured.output_tokens), indent=4)


def _requests(workload: Workload, label: str) -> list[Request]:
    """Returns the requests of a workload. End tokens do not end them, and tokens are drawn at temperature 1."""
    return [
        Request(
            (prompt_of(one),),
            label=label,
            max_new_tokens=one.expected_output_len,
            ignore_eos=True,
            sampling=Sampling(temperature=1.0),
        )
        for one in workload.requests
    ]


def _generate(batch: Batch, requests: list[Request]) -> list[Completion]:
    for request in requests:
        batch.submit(request)
    return batch.drain()

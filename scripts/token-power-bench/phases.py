"""Serial requests with the moments of contract 1.0, and batches without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llem_sdk import BatchOptions, Completion, Error, Model, Prompt, Request, RequestOptions, meter
from llem_sdk.wait import NS
from phase_energy import EnergyMetrics
from power_trace import PowerTrace


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """The moments of a request that ran alone, in s since the run began."""

    request_id: str
    submitted_s: float
    """Just before the request is handed over."""
    dispatch_completed_s: float
    """Just after that."""
    first_token_s: float
    """When the first token was on the host."""
    finished_s: float
    """When the last token was on the host."""
    input_tokens: int
    output_tokens: int

    @property
    def ttft_s(self) -> float:
        return self.first_token_s - self.submitted_s

    @property
    def decode_s(self) -> float:
        return self.finished_s - self.first_token_s

    @property
    def request_latency_s(self) -> float:
        return self.finished_s - self.submitted_s

    def as_report(self, trace: PowerTrace) -> dict[str, object]:
        """Returns the event with the energies of its phases, under the tool's names."""
        return {
            "request_id": self.request_id,
            "submitted_s": self.submitted_s,
            "dispatch_completed_s": self.dispatch_completed_s,
            "prefill_start_s": self.submitted_s,
            "first_token_s": self.first_token_s,
            "finished_s": self.finished_s,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "ttft_s": self.ttft_s,
            "prefill_proxy_s": self.ttft_s,
            "decode_s": self.decode_s,
            "request_latency_s": self.request_latency_s,
            "timing_source": "llem",
            "clock": "llem's monotonic clock, in s since the run began",
            "phase_boundary_kind": "host_observed_first_token",
            "prefill_proxy_energy": _energy(trace, self.submitted_s, self.first_token_s, 0),
            "decode_energy": _energy(trace, self.first_token_s, self.finished_s, self.output_tokens - 1),
        }


def _energy(trace: PowerTrace, start: float, end: float, tokens: int) -> dict[str, object]:
    if end == start:
        empty = dict.fromkeys(("gpu_energy_j", "cpu_energy_j", "system_energy_j"))
        return {"duration": 0.0, "status": "empty_window", **empty}
    return EnergyMetrics.of(trace, start, end, tokens, 1).as_report()


@dataclass(frozen=True, slots=True)
class Served:
    """What a run of all requests produced."""

    completions: list[Completion]
    events: list[PhaseEvent]
    """Empty if requests ran in batches."""
    start_s: float
    end_s: float


def run_serially(model: Model, prompts: Sequence[Prompt], options: RequestOptions) -> Served:
    """Runs one request after another, each alone in a batch of one, without a prefix cache."""
    completions, events, start = [], [], meter.now()
    # A prompt runs in one pass, as without chunked prefill.
    with model.open_batch(BatchOptions(1, prefill_chunk=model.info().context_length)) as batch:
        for index, prompt in enumerate(prompts):
            submitted = meter.now()
            [sequence] = batch.submit(Request((prompt,), **options), submitted)
            dispatched = meter.now()
            ended = [one for progress in batch.steps() for one in progress.ended]
            [completion] = [one for one in ended if one.sequence == sequence]
            if not completion.token_times:
                raise Error.failed(f"request {index} has no token")
            event = PhaseEvent(
                str(index),
                submitted_s=submitted * NS,
                dispatch_completed_s=dispatched * NS,
                first_token_s=completion.token_times[0] * NS,
                finished_s=completion.token_times[-1] * NS,
                input_tokens=completion.prompt_tokens,
                output_tokens=len(completion.tokens),
            )
            events.append(event)
            completions.append(completion)
    return Served(completions, events, start * NS, meter.now() * NS)


def run_in_batches(model: Model, prompts: Sequence[Prompt], batch_size: int, options: RequestOptions) -> Served:
    """Runs batches of requests, one after another."""
    completions: list[Completion] = []
    start = meter.now()
    for first in range(0, len(prompts), batch_size):
        request = Request(tuple(prompts[first : first + batch_size]), **options)
        completions += model.generate(request).completions
    return Served(completions, [], start * NS, meter.now() * NS)

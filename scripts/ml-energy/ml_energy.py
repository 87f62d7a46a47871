"""The ML.ENERGY benchmark of a server under load, with llem as the server.

    entire_benchmark |----------------------------------------------------------------|
    first tokens       1  2  ..  B
    steady_state                 |---------------------------------|
    finished                         1  2  3  ..           N - B - 1  ..             N

B is `max-num-seqs`, N the number of requests.
"""

from __future__ import annotations

import json

import llem_sdk
from llem_sdk import About, BatchOptions, Model, Phase, parameter, parameter_within, report, seed
from result_file import Results
from steady_state import Load, RequestTracker
from validation import Expectation, validate
from workload import add_parameters, arrival_delays, requests_to_host, sample_requests


def about() -> About:
    about = (
        About("ml-energy", "0.1.0", "the ML.ENERGY benchmark's energy per token in the steady state of a full batch")
        .integer("max-num-seqs", 8, "most sequences that run at a time (workload.max_num_seqs)")
        .integer("max-num-batched-tokens", 0, "most tokens of a step, 0 for no limit (workload.max_num_batched_tokens)")
        .text("request-rate", "inf", "requests a second, inf for all at once")
        .number("burstiness", 1.0, "shape of the gamma distribution of gaps, 1 for a Poisson process")
        .integer("max-concurrency", 0, "most requests that have been sent and not ended, 0 for no limit")
    )
    return add_parameters(about)


def run() -> None:
    max_num_seqs = parameter_within("max-num-seqs", int, 1)
    concurrency = parameter_within("max-concurrency", int, 0) or None
    batched_tokens = parameter_within("max-num-batched-tokens", int, 0) or None
    model = Model.load_granted()
    samples = sample_requests(model)
    requests, max_output_tokens = requests_to_host(samples)
    delays, rate = arrival_delays(len(requests))
    longest = max(sample.length + request.max_new_tokens for sample, request in zip(samples, requests, strict=True))
    options = BatchOptions(
        max_num_seqs,
        max_tokens=min(longest, model.info().context_length),
        max_rows=batched_tokens,
    )
    if len(requests) <= max_num_seqs + 1:
        report.warn(f"{len(requests)} requests make no steady state of {max_num_seqs}: num-requests must be larger")
    tracker = RequestTracker(max_num_seqs, len(requests))
    with Phase("benchmark"), model.open_batch(options) as batch:
        served = Load(batch, requests, delays, tracker, concurrency).serve()
    setup = {
        "endpoint_type": parameter("endpoint-type", str),
        "seed": seed(),
        "num_unique_prompts": len(samples) // parameter_within("num-request-repeats", int, 1),
        "num_prompts": len(samples),
        "num_request_repeats": parameter_within("num-request-repeats", int, 1),
        "max_num_seqs": max_num_seqs,
        "max_num_batched_tokens": batched_tokens,
        "request_rate": rate,
        "burstiness": parameter("burstiness", float),
        "max_concurrency": concurrency,
        "max_output_tokens": max_output_tokens,
    }
    write(Results(served, samples), model, setup)


def write(results: Results, model: Model, setup: dict[str, object]) -> None:
    """Writes the result files, and reports metrics, verdicts and what is missing."""
    stats = results.served.occupancy.means()
    content = results.as_file(model, setup)
    verdicts = validate(content, stats, results.no_energy)
    timeline = content["timeline"]
    server = {
        "collection_interval": None,
        "steady_state_start_time": timeline["steady_state_start_time"],
        "steady_state_end_time": timeline["steady_state_end_time"],
        "steady_state_stats": stats,
        "timeline": [],
    }
    report.write_artifact("results.json", json.dumps(content, indent=2).encode())
    report.write_artifact("prometheus.json", json.dumps(server, indent=2).encode())
    report.write_artifact("validation.json", json.dumps([one.as_report() for one in verdicts], indent=2).encode())
    for metric in results.metrics():
        report.add_metric(metric)
    rows = [[one.name, verdict_of(one), one.message] for one in verdicts]
    report.add_table(report.Table("validation", ("expectation", "verdict", "message"), rows))
    if results.no_energy:
        report.warn(f"steady_state_energy and what is made of it are null: {results.no_energy}")
    if not results.cpu.steady:
        report.warn(f"no energy of the CPU: {results.cpu.steady.reason}")
    if results.completed < len(results.samples):
        report.warn(f"only {results.completed} of {len(results.samples)} requests completed: the benchmark would fail")


def verdict_of(expectation: Expectation) -> str:
    """Returns a verdict as the validator prints it."""
    if expectation.passed is None:
        return "not known"
    return "PASS" if expectation.passed else {"error": "ERROR", "warning": "WARN"}[expectation.severity]


llem_sdk.experiment(about, run)

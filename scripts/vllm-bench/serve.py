"""`vllm bench serve`: requests that arrive at a rate, in a continuous batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

import results
from arrivals import ArrivalPlan, rate_changes
from client import BenchmarkRun, Client, open_batch
from llem_sdk import Model, Phase, Random, Request, report
from options import ServeOptions, model_id, sampling
from serving_metrics import HEADERS, ServingMetrics
from workload import Workload, prompt_of

BACKEND = "llem"

BUDGET = 2048
"""vLLM's default of `--max-num-batched-tokens` for its server, where a device has less than 70 GiB."""

DETAILS = ("input_lens", "output_lens", "start_times", "ttfts", "itls", "generated_texts", "errors")
"""Fields that only `save-detailed` keeps, as in the tool. `latencies` and `queue_times` stay in any case."""


def run(model: Model) -> None:
    """Runs one benchmark, as the parameters say."""
    options = ServeOptions.from_parameters()
    workload = Workload.draw(model, options.num_prompts).aligned()
    results.write_json("serve.json", serve(model, workload, options, "benchmark", {}))


def serve(
    model: Model, workload: Workload, options: ServeOptions, label: str, labels: Mapping[str, str] | None
) -> dict[str, object]:
    """Runs a benchmark in a batch of its own, prints and reports its metrics, and returns the tool's result.

    `label` names the requests in the record, and `labels` distinguish the metrics of several benchmarks. Without labels
    (`None`) no metric is reported.
    """
    count = len(workload.requests)
    requests = [
        Request(
            (prompt_of(one),),
            label=label,
            max_new_tokens=one.expected_output_len,
            ignore_eos=workload.ignores_eos(),
            sampling=sampling(),
        )
        for one in workload.requests
    ]
    plan = ArrivalPlan.draw(
        count, options.request_rate, options.burstiness, options.ramp_up, Random("arrivals").next_f64
    )
    at_once = options.max_concurrency or count
    with open_batch(model, workload, at_once, budget=BUDGET, caches=True) as batch:
        client = Client(batch, requests, options.max_concurrency)
        if options.num_warmups > 0:
            with Phase("warmup"):
                client.warm_up(options.num_warmups)
        with Phase("benchmark"):
            run = client.run(plan.delays, label)
    metrics = ServingMetrics.of(run.outputs, run.duration, options.metric_percentiles, options.goodput)
    selected = _selected(options)
    lines = _lines(metrics, options, run, selected)
    print(results.text(lines))
    # A sweep has a table of all its runs instead.
    if labels == {}:
        report.add_table(results.table("serving_benchmark_result", lines))
    if labels is not None:
        _report(metrics, run, selected, labels)
    changes = _rate_changes(plan, run, options.ramp_up.start_rps) if options.ramp_up else None
    result = _header(model, options) | _fields(metrics, run, changes, selected)
    result |= results.energy_fields(run.energy, metrics.total_output)
    return {name: value for name, value in result.items() if options.save_detailed or name not in DETAILS}


def _selected(options: ServeOptions) -> list[str]:
    """Returns the latencies that are reported, in the tool's order.

    Queueing needs a limit of concurrency, and the latency with queueing a finite rate as well.
    """
    queues = options.max_concurrency is not None
    exists = {"client_queue_time": queues, "e2el_including_client_queue": queues and options.request_rate != math.inf}
    return [name for name in HEADERS if name in options.percentile_metrics and exists.get(name, True)]


def _header(model: Model, options: ServeOptions) -> dict[str, object]:
    """Returns the fields that say what was asked for."""
    header: dict[str, object] = {
        "date": f"{results.moment(0):%Y%m%d-%H%M%S}",
        "endpoint_type": BACKEND,
        "backend": BACKEND,
        "label": options.label,
        "model_id": model_id(model),
        "tokenizer_id": model_id(model) if model.info().has_tokenizer else None,
        "num_prompts": options.num_prompts,
        **options.metadata,
        "request_rate": _number(options.request_rate),
        "burstiness": _number(options.burstiness),
        "max_concurrency": options.max_concurrency,
    }
    if options.ramp_up is not None:
        header |= {f"ramp_up_{name}": value for name, value in asdict(options.ramp_up).items()}
    return header


def _number(value: float) -> float | str:
    return "inf" if value == math.inf else value


def _fields(
    metrics: ServingMetrics, run: BenchmarkRun, changes: list[dict[str, object]] | None, selected: list[str]
) -> dict[str, object]:
    """Returns the fields of the result under the tool's names, and two more that begin with `llem_`."""
    fields: dict[str, object] = {
        "duration": run.duration,
        "completed": metrics.completed,
        "failed": metrics.failed,
        "total_input_tokens": metrics.total_input,
        "total_output_tokens": metrics.total_output,
        "request_throughput": metrics.request_throughput,
        "request_goodput": metrics.request_goodput,
        "output_throughput": metrics.output_throughput,
        "total_token_throughput": metrics.total_token_throughput,
        "input_lens": [one.prompt_len for one in run.outputs],
        "output_lens": [one.output_tokens for one in run.outputs],
        "ttfts": [one.ttft for one in run.outputs],
        "itls": [one.itl for one in run.outputs],
        "latencies": [one.latency for one in run.outputs],
        "start_times": [one.start_time for one in run.outputs],
        "queue_times": [one.client_queue_time for one in run.outputs],
        "generated_texts": [one.generated_text for one in run.outputs],
        "errors": [one.error for one in run.outputs],
        "max_output_tokens_per_s": metrics.max_output_tokens_per_s,
        "max_concurrent_requests": metrics.max_concurrent_requests,
        "rtfx": 0.0,
    }
    if changes is not None:
        fields["rps_change_events"] = changes
    for name in selected:
        fields |= dict(metrics.latencies[name].fields(name))
    fields["llem_began_ns"] = run.began
    fields["llem_max_overlapping_requests"] = metrics.max_overlapping_requests
    return fields


def _rate_changes(plan: ArrivalPlan, run: BenchmarkRun, start: int) -> list[dict[str, object]]:
    """Returns when the ramp reached each whole rate."""
    reached = [(start, run.began)]
    reached += [(rps, run.due(plan.delays[index])) for rps, index in rate_changes(plan.rates, start)]
    return [{"rps": rps, "timestamp": results.moment(at).isoformat()} for rps, at in reached]


def _lines(
    metrics: ServingMetrics, options: ServeOptions, run: BenchmarkRun, selected: list[str]
) -> list[results.Line]:
    """Returns the lines that the tool prints, with the energy of an output token as an addition."""
    lines: list[results.Line] = [("Successful requests:", metrics.completed), ("Failed requests:", metrics.failed)]
    if options.max_concurrency is not None:
        lines.append(("Maximum request concurrency:", options.max_concurrency))
    if options.request_rate != math.inf:
        lines.append(("Request rate configured (RPS):", float(options.request_rate)))
    lines += [
        ("Benchmark duration (s):", run.duration),
        ("Total input tokens:", metrics.total_input),
        ("Total generated tokens:", metrics.total_output),
        ("Request throughput (req/s):", metrics.request_throughput),
    ]
    if metrics.request_goodput is not None:
        lines.append(("Request goodput (req/s):", metrics.request_goodput))
    lines += [
        ("Output token throughput (tok/s):", metrics.output_throughput),
        ("Peak output token throughput (tok/s):", metrics.max_output_tokens_per_s),
        ("Peak concurrent requests:", float(metrics.max_concurrent_requests)),
        ("Total token throughput (tok/s):", metrics.total_token_throughput),
    ]
    for name in selected:
        short, heading = HEADERS[name]
        statistics = metrics.latencies[name]
        lines += [(heading, None), (f"Mean {short} (ms):", statistics.mean)]
        lines.append((f"Median {short} (ms):", statistics.median))
        lines += [(f"{p.upper()} {short} (ms):", value) for p, value in statistics.percentiles]
    if joules := results.joules_per_output_token(run.energy, metrics.total_output):
        lines += [("Energy (llem)", None), ("Energy per output token (mJ):", 1e3 * joules.value)]
    return lines


def _report(metrics: ServingMetrics, run: BenchmarkRun, selected: list[str], labels: Mapping[str, str]) -> None:
    """Reports the metrics under the names of the tool's result. A latency without values is left out."""
    rates = {
        "duration": (run.duration, "s"),
        "completed": (metrics.completed, "{request}"),
        "request_throughput": (metrics.request_throughput, "{request}/s"),
        "request_goodput": (metrics.request_goodput, "{request}/s"),
        "output_throughput": (metrics.output_throughput, "{token}/s"),
        "total_token_throughput": (metrics.total_token_throughput, "{token}/s"),
        "max_output_tokens_per_s": (metrics.max_output_tokens_per_s, "{token}/s"),
        "max_concurrent_requests": (metrics.max_concurrent_requests, "{request}"),
        "max_overlapping_requests": (metrics.max_overlapping_requests, "{request}"),
    }
    for name, (value, unit) in rates.items():
        if value is not None:
            results.add_metric(name, value, unit, labels)
    for latency in selected:
        statistics = metrics.latencies[latency]
        for name, value in statistics.fields(latency) if statistics.values else ():
            results.add_metric(name, value, "ms", labels)
    # A sweep warns once for all its runs.
    if run.energy or not labels:
        results.report_energy(run.energy, metrics.total_output, labels)
    if metrics.failed:
        report.warn(f"{metrics.failed} requests gave no token and are left out of the metrics")

"""TokenPowerBench's energies of prefill and decode over a grid, by either contract of the tool.

for each precision and split    load | warm-up
  for each context and batch         | readings before | requests | readings after |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import llem_sdk
from grid import Grid, Setting, add_axes, prompts_of
from llem_sdk import About, Error, LoadOptions, Model, Phase, Prompt, RequestOptions, Sampling, Window
from llem_sdk import facts, meter, parameter, report, seed, sleep_for
from mean_power import calculate_metrics, estimate_tokens
from phase_energy import NO_IPMI, EnergyMetrics
from phases import Served, run_in_batches, run_serially
from power_trace import PowerTrace
from results import Result, report_metrics

WARMUP_TOKENS = 20
"""Output of the warm-up, at most."""

PAUSES = {"1.0": 0.3, "0.2": 2.0}
"""How long readings are taken before and after the requests, in s. Up to 0.2 they are part of the mean power."""


def about() -> About:
    about = add_axes(About("token-power-bench", "0.1.0", "TokenPowerBench: energy of prefill and decode over a grid"))
    return (
        about.text("contract", "1.0", "1.0: windows of phases over power readings; 0.2: mean power, estimated tokens")
        .integer("output-tokens", 0, "most tokens of an output (--output-tokens); 0 means 128 in 1.0 and 500 in 0.2")
        .number("temperature", -1.0, "temperature (--temperature); -1 means 0 in 1.0 and 0.7 in 0.2")
        .boolean("ignore-eos", False, "whether outputs go on after end-of-sequence tokens")
        .number("gpu-sample-interval", 0.1, "shortest time between two readings of a GPU, in s; 0 keeps llem's")
        .number("cpu-sample-interval", 0.5, "shortest time between two readings of RAPL, in s; 0 keeps llem's")
    )


def run() -> None:
    contract, grid = parameter("contract", str), Grid.from_parameters()
    if contract not in PAUSES:
        raise Error.invalid_argument(f"contract is '{contract}': set it to 1.0 or 0.2")
    if parameter("num-samples", int) < 1:
        raise Error.invalid_argument("num-samples must be 1 or more")
    results: dict[str, object] = {}
    model: Model | None = None
    loaded: object = None
    for index, setting in enumerate(grid):
        report.show_progress(index, len(grid), grid.name(setting))
        if model is None or setting.load_key != loaded:
            if model is not None:
                model.close()
            model, loaded = _load(setting), setting.load_key
        prompts = prompts_of(model, setting.context, parameter("num-samples", int))
        with Phase(grid.name(setting)):
            bench = Bench(model, setting, contract, prompts)
            bench.warm_up()
            result = bench.measure()
        results[grid.name(setting)] = result.content
        _write(f"{grid.name(setting)}_power_samples.json", result.trace.as_report())
        _write(f"{grid.name(setting)}_result.json", result.content)
        report_metrics(result, grid.labels(setting))
    _write("results.json", results)
    if model is not None:
        _write_surroundings(model, grid)


def _load(setting: Setting) -> Model:
    return Model.load(LoadOptions(dtype=setting.precision, parallelism=setting.parallelism))


class Bench:
    """The measurement of one setting."""

    def __init__(self, model: Model, setting: Setting, contract: str, prompts: Sequence[Prompt]) -> None:
        self.model, self.setting, self.contract, self.prompts = model, setting, contract, prompts
        is_new = contract == "1.0"
        temperature = parameter("temperature", float)
        sampling = Sampling(temperature=temperature if temperature >= 0.0 else (0.0 if is_new else 0.7))
        self.output_tokens = parameter("output-tokens", int) or (128 if is_new else 500)
        self.options: RequestOptions = {"label": "request", "max_new_tokens": self.output_tokens}
        self.options |= {"ignore_eos": parameter("ignore-eos", bool), "sampling": sampling}

    def warm_up(self) -> None:
        """Runs the first prompt with a short output."""
        short: RequestOptions = {**self.options, "max_new_tokens": min(WARMUP_TOKENS, self.output_tokens)}
        with Phase("warmup"):
            if self.contract == "1.0" and self.setting.batch_size == 1:
                run_serially(self.model, self.prompts[:1], short)
            else:
                run_in_batches(self.model, self.prompts[:1], 1, short)

    def measure(self) -> Result:
        """Runs all requests with readings before and after."""
        intervals = parameter("gpu-sample-interval", float), parameter("cpu-sample-interval", float)
        readings = Window("power_samples")
        sleep_for(PAUSES[self.contract])
        window = Window("requests")
        served = self._serve()
        measurement = window.close()
        sleep_for(PAUSES[self.contract])
        trace = PowerTrace.of(readings.timeline(), *intervals)
        readings.close()
        content = self._phases(served, trace) if self.contract == "1.0" else self._means(served, trace)
        return Result(content, served, trace, measurement)

    def _serve(self) -> Served:
        # Only requests that run one after another have phases that do not mix.
        if self.contract == "1.0" and self.setting.batch_size == 1:
            return run_serially(self.model, self.prompts, self.options)
        return run_in_batches(self.model, self.prompts, self.setting.batch_size, self.options)

    def _phases(self, served: Served, trace: PowerTrace) -> dict[str, object]:
        tokens = sum(len(one.tokens) for one in served.completions)
        start, end = served.start_s, served.end_s
        return {
            "batch_size": self.setting.batch_size,
            "start_s": start,
            "end_s": end,
            "total_output_tokens": tokens,
            "num_responses": len(served.completions),
            "output_tokens_per_s": tokens / (end - start),
            "energy": EnergyMetrics.of(trace, start, end, tokens, len(served.completions)).as_report(),
            "phases": [event.as_report(trace) for event in served.events],
            "phase_status": "serial_host_boundaries" if served.events else "not_requested",
        }

    def _means(self, served: Served, trace: PowerTrace) -> dict[str, object]:
        texts = [one.text for one in served.completions]
        words = None if None in texts else estimate_tokens([text or "" for text in texts])
        tokens = sum(len(one.tokens) for one in served.completions)
        duration = served.end_s - served.start_s
        content = calculate_metrics(trace, duration, words, tokens, len(served.completions))
        names = {"model": self.model.info().source, "batch_size": self.setting.batch_size, "engine": "llem"}
        if words is None:
            report.warn("total_output_tokens is null: it is an estimate from words, and without a tokenizer is no text")
        return {**content, **names}


def _write_surroundings(model: Model, grid: Grid) -> None:
    """Writes what the tool keeps beside its results: configuration, prompts, environment, sensors, status."""
    shown = [getattr(one, "text", None) for one in prompts_of(model, grid.contexts[0], parameter("num-samples", int))]
    names = ["contract", "batch-sizes", "context-lengths", "parallel", "precisions", "num-samples", "output-tokens"]
    names += ["temperature", "min-words", "max-words", "gpu-sample-interval", "cpu-sample-interval"]
    config: dict[str, object] = {name.replace("-", "_"): parameter(name) for name in names}
    digest = hashlib.sha256(json.dumps(shown, ensure_ascii=False).encode()).hexdigest()
    config |= {"model": model.info().source, "engine": "llem", "seed": seed(), "prompt_sha256": digest}
    config["prompt_policy"] = "raw text, no implicit chat template; repeat ordered prompts to num_samples"
    info = model.info()
    effective: dict[str, object] = {"dtype": str(info.dtype), "kv_dtype": str(info.kv_dtype), "device": info.device}
    effective |= {"max_model_len": info.context_length, "enable_prefix_caching": False, "max_num_seqs": 1}
    sensors = [
        {"device": one.device, "domain": one.domain, "source": str(one.source) if one.source else None}
        | ({} if one.source else {"reason": getattr(one.source, "reason", "")})
        for one in meter.counter_resolution()
    ]
    _write("config.json", config)
    _write("engine_config.json", {"requested": config, "effective": effective, "engine_class": "llem"})
    _write("prompts.json", shown)
    _write("runtime.json", {"uid": None, "euid": None, "is_root": None, "reason": "a script is told no identities"})
    _write("environment.json", facts.list_facts())
    _write("capabilities.json", {"sensors": sensors, "system": {"available": False, "reason": NO_IPMI}})
    _write("status.json", {"status": "completed"})


def _write(name: str, content: object) -> None:
    report.write_artifact(name, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


llem_sdk.experiment(about, run)

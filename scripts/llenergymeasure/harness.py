"""LLenergyMeasure's experiment: one window of energy and time over all prompts, with llem as the engine.

    baseline (no model) -> load -> prompts -> probe, warm-up -> thermal floor -> all prompts in batches -> result.json

The baseline, the warm-up and the rest are in no number but their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import llem_sdk
from latency import TokenTimes
from llem_sdk import (
    About,
    Completion,
    Error,
    Generation,
    Model,
    Phase,
    Random,
    Request,
    Sampling,
    TokensPrompt,
    Window,
    meter,
    parameter,
    report,
    rows_if_granted,
)
from llem_sdk.meter import Baseline
from llem_sdk.wait import NS
from measured import Batch, Experiment
from result import write
from warmup import MAX_NEW_TOKENS, WarmupConfig, warm_up

COLUMNS = ("prompt", "text", "instruction", "input", "question")
"""The names of the column with prompts, in the tool's order (`AUTO_DETECT_COLUMNS`)."""

ORDERS = ("interleaved", "grouped", "shuffled")


def about() -> About:
    return (
        About("llenergymeasure", "0.1.0", "LLenergyMeasure: joules and tokens per second of a list of prompts")
        .dataset("prompts", "rows with a text in prompt, text, instruction, input or question, and maybe a source")
        .integer("n-prompts", 100, "prompts that are measured (task.dataset.n_prompts)")
        .text("order", "interleaved", "interleaved, grouped or shuffled (task.dataset.order)")
        .integer("max-input-tokens", 256, "tokens after which a prompt is cut (task.max_input_tokens)")
        .integer("max-output-tokens", 256, "tokens generated for a prompt (task.max_output_tokens)")
        .integer("random-seed", 42, "seed of sampling and of a shuffled order (task.random_seed)")
        .integer("prompt-tokens", 64, "mean length of random prompts, where no dataset is granted")
        .integer("batch-size", 1, "prompts that are generated together (transformers.batch_size)")
        .number("temperature", 0.0, "0 for greedy decoding (sampling_params.temperature)")
        .number("top-p", 1.0, "nucleus sampling (sampling_params.top_p)")
        .boolean("ignore-eos", False, "whether every prompt gets all its tokens; the tool stops at EOS")
        .boolean("baseline", True, "whether idle power is measured (measurement.baseline.enabled)")
        .number("baseline-duration-seconds", 30.0, "how long (measurement.baseline.duration_seconds)")
        .text("baseline-strategy", "fresh", "fresh or cached (measurement.baseline.strategy)")
        .number("baseline-cache-ttl-seconds", 7200.0, "age of a cached one (measurement.baseline.cache_ttl_seconds)")
        .boolean("warmup", True, "whether there is a warm-up (warmup.enabled)")
        .integer("warmup-n-prompts", 5, "runs after the probe (warmup.n_prompts)")
        .number("thermal-floor-seconds", 60.0, "rest after the warm-up; the tool wants 30 or more")
        .boolean("convergence-detection", False, "runs until latencies are steady (warmup.convergence_detection)")
        .number("cv-threshold", 0.05, "coefficient of variation that counts as steady (warmup.cv_threshold)")
        .integer("warmup-max-prompts", 20, "most runs of it (warmup.max_prompts)")
        .integer("warmup-window-size", 3, "latencies that are compared (warmup.window_size)")
        .integer("warmup-min-prompts", 5, "fewest runs of it (warmup.min_prompts)")
        .text("schema", "2.0", "2.0 (bundle of release 0.7.0) or 3.0 (schema_version of the repository)")
    )


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of the model, under the tool's names."""

    n_prompts: int
    order: str
    max_input_tokens: int
    max_output_tokens: int
    random_seed: int
    batch_size: int
    ignore_eos: bool
    sampling: Sampling | None

    @classmethod
    def from_parameters(cls) -> Task:
        """Reads and checks the parameters."""
        counts = {}
        for name in ("n-prompts", "max-input-tokens", "max-output-tokens", "batch-size", "warmup-n-prompts"):
            counts[name] = parameter(name, int)
            if counts[name] < 1:
                raise Error.invalid_argument(f"{name} is {counts[name]}: set it to 1 or more with -p {name}=NUMBER")
        order, temperature = parameter("order", str), parameter("temperature", float)
        if order not in ORDERS or parameter("schema", str) not in ("2.0", "3.0"):
            raise Error.invalid_argument(f"set order to one of {', '.join(ORDERS)}, and schema to 2.0 or 3.0")
        seed = parameter("random-seed", int)
        sampling = Sampling(temperature=temperature, top_p=parameter("top-p", float), seed=seed)
        return cls(
            n_prompts=counts["n-prompts"],
            order=order,
            max_input_tokens=counts["max-input-tokens"],
            max_output_tokens=counts["max-output-tokens"],
            random_seed=seed,
            batch_size=counts["batch-size"],
            ignore_eos=parameter("ignore-eos", bool),
            sampling=sampling if temperature > 0.0 else None,
        )

    def prompts(self, model: Model) -> list[TokensPrompt]:
        """Returns the prompts as tokens, each cut at `max_input_tokens`."""
        texts = self._texts()
        if texts is None:
            return self._random_prompts(model)
        tokenizer = model.tokenizer()
        cut = self.max_input_tokens
        return [TokensPrompt(tuple(tokenizer.encode(text, True)[:cut])) for text in texts]

    def _texts(self) -> list[str] | None:
        """Returns the texts of the dataset in the order that is asked for, or `None` if it was not granted."""
        rows = rows_if_granted("prompts")
        if rows is None:
            return None
        found: list[tuple[str, str]] = []
        for row in rows:
            column = next((name for name in COLUMNS if name in row.fields), None)
            if column is None:
                raise Error.invalid_argument(f"row {row.index} of prompts has none of {', '.join(COLUMNS)}: rename one")
            found.append((str(row.fields.get("source", "")), row.get(column, str)))
            if self.order == "interleaved" and len(found) == self.n_prompts:
                break
        if self.order == "grouped":
            found.sort(key=lambda one: one[0])
        elif self.order == "shuffled":
            random.Random(self.random_seed).shuffle(found)
        if not found:
            raise Error.invalid_argument("the dataset 'prompts' has no rows: give a file with prompts")
        return [text for _, text in found[: self.n_prompts]]

    def _random_prompts(self, model: Model) -> list[TokensPrompt]:
        """Draws prompts of random tokens, whose lengths are uniform from half the mean to one and a half of it."""
        draw, vocabulary, average = Random("prompts"), model.info().vocab_size, parameter("prompt-tokens", int)
        least = max(average // 2, 1)
        lengths = [least + int(one * (average + 1)) for one in draw.many_f64(self.n_prompts)]
        return [TokensPrompt.random(draw, vocabulary, min(length, self.max_input_tokens)) for length in lengths]

    def request(self, prompts: Sequence[TokensPrompt], label: str, new_tokens: int) -> Request:
        """Makes the request of a batch."""
        return Request.from_prompts(
            prompts, label=label, max_new_tokens=new_tokens, ignore_eos=self.ignore_eos, sampling=self.sampling
        )


def _warmup_config() -> WarmupConfig:
    return WarmupConfig(
        enabled=parameter("warmup", bool),
        n_prompts=parameter("warmup-n-prompts", int),
        thermal_floor_seconds=parameter("thermal-floor-seconds", float),
        convergence_detection=parameter("convergence-detection", bool),
        cv_threshold=parameter("cv-threshold", float),
        max_prompts=parameter("warmup-max-prompts", int),
        window_size=parameter("warmup-window-size", int),
        min_prompts=parameter("warmup-min-prompts", int),
    )


def _baseline() -> Baseline | None:
    """Measures the power at rest, before a model is loaded."""
    if not parameter("baseline", bool):
        return None
    length, strategy = parameter("baseline-duration-seconds", float), parameter("baseline-strategy", str)
    with Phase("baseline"):
        if strategy == "cached":
            return Baseline.recall_or_measure(length, parameter("baseline-cache-ttl-seconds", float))
        if strategy == "fresh":
            return Baseline.measure(length)
    raise Error.invalid_argument(f"baseline-strategy is '{strategy}': set it to fresh or cached")


def _batches(prompts: Sequence[TokensPrompt], size: int) -> Iterator[Sequence[TokensPrompt]]:
    return (prompts[start : start + size] for start in range(0, len(prompts), size))


def batch_of(prompts: Sequence[TokensPrompt], generation: Generation) -> Batch:
    """Takes the times and lengths of a batch."""
    completions = generation.completions
    began = min(one.submitted for one in completions)
    ended = max((one.token_times[-1] for one in completions if one.token_times), default=began)
    return Batch(
        time_ms=(ended - began) * 1e-6,
        prompt_lengths=tuple(len(prompt.tokens) for prompt in prompts),
        output_lengths=tuple(len(one.tokens) for one in completions),
        sequences=tuple(_times(one, began) for one in completions),
    )


def _times(completion: Completion, began: int) -> TokenTimes:
    """Takes the times of a sequence, in ms since its batch began."""
    return TokenTimes((completion.submitted - began) * 1e-6, tuple((t - began) * 1e-6 for t in completion.token_times))


def run() -> None:
    task, config = Task.from_parameters(), _warmup_config()
    baseline = _baseline()
    with Phase("load"), Window("load") as load:
        model = Model.load_granted()
    prompts = task.prompts(model)

    def warmup_run() -> float:
        began = meter.now()
        model.generate(task.request(prompts[:1], "warmup", min(task.max_output_tokens, MAX_NEW_TOKENS)))
        return (meter.now() - began) * NS * 1e3

    with Phase("warmup"):
        warmup = warm_up(config, warmup_run)
    batches: list[Batch] = []
    with Phase("measure"), Window("inference") as window:
        for batch in _batches(prompts, task.batch_size):
            generation = model.generate(task.request(batch, "inference", task.max_output_tokens))
            batches.append(batch_of(batch, generation))
            report.show_progress(len(batches) * task.batch_size, len(prompts), "prompts")
        samples = window.timeline()
    write(
        Experiment(
            model=model,
            baseline=baseline,
            warmup=warmup if config.enabled else None,
            batches=batches,
            batch_size=task.batch_size,
            load=load.measurement,
            measurement=window.measurement,
            samples=len(samples),
            domains=len({(sample.device, sample.domain) for sample in samples}),
        ),
        schema=parameter("schema", str),
    )


llem_sdk.experiment(about, run)

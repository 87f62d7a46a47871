"""The benchmark's requests: prompts of a dataset, or random ones of controlled lengths (`LengthControl`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from llem_sdk import About, Arrivals, Chat, Error, ErrorCode, Message, Model, Random, Request, Sampling, TextPrompt
from llem_sdk import Tokenizer, TokensPrompt, inputs, parameter, parameter_within

LONGEST = 32768
"""The longest prompt and output of `LengthControl`, in tokens."""


def add_parameters(about: About) -> About:
    """Adds the parameters and the dataset that decide the requests."""
    return (
        about.dataset("prompts", "rows with a text each; without it prompts are random tokens (length-control)")
        .text("prompt-column", "prompt", "the column that prompts are read from")
        .text("endpoint-type", "openai-chat", "openai-chat: the dataset's prompts are chats; openai: plain text")
        .integer("num-requests", 48, "requests (workload.num_requests); a dataset may hold fewer")
        .integer("num-request-repeats", 1, "how often the requests are repeated (workload.num_request_repeats)")
        .number("input-mean", 24.0, "mean prompt tokens without a dataset, Pareto distributed (workload.input_mean)")
        .number("pareto-a", 2.5, "shape of that distribution, above 1 (workload.pareto_a)")
        .number("output-mean", 16.0, "mean expected output without a dataset, exponential (workload.output_mean)")
        .text("max-output-tokens", "dataset", "a number, or dataset: the expected output of each request")
        .boolean("ignore-eos", False, "whether outputs go on after end-of-sequence tokens")
        .number("temperature", 0.8, "temperature of sampling, 0 for greedy")
        .number("top-p", 0.95, "nucleus sampling, 1 for none")
        .integer("top-k", 0, "top-k sampling, 0 for none")
        .number("min-p", 0.0, "min-p sampling, 0 for none")
    )


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """A prompt with the length of its expected output."""

    prompt: TextPrompt | TokensPrompt
    text: str | None
    """The prompt as text, if it is one."""
    length: int
    """The prompt tokens. Without a tokenizer, the bytes of a text."""
    expected_output_len: int | None
    """`None` for prompts of a dataset, which has no lengths."""


def sample_requests(model: Model) -> list[SampleRequest]:
    """Returns the requests that the parameters ask for."""
    count, repeats = parameter_within("num-requests", int, 1), parameter_within("num-request-repeats", int, 1)
    texts = inputs.texts_if_granted("prompts", "prompt-column")
    if texts is None:
        unique = _of_controlled_lengths(model, count)
    else:
        unique = [_from_text(model, text) for text in islice(texts, count)]
    if not unique:
        raise Error.invalid_argument("the dataset 'prompts' has no rows")
    return unique * repeats


def requests_to_host(samples: Sequence[SampleRequest]) -> tuple[list[Request], int | str]:
    """Returns the requests and `max_output_tokens`."""
    cap: int | str = parameter("max-output-tokens", str)
    if cap != "dataset":
        if not str(cap).isdecimal() or int(cap) < 1:
            raise Error.invalid_argument(f"max-output-tokens is '{cap}': set it to a number above 0, or to dataset")
        cap = int(cap)
    elif any(one.expected_output_len is None for one in samples):
        raise Error.invalid_argument("max-output-tokens is 'dataset', and the dataset has no lengths: set a number")
    sampling = Sampling(
        temperature=parameter("temperature", float),
        top_p=parameter("top-p", float),
        top_k=parameter("top-k", int) or None,
        min_p=parameter("min-p", float) or None,
    )
    requests = [
        Request(
            (one.prompt,),
            label="request",
            max_new_tokens=one.expected_output_len if isinstance(cap, str) and one.expected_output_len else int(cap),
            ignore_eos=parameter("ignore-eos", bool),
            sampling=sampling,
        )
        for one in samples
    ]
    return requests, cap


def arrival_delays(count: int) -> tuple[list[float], float | str]:
    """Returns when each request arrives, in s, and the request rate as the result file has it.

    Gaps are gamma distributed. All times are then stretched so that the last one is `count` / rate, as vLLM does.
    """
    text = parameter("request-rate", str)
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not rate > 0.0:
        raise Error.invalid_argument(f"request-rate is '{text}': set it to requests a second, or to inf")
    if rate == math.inf:
        return [0.0] * count, "inf"
    times = Arrivals.gamma(rate, parameter("burstiness", float)).times(Random("arrivals").next_f64)
    drawn = [time for time in islice(times, count) if time is not None]
    return stretched(drawn, count / rate), rate


def stretched(times: Sequence[float], last: float) -> list[float]:
    """Scales times so that the last one is at `last`."""
    return [time * last / times[-1] for time in times] if times[-1] > 0.0 else list(times)


def cumulative_pareto(mean: float, shape: float) -> list[float]:
    """Returns the normalised running sum of the Pareto density at 0, 1, 2, …, from which lengths are drawn."""
    scale = mean * (shape - 1.0) / shape
    return _cumulative([shape * scale**shape / x ** (shape + 1.0) if x >= scale else 0.0 for x in range(LONGEST)])


def cumulative_exponential(mean: float) -> list[float]:
    """Returns the normalised running sum of the exponential density at 0, 1, 2, … tokens."""
    return _cumulative([math.exp(-x / mean) / mean for x in range(LONGEST)])


def length_of(cumulative: Sequence[float], uniform: float) -> int:
    """Returns the length at a uniform number: the first whose running sum reaches it, and at least 1."""
    low, high = 0, len(cumulative)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if cumulative[middle] < uniform else (low, middle)
    return max(1, low)


def _of_controlled_lengths(model: Model, count: int) -> list[SampleRequest]:
    shape = parameter("pareto-a", float)
    means = {name: parameter(name, float) for name in ("input-mean", "output-mean")}
    for name, value in (*means.items(), ("pareto-a", shape - 1.0)):
        if value <= 0.0:
            raise Error.invalid_argument(f"{name} is too small: means must be above 0, and pareto-a above 1")
    inputs_sum = cumulative_pareto(means["input-mean"], shape)
    outputs_sum = cumulative_exponential(means["output-mean"])
    lengths, tokens = Random("lengths"), Random("prompts")
    info = model.info()
    longest = info.context_length - 1
    tokenizer = model.tokenizer() if info.has_tokenizer else None
    samples = []
    for _ in range(count):
        first, second = lengths.many_f64(2)
        prompt = min(length_of(inputs_sum, first), longest)
        output = min(length_of(outputs_sum, second), info.context_length - prompt)
        ids = tuple(tokens.tokens(prompt, info.vocab_size if tokenizer is None else tokenizer.vocab_size()))
        samples.append(SampleRequest(TokensPrompt(ids), tokenizer.decode(ids) if tokenizer else None, prompt, output))
    return samples


def _from_text(model: Model, text: str) -> SampleRequest:
    """Encodes a prompt. A chat's special tokens come from the chat template alone."""
    kind = parameter("endpoint-type", str)
    if kind not in ("openai", "openai-chat"):
        raise Error.invalid_argument(f"endpoint-type is '{kind}': set it to openai-chat or openai")
    if not model.info().has_tokenizer:
        return SampleRequest(TextPrompt(text), text, len(text.encode()), None)
    tokenizer = model.tokenizer()
    if kind == "openai":
        ids = tokenizer.encode(text, with_special_tokens=True)
    else:
        ids = tokenizer.encode(_as_chat(tokenizer, text), with_special_tokens=False)
    return SampleRequest(TokensPrompt(tuple(ids)), text, len(ids), None)


def _as_chat(tokenizer: Tokenizer, text: str) -> str:
    try:
        return tokenizer.apply_chat_template(Chat((Message("user", text),)))
    except Error as error:
        if error.code == ErrorCode.UNSUPPORTED:
            raise Error.invalid_argument(f"{error.message}: set -p endpoint-type=openai") from None
        raise


def _cumulative(density: Sequence[float]) -> list[float]:
    total, sums = sum(density), []
    running = 0.0
    for value in density:
        running += value / total
        sums.append(running)
    return sums

"""Makes every call of the SDK once, and fails if an answer is not of the right kind."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import llem_sdk
from llem_sdk import (
    BaseWeights,
    BatchOptions,
    Chat,
    Error,
    ErrorCode,
    Lengths,
    Level,
    LoadOptions,
    Message,
    Metric,
    Model,
    NamedAdapter,
    Parallelism,
    Phase,
    Quantity,
    Random,
    Request,
    RequestList,
    Sampling,
    SaturatedBatch,
    ScoreRequest,
    Source,
    TextPrompt,
    ThermalProtocol,
    TokensPrompt,
    Window,
    devices,
    facts,
    flops,
    inputs,
    joules_per_run,
    meter,
    parameter,
    parameter_within,
    report,
    rows_if_granted,
    sizes,
    sleep_for,
    texts_if_granted,
    wait_until_power_steady,
    wait_until_temperature_steady,
)


def run() -> None:
    read_inputs()
    read_machine()
    with Model.load(LoadOptions(model="synthetic:tiny", parallelism=Parallelism(), seed=7)) as model:
        use_model(model)
        use_batch(model)
        use_adapters(model)
        use_windows(model)
    write_report()


def read_inputs() -> None:
    assert parameter("whole", int) == 3
    assert parameter("whole", float) == 3.0
    assert parameter("whole") == 3
    assert parameter("real", float) == 2.5
    assert parameter("flag", bool) is True
    assert sizes("words") == [1, 2, 3]
    fails(ErrorCode.NOT_FOUND, lambda: parameter("another"))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: parameter("real", int))
    assert parameter_within("whole", int, 1, 3) == 3
    fails(ErrorCode.INVALID_ARGUMENT, lambda: parameter_within("real", float, 3.0))
    assert inputs.seed() == 5
    assert rows_if_granted("absent") is None
    fails(ErrorCode.NOT_GRANTED, lambda: inputs.rows("absent"))
    dataset = inputs.rows("rows")
    assert dataset.length() == 2
    first, second = dataset
    assert (first.index, first.get("prompt", str), first.get("tokens", int)) == (0, "one", 11)
    assert (second.index, second.fields["ratio"]) == (1, 0.5)
    dataset.rewind()
    assert dataset.next_rows(5) == [first, second]
    assert dataset.next_rows(5) == []
    texts = texts_if_granted("rows", "column")
    assert texts is not None
    assert list(texts) == ["one", "two"]
    one, other = Random("a"), Random("a")
    assert [one.next_f64(), one.next_f64()] == other.many_f64(2)
    assert [one.next_u64(), one.next_u64()] == other.many_u64(2)
    assert all(token < 10 for token in one.tokens(20, 10))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: one.tokens(1, 0))
    assert sorted(one.sample(5, 5)) == [0, 1, 2, 3, 4]
    order = list(range(20))
    one.shuffle(order)
    assert order != sorted(order) == list(range(20))
    assert set(one.pick(50, "ab")) == {"a", "b"}
    assert all(2 <= length <= 12 for length in Lengths.normal(8.0, 4.0).within(2, 12).draw(20, one.next_f64))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: one.sample(2, 1))


def read_machine() -> None:
    assert facts.fact("llem-version") == facts.list_facts()["llem-version"]
    assert facts.run_began() > datetime.fromtimestamp(0, facts.run_began().tzinfo)
    known = devices.list_devices()
    right(known, list[devices.Device])
    assert devices.find_device("cpu") == known[0]
    right(devices.read_state("cpu"), devices.DeviceState)
    fails(ErrorCode.NOT_FOUND, lambda: devices.find_device("abacus"))
    right(meter.counter_resolution(), list[meter.Resolution])
    right(meter.Baseline.measure(0.1), meter.Baseline)
    right(meter.Baseline.recall_or_measure(0.1, 60.0), meter.Baseline)
    began = meter.now()
    sleep_for(0.01)
    meter.sleep_until(began)
    assert meter.now() >= began + 10_000_000
    fails(ErrorCode.INVALID_ARGUMENT, lambda: wait_until_power_steady(None, -1.0, 1.0))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: wait_until_temperature_steady(None, -1.0, 1.0))


def use_model(model: Model) -> None:
    info = model.info()
    right(info, llem_sdk.ModelInfo)
    tokenizer = model.tokenizer()
    tokens = model.tokenize("hello")
    assert model.detokenize(tokens) == "hello"
    assert tokenizer.decode(tokenizer.encode("hi", with_special_tokens=False)) == "hi"
    right(tokenizer.special_tokens(), list[llem_sdk.SpecialToken])
    assert tokenizer.vocab_size() > 0
    assert tokenizer.added_tokens() >= 0
    for token in (tokenizer.bos(), tokenizer.eos(), tokenizer.pad(), tokenizer.unknown()):
        right(token, int | None)
    text = tokenizer.token_text(tokens[0])
    assert text is not None
    assert tokenizer.token_of(text) == tokens[0]
    assert tokenizer.token_of("no such token") is None
    try:
        rendered = model.apply_chat_template([Message("user", "hello")])
        assert "hello" in rendered
    except Error as error:
        assert error.code == ErrorCode.UNSUPPORTED
    sampling = Sampling(0.5, 5, 0.75, 0.25, 1.5, 0.5, 0.25, ((1, -1.0),), 9)
    request = Request.from_prompts(
        [TextPrompt("hello"), TokensPrompt((1, 2, 3)), TokensPrompt.random(Random("p"), info.vocab_size, 4)],
        label="three",
        max_new_tokens=4,
        min_new_tokens=1,
        ignore_eos=True,
        stop_texts=("never",),
        stop_tokens=(info.vocab_size - 1,),
        sampling=sampling,
        log_probabilities=2,
    )
    assert Request.from_host(request.to_host()) == request
    special = [token.id for token in tokenizer.special_tokens()]
    assert sorted(model.ordinary_tokens() + special) == list(range(tokenizer.vocab_size()))
    assert not tokenizer.adds_bos() or tokenizer.added_tokens() > 0
    assert [len(prompt.tokens) for prompt in model.random_prompts(Random("prompts"), [3, 5])] == [3, 5]
    generation = model.generate(request)
    right(generation, llem_sdk.Generation)
    right(generation.measurement.energy_of("cpu"), Quantity | llem_sdk.Unavailable)
    assert generation.step_times() == sorted(generation.step_times())
    assert [one.sequence for one in generation.completions] == [0, 1, 2]
    assert all(len(one.log_probabilities) == len(one.tokens) for one in generation.completions)
    assert model.generate(request).completions[0].tokens == generation.completions[0].tokens
    given = Request.from_tokens([1, 2], given_tokens=((5, 6, 7),), max_new_tokens=3, ignore_eos=True)
    assert model.generate(given).completions[0].tokens == (5, 6, 7)
    logits = Request.from_tokens([1, 2], max_new_tokens=0, all_prompt_logits=True)
    assert model.generate(logits).completions[0].tokens == ()
    fails(ErrorCode.INVALID_ARGUMENT, lambda: model.generate(Request.from_tokens([])))
    right(model.score([ScoreRequest([1, 2], [3]), ScoreRequest((1,), (2, 3))]), llem_sdk.Scoring)
    assert len(model.score_rolling([[1, 2, 3]], 0).scores[0].log_likelihoods) == 3
    estimate = flops.estimate(model, flops.Shape(1, 8, 4))
    right(estimate, flops.Estimate)
    assert estimate.needed.total() <= estimate.executed.total()
    everything = Request(
        prompts=(Chat((Message("user", "hello"),), (("flag", True), ("level", 2))), TextPrompt("a")),
        adapters=(NamedAdapter("one"), BaseWeights()),
        script_chooses=True,
        holds_cache=True,
        arrival=0.25,
    )
    assert Request.from_host(everything.to_host()) == everything
    assert RequestList([Request.from_tokens([1] * 9999), request]).fitting(model).total() == 1


def use_batch(model: Model) -> None:
    options = BatchOptions(4, max_tokens=64, prefill_chunk=16, max_rows=32, refuses_when_full=True, prefix_cache=True)
    with model.open_batch(options) as batch:
        [first] = batch.submit(Request.from_tokens(range(1, 20), max_new_tokens=3, ignore_eos=True, holds_cache=True))
        right(batch.status(), llem_sdk.BatchStatus)
        steps = list(batch.steps())
        right(steps, list[llem_sdk.Progress])
        assert sum(len(step.tokens) for step in steps) == 3
        right(batch.sequence_energy(first), Quantity | llem_sdk.Unavailable)
        again = Request.from_tokens([4], max_new_tokens=2, ignore_eos=True)
        batch.submit_after(first, again, fork=True)
        assert len(batch.drain()) == 1
        batch.submit_after(first, again)
        batch.run_until_token()
        batch.run_until_end()
        fails(ErrorCode.NOT_FOUND, lambda: batch.release(first))
        [chosen] = batch.submit(Request.from_tokens([1], max_new_tokens=2, ignore_eos=True, script_chooses=True))
        batch.run_until(meter.now() + 1_000_000_000)
        logits = batch.logits(chosen)
        best = logits.top(1)
        assert logits.of_tokens([best[0].token]) == best
        assert max(logits.all()) == best[0].logit
        assert logits.entropy() > 0.0
        batch.choose(chosen, best[0].token)
        batch.cancel(chosen)
        assert [one.finish for one in batch.step().ended] == ["cancelled"]
        batch.submit(again, arrival=meter.now() + 20_000_000)
        assert batch.status().scheduled == 1
        [late] = batch.drain()
        right(late, llem_sdk.Completion)
    fails(ErrorCode.FAILED, batch.step)
    prompts = [Request.from_tokens([1, 2], max_new_tokens=4, ignore_eos=True)] * 40
    steady = SaturatedBatch(BatchOptions(2, max_tokens=16), length=60.0, settle_steps=2).measure(model, "full", prompts)
    assert steady.ran_out
    assert steady.steps > 0


def use_adapters(model: Model) -> None:
    adapter = model.attach_adapter("synthetic:rank=2")
    right(adapter, llem_sdk.AdapterInfo)
    assert model.adapters() == [adapter]
    model.use_adapter(adapter.name)
    named = Request.from_tokens([1, 2], adapters=NamedAdapter(adapter.name), max_new_tokens=1)
    assert model.generate(named).completions[0].adapter == adapter.name
    base = Request.from_tokens([1, 2], adapters=BaseWeights(), max_new_tokens=1)
    assert model.generate(base).completions[0].adapter is None
    model.use_adapter(None)
    assert model.merge_adapter(adapter.name) >= 0.0
    assert model.adapters()[0].is_merged
    assert model.unmerge_adapter(adapter.name) >= 0.0
    model.detach_adapter(adapter.name)
    assert model.adapters() == []


def use_windows(model: Model) -> None:
    request = Request.from_tokens([1, 2, 3], max_new_tokens=2, ignore_eos=True)
    with Phase("outer"), Window("work") as window:
        model.generate(request)
        window.mark("second")
        model.generate(request)
        right(window.timeline(), list[llem_sdk.Sample])
        fails(ErrorCode.FAILED, lambda: window.measurement)
    right(window.measurement, llem_sdk.Measurement)
    assert window.measurement.activity.requests == 2
    assert [segment.label for segment in window.measurement.segments] == ["", "second"]
    fails(ErrorCode.FAILED, window.close)
    protocol = ThermalProtocol(cooldown=0.0, warmup_runs=1, window=0.001, trials=2, threshold=9.0)
    trials = protocol.run(lambda: model.generate(request))
    assert len(trials) == 2
    assert [metric.name for metric in joules_per_run(trials)] == ["joules_per_run"]
    sweep = protocol.sweep([0.002, 0.001], [0.001, 0.0], lambda: model.generate(request))
    assert (sweep.protocol.window, sweep.protocol.cooldown, sweep.is_steady) == (0.001, 0.0, True)


def write_report() -> None:
    report.show_progress(1, 2, "half")
    for level in Level:
        report.log(level, level.value)
    print("printed")
    report.warn("be careful")
    report.add_metric(Quantity(1.5, 0.5, "J", Source.DERIVED).into_metric("joules", kind="test").label("more", "yes"))
    report.add_series(report.Series("curve", ("x", "s"), ("y", "J"), [(0.0, 1.0), (1.0, 2.0)]))
    report.add_table(report.Table("cells", ["a", "b"], [["1", "2"]]))
    report.write_artifact("bytes.bin", bytes(range(256)))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: report.add_metric(Metric("", Quantity.exact(1.0, "J", Source.DERIVED))))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: report.add_table(report.Table("t", ["a"], [["1", "2"]])))
    fails(ErrorCode.INVALID_ARGUMENT, lambda: report.write_artifact("../up", b""))


def fails(code: ErrorCode, call: Any) -> None:
    """Asserts that a call fails with this code."""
    try:
        call()
    except Error as error:
        assert error.code == code, (error.code, error.message)
    else:
        raise AssertionError(f"the call did not fail with {code}")


def right(value: Any, kind: Any) -> None:
    """Asserts that a value is of a type, with the values of all its fields and items."""
    if isinstance(kind, UnionType):
        kind = next((one for one in get_args(kind) if _is(value, one)), None)
        assert kind is not None, (value, kind)
    assert _is(value, kind), (value, kind)
    if get_origin(kind) in (list, tuple):
        items = [one for one in get_args(kind) if one is not Ellipsis]
        kinds = items * len(value) if len(items) == 1 else items
        for item, item_kind in zip(value, kinds, strict=True):
            right(item, item_kind)
    elif is_dataclass(kind):
        hints = HINTS[kind]
        for field in fields(kind):
            right(getattr(value, field.name), hints[field.name])


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, get_origin(kind) or kind) and not (kind is float and isinstance(value, bool))


# `get_type_hints` loads modules, which is only possible when the component is built.
HINTS: dict[Any, dict[str, Any]] = {
    kind: get_type_hints(kind)
    for module in (llem_sdk, devices, flops, meter)
    for kind in vars(module).values()
    if isinstance(kind, type) and is_dataclass(kind)
}

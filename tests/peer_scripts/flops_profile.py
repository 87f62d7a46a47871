"""What scripts/flops-profile reports follows from the model's sizes and from the times in the record."""

import json
import math
import statistics

from .comparison import assert_close

MEASURES_ENERGY = False


# synthetic:tiny, a Llama with a tied LM head.
LAYERS, HIDDEN, WIDTH, HEADS, KV_HEADS, VOCABULARY = 4, 256, 768, 8, 4, 512


def expected_flops(tool: str, attention: str, batch: int, tokens: int, past: int, logits: int) -> float:
    """The operations of a pass by the tool's convention, from the sizes alone."""
    head = HIDDEN // HEADS
    projections = HIDDEN * head * (2 * HEADS + 2 * KV_HEADS)
    rows, keys = batch * tokens, tokens + past
    multiply_adds = LAYERS * rows * (projections + 3 * HIDDEN * WIDTH) + batch * logits * HIDDEN * VOCABULARY
    if not (attention == "sdpa" and tool in ("calflops", "fvcore")):
        multiply_adds += LAYERS * 2 * rows * keys * HIDDEN
    if tool == "fvcore":
        return multiply_adds
    flops = 2 * multiply_adds
    if tool in ("deepspeed", "calflops"):
        flops += LAYERS * rows * WIDTH
        if attention == "eager":
            flops += LAYERS * rows * HEADS * keys
    return flops


def check(run_of) -> None:
    batch, prompt, new, repetitions = 2, 20, 5, 2
    for attention in ("sdpa", "eager"):
        parameters = {"batch-size": batch, "seq-len": prompt, "new-tokens": new, "repetitions": repetitions}
        run = run_of("flops-profile", parameters | {"attn-implementation": attention})
        profile = json.loads(run.artifacts["flops_profile.json"])
        tools = ("deepspeed", "calflops", "fvcore", "torch")
        metrics, macs = run.metrics("fwd_flops"), run.metrics("fwd_macs")
        for tool in tools:
            of = lambda tokens, past, logits: expected_flops(tool, attention, batch, tokens, past, logits)
            forward = of(prompt, 0, prompt)
            steps = [of(1, prompt + step, 1) for step in range(new - 1)]
            assert profile["forward"][tool]["flops"] == metrics["forward", tool] == forward, tool
            assert [step[tool]["flops"] for step in profile["decode_steps"]] == steps, tool
            assert profile["decode"][tool]["flops"] == metrics["decode", tool] == sum(steps), tool
            for phase in ("forward", "decode_step"):
                total = {"forward": forward, "decode_step": steps[0]}[phase]
                assert sum(one[phase][tool]["flops"] for one in profile["modules"]) == total, (tool, phase)
            assert macs["forward", tool] == profile["forward"][tool]["macs"]
        # torch's count with eager attention is what the host says is executed.
        eager = expected_flops("torch", "eager", batch, prompt, 0, prompt)
        assert profile["forward"]["llem_executed"]["flops"] == eager
        layer = HIDDEN * HIDDEN // HEADS * (2 * HEADS + 2 * KV_HEADS) + 3 * HIDDEN * WIDTH + 2 * HIDDEN
        assert profile["params"] == LAYERS * layer + HIDDEN + VOCABULARY * HIDDEN
        # A tied LM head is listed with the parameters that it shares.
        assert sum(one["params"] for one in profile["modules"]) == profile["params"] + VOCABULARY * HIDDEN

        generations = [one for one in run.of_kind("generation") if one["window"]["phase"] == "measure"]
        forwards = [one for one in generations if one["window"]["label"] == "forward"]
        generated = [one for one in generations if one["window"]["label"] == "generate"]
        assert len(forwards) == len(generated) == repetitions
        assert len(profile["fwd_latency_s"]) == repetitions
        for seconds, one in zip(profile["fwd_latency_s"], forwards, strict=True):
            assert 0 < seconds <= one["window"]["wall_ns"] * 1e-9
            assert all(not sequence["tokens"] for sequence in one["sequences"])
        sums = []
        for number, one in enumerate(generated):
            ends = [max(times) for times in zip(*(sequence["token_ns"] for sequence in one["sequences"]))]
            times = [(after - before) * 1e-9 for before, after in zip(ends, ends[1:])]
            for step, seconds in zip(profile["decode_steps"], times, strict=True):
                assert_close(step["fwd_latency_s"][number], seconds, "decode step")
            sums.append(math.fsum(times))
        latency = run.metrics("fwd_latency")
        assert_close(latency["forward",], statistics.fmean(profile["fwd_latency_s"]), "fwd_latency")
        assert_close(latency["decode",], statistics.fmean(sums), "fwd_latency of decode")
        for phase in ("forward", "decode"):
            for tool in tools:
                rate = metrics[phase, tool] / latency[phase,]
                assert_close(run.metrics("fwd_flops_per_second")[phase, tool], rate, f"FLOPS of {phase}, {tool}")
        text = run.artifacts["flops_profile.txt"]
        assert "fwd MACs per GPU:" in text and f"(0-{LAYERS - 1}): {LAYERS} x LlamaDecoderLayer(" in text

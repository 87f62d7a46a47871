"""How fast, and for how many joules?"""
import json
import subprocess
import sys

from .clock import best
from .context import Context
from .llem import DEVICE, IS_CUDA, LARGE, METERED, ROOT, SMALL, TORCH_DEVICE, TRIED, Failure, devices, environment, llem, preset

# Runs of scripts/throughput: batches, which take turns, length of a prompt, new tokens, rounds. The context is 1,024 tokens in
# the mean; large batches take long and come last.
DECODE = [("1,2", 24, 8, 2), ("4", 24, 8, 2)] if TRIED else [("1,8,32,64", 960, 128, 3), ("128,256", 960, 128, 2)]
PREFILL = [("1", length, 2, 5) for length in ([32, 64] if TRIED else [1024, 4096, 16384])]
SMALL_RUN = ("1,2", 16, 8, 2) if TRIED else ("1,8,32,64", 256, 128, 3)
# Factor by which llem's peaks may be below torch's.
NEAR_TORCH = 0.9


def peaks(context: Context) -> bool:
    """The copy and products that `llem doctor --peaks` measures reach at least 0.9 of torch's own, timed by CUDA events"""
    measured = measured_peaks("--peaks")
    copy, bf16 = measured["copy_bytes_per_s"], measured["flops_per_s"]["bf16"]
    context.note(**measured)
    torch_copy, torch_bf16 = torch_peaks()
    context.note(torch_copy_bytes_per_s=torch_copy, torch_bf16_flops_per_s=torch_bf16)
    return copy > NEAR_TORCH * torch_copy and bf16 > NEAR_TORCH * torch_bf16


def measured_peaks(*options: str) -> dict:
    """Returns the peaks that `llem doctor --peaks` measured last, or an empty dict."""
    told = next(device["measured_peaks"] for device in devices(*options) if device["id"] == METERED)
    if told is None:
        return {}
    products = {name: rate["value"] for name, rate in told["products"]}
    return dict(copy_bytes_per_s=told["bandwidth"]["value"], flops_per_s=products)


def torch_peaks() -> tuple[float, float]:
    """Returns bytes/s of a copy, read plus written, and FLOP/s of a product in bf16."""
    import torch

    numbers, width = (1 << 30, 8192) if IS_CUDA else (1 << 24, 512)
    source, target = (torch.empty(numbers, dtype=torch.int32, device=TORCH_DEVICE) for _ in range(2))
    samples, repetitions = (5, 50) if IS_CUDA else (2, 1)
    copy_s = best(lambda: target.copy_(source), samples, repetitions)
    a, b = (torch.randn(width, width, dtype=torch.bfloat16, device=TORCH_DEVICE) for _ in range(2))
    product_s = best(lambda: a @ b, samples, repetitions)
    return 2 * numbers * 4 / copy_s, 2 * width**3 / product_s


def speed(context: Context) -> bool:
    """The 8B shape in bf16: decode at batch 1 to 256 and a context of 1,024 (tokens/s; joules a token by NVML's counter;
    MBU, the bytes of weights and KV that a step reads over the measured copy); prefill of 1k, 4k and 16k tokens (tokens/s;
    MFU, the operations of the weights' products over the measured product, and with attention's)
    """
    return measure(context, LARGE, [DECODE[0], *PREFILL, *DECODE[1:]])


def small(context: Context) -> bool:
    """The 1B shape in bf16: decode and prefill at batch 1, 8, 32 and 64, prompts of 256 tokens; likewise"""
    return measure(context, SMALL, [SMALL_RUN])


def measure(context: Context, model: str, runs: list[tuple]) -> bool:
    """Notes a line for each batch of each run, and returns whether all runs succeeded; a failed one does not stop the others."""
    measured = measured_peaks()
    decode, prefill, failed = [], [], []
    for run in runs:
        try:
            record = throughput(context, model, *run)
        except Failure as error:
            failed.append(str(error))
        else:
            prefill += prefill_lines(record, measured, model)
            decode += [] if run in PREFILL else decode_lines(record, measured, model)
        context.note(decode=decode, prefill=prefill, failed=failed)
    return not failed


def throughput(context: Context, model: str, batches: str, prompt: int, new: int, rounds: int) -> dict:
    """Runs scripts/throughput, and returns the model and the measured groups with the rates of each round."""
    out = context.work / f"throughput-{batches}-{prompt}"
    llem(
        "exec", ROOT / "scripts/throughput/throughput.wasm", "--model", model, "--dtype", "bf16", "--device", DEVICE, "--out", out,
        "-p", f"batch={batches}", "-p", f"prompt-tokens={prompt}", "-p", f"new-tokens={new}", "-p", f"rounds={rounds}",
    )
    record = json.loads((out / "run.json").read_text())
    events = map(json.loads, (out / "events.jsonl").read_text().splitlines())
    windows = [event["window"] for event in events if event["event"] == "generation"]
    groups = [group for group in record["groups"] if group["phase"] == "measure"]
    for group in groups:
        group["rounds"] = [
            window["activity"] for window in windows if (window["phase"], window["label"]) == ("measure", group["label"])
        ]
        group.update(batch=int(group["label"].removeprefix("batch ")), prompt=prompt, new=new)
    return dict(model=record["models"][0], groups=groups)


def joules(energy: dict) -> dict:
    """Returns a quantity of a record, or the reason why there is none."""
    if "value" not in energy:
        return dict(joules_unavailable=energy["unavailable"])
    return dict(joules_per_token=energy["value"], joules_uncertainty=energy["uncertainty"])


def decode_lines(run: dict, measured: dict, model: str) -> list[dict]:
    """Returns a line for each batch: the rate of the best round, the joules of all rounds."""
    shape, lines = preset(model), []
    head = shape.get("head_dim", shape["hidden_size"] // shape["num_attention_heads"])
    kv_bytes = 2 * 2 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * head
    for group in run["groups"]:
        batch, steps = group["batch"], group["new"] - 1
        rates = [batch * steps / (activity["decode_ns"] / 1e9) for activity in group["rounds"]]
        context_length = group["prompt"] + group["new"] / 2
        read = run["model"]["decode_weight_bytes"] + batch * context_length * kv_bytes
        line = dict(batch=batch, context=context_length, tokens_per_s=max(rates), rounds=rates)
        if measured:
            line["mbu"] = read * max(rates) / batch / measured["copy_bytes_per_s"]
        lines.append(line | joules(group["decode_energy_per_output_token"]))
    return lines


def prefill_lines(run: dict, measured: dict, model: str) -> list[dict]:
    """Returns a line for each batch, with rates of prefill."""
    shape, lines = preset(model), []
    # The head computes one row for each prompt; the embedding is a lookup.
    tables = (1 if shape["tie_word_embeddings"] else 2) * shape["vocab_size"] * shape["hidden_size"]
    operations = 2 * (run["model"]["parameters"] - tables)
    for group in run["groups"]:
        tokens = group["batch"] * group["prompt"]
        rates = [tokens / (activity["prefill_ns"] / 1e9) for activity in group["rounds"]]
        line = dict(batch=group["batch"], prompt=group["prompt"], tokens_per_s=max(rates), rounds=rates)
        if measured:
            line["mfu"] = max(rates) * operations / measured["flops_per_s"]["bf16"]
            all_operations = group["flops_per_input_token"]["value"]
            line["mfu_with_attention"] = max(rates) * all_operations / measured["flops_per_s"]["bf16"]
        lines.append(line | joules(group["prefill_energy_per_input_token"]))
    return lines


def energy(context: Context) -> bool:
    """Energy of windows over 2 s beside Zeus' of the same windows, or the differences of NVML's counter: scripts/tools/gpu-energy"""
    size = ["--new-tokens", 64, "--rounds", 1, "--shortest", 0.2] if TRIED else ["--new-tokens", 512, "--rounds", 2]
    file = context.folder / "energy.json"
    file.unlink(missing_ok=True)
    command = [
        sys.executable, ROOT / "scripts/tools/gpu-energy", context.folder, "--model", LARGE, "--device", DEVICE,
        "--gpu", DEVICE.removeprefix("cuda:") if IS_CUDA else 0, *size,
    ]
    ran = subprocess.run(list(map(str, command)), env=environment(), capture_output=True, text=True)
    if not file.exists():
        raise Failure(ran.stderr)
    context.note(**json.loads(file.read_text()))
    return ran.returncode == 0


def adapter_cost(context: Context) -> bool:
    """The cost of an adapter of rank 8 on the 1B shape: scripts/lora-overhead"""
    out = context.work / "overhead"
    size = ["-p", "prompt-tokens=8", "-p", "new-tokens=4"] if TRIED else ["-p", "new-tokens=128"]
    llem(
        "exec", ROOT / "scripts/lora-overhead/lora-overhead.wasm", "--model", SMALL, "--dtype", "bf16", "--device", DEVICE,
        "--out", out, "-p", "rounds=3", *size,
    )
    context.note(overhead=json.loads((out / "run.json").read_text())["tables"])
    return True

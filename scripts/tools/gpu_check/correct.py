"""Are the numbers right?"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import threading

from .context import Context
from .llem import (
    DEVICE, FIXTURES, IS_CUDA, METERED, ROOT, TORCH_DEVICE, Failure, devices, environment, generate, llem,
)

# Concurrent processes: each waits mostly for the driver and the compiler.
AT_A_TIME = 8 if IS_CUDA else os.cpu_count()
# Seconds after which one kernel's test, and all of them together, count as hanging.
ALONE_S, TOGETHER_S = (15, 60) if IS_CUDA else (120, 300)
# Largest difference between f32 logits of a GPU and of a CPU, relative to the largest logit.
LARGEST_DIFFERENCE = 1e-3


def doctor(context: Context) -> bool:
    """Lists the libraries that are found, and the card."""
    told = json.loads(llem("doctor", "--json"))
    context.note(doctor=told)
    return any(device["id"] == METERED for device in told["devices"])


def kernels(context: Context) -> bool:
    """Each kernel alone, beside a reference in double precision. Tests that fail or do not run are run again, each in
    a process of its own: a kernel that crashes takes the others of its process along.
    """
    tests = os.environ["GPU_CHECK_TESTS"]
    variables = environment(LLEM_TEST_DEVICE=DEVICE, RUST_TEST_THREADS="4")
    listed = subprocess.run([tests, "--list"], env=variables, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^(\S+): test$", listed, re.MULTILINE)
    together = test(tests, variables, TOGETHER_S)
    print(together)
    left = [name for name in names if not has_passed(name, together)]
    context.note(count=len(names), not_passed_together=left, failed_alone={})
    failed = {}

    def alone(name: str) -> None:
        printed = test(tests, variables, ALONE_S, "--exact", name)
        if not has_passed(name, printed):
            failed[name] = printed[-1000:]
            context.note(failed_alone=dict(failed))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(alone, left))
    return not left


def test(tests: str, variables: dict, longest_s: float, *options: str) -> str:
    """Runs the tests, and returns what they print until they end or are killed."""
    with subprocess.Popen(
        [tests, *options], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        ends = threading.Timer(longest_s, process.kill)
        ends.start()
        printed = process.communicate()[0]
        ends.cancel()
    return printed


def has_passed(name: str, printed: str) -> bool:
    return f"\ntest {name} ... ok\n" in printed


def parity(context: Context) -> bool:
    """A model of 8 layers beside transformers on the same device: f32 within 1e-4, the largest difference over the largest
    logit, and 64 equal greedy tokens; bf16 no further from f32 than 1.25 times transformers' own bf16
    """
    import numpy
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    width = 1024 if IS_CUDA else 128
    config = LlamaConfig(
        vocab_size=32000 if IS_CUDA else 1000, hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=8,
        num_attention_heads=16, num_key_value_heads=4, max_position_embeddings=4096, tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval().to(TORCH_DEVICE)
    folder = context.work / "model"
    model.save_pretrained(folder)
    prompt = torch.randint(2, config.vocab_size, (1, 200), device=TORCH_DEVICE)
    options = dict(max_new_tokens=64, do_sample=False, eos_token_id=None, pad_token_id=0)
    with torch.no_grad():
        tokens = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
        exact = model(tokens[:, :-1]).logits[0].float().cpu().numpy()
        rounded = model.to(torch.bfloat16)(tokens[:, :-1]).logits[0].float().cpu().numpy()

    logits = context.work / "logits.safetensors"
    stepped, f32 = generate(folder, prompt[0].tolist(), 64, logits, "--dtype", "f32")
    _, bf16 = generate(folder, tokens[0, :-1].tolist(), 1, logits, "--dtype", "bf16")
    spread = lambda ours: float(numpy.linalg.norm(ours - exact) / numpy.linalg.norm(exact))
    found = dict(
        torch=torch.__version__,
        f32_largest_difference=largest_difference(f32, exact),
        equal_tokens=stepped == tokens[0, 200:].tolist(),
        bf16_off_f32=spread(bf16),
        transformers_bf16_off_f32=spread(rounded),
    )
    context.note(**found)
    is_near = found["bf16_off_f32"] < 1.25 * found["transformers_bf16_off_f32"]
    return found["equal_tokens"] and found["f32_largest_difference"] < 1e-4 and is_near


def largest_difference(ours, theirs) -> float:
    """Returns the largest difference of two arrays relative to the largest logit, or NaN if a logit is NaN."""
    import numpy

    return float(numpy.abs(ours - theirs).max() / numpy.abs(theirs).max())


def families(context: Context) -> bool:
    """Every folder of tests/fixtures/families, token by token and as one prompt: f32 logits within 1e-3 of what
    transformers gave on a CPU, and its tokens
    """
    folders = sorted((FIXTURES / "families").iterdir())
    return compare(context, {folder.name: (folder, folder, "logits", []) for folder in folders})


def adapters(context: Context) -> bool:
    """Every folder of tests/fixtures/adapters, attached and merged: compared with PEFT in the same way"""
    cases = {}
    for folder in sorted((FIXTURES / "adapters").iterdir()):
        base = FIXTURES / json.loads((folder / "provenance.json").read_text())["base"]
        for mode, options in (("attached", []), ("merged", ["--merge"])):
            cases[f"{folder.name} {mode}"] = (base, folder, mode, ["--adapter", folder, *options])
    return compare(context, cases)


def ranks(context: Context) -> bool:
    """Families over NCCL, by a group of one rank and by as many GPUs as there are, compared in the same way; with several GPUs
    also scripts/parallel-grid on the shape of 1 billion parameters
    """
    gpus = sum(device["id"].startswith("cuda:") for device in devices())
    splits = [[], *(["--tp", count] for count in (2, 4) if count <= gpus), *([["--pp", 2]] if gpus > 1 else [])]
    cases = {}
    for name in ("gpt2", "mixtral", "olmo2", "phi3", "gemma3"):
        folder = FIXTURES / "families" / name
        for split in splits:
            cases[" ".join(map(str, [name, *split]))] = (folder, folder, "logits", split)
    is_right = compare(context, cases, LLEM_COMMUNICATOR="nccl")
    context.note(gpus=gpus)
    if gpus > 1:
        out = context.work / "grid"
        llem(
            "exec", ROOT / "scripts/parallel-grid/parallel-grid.wasm", "--model", "synthetic:llama-3.2-1b", "--dtype", "bf16",
            "--device", DEVICE, "--out", out, "--max-ranks", gpus, "-p", f"ranks={gpus}", "-p", "new-tokens=128", "-p", "rounds=2",
        )
        context.note(grid=json.loads((out / "run.json").read_text())["tables"])
    return is_right


def compare(context: Context, cases: dict[str, tuple[pathlib.Path, pathlib.Path, str, list]], **variables: str) -> bool:
    """Runs cases by name: a model, a folder with expected.safetensors, the name of the logits in it, options."""
    worst, failed = {}, {}

    def case(name: str) -> None:
        try:
            worst[name] = off_fixture(context.work / f"{name}.safetensors", *cases[name], **variables)
        except Exception as error:  # whatever it is, the others go on
            failed[name] = f"{type(error).__name__}: {error}"[-1000:]
        context.note(largest_difference=dict(worst), failed=dict(failed))

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(case, cases))
    return not failed and all(difference < LARGEST_DIFFERENCE for difference in worst.values())


def off_fixture(
    logits: pathlib.Path, model: pathlib.Path, expected: pathlib.Path, name: str, options: list, **variables: str
) -> float:
    """Returns the larger difference of the two ways to compute a fixture's tokens: step by step, and as one prompt."""
    import numpy
    from safetensors.numpy import load_file

    tensors = load_file(expected / "expected.safetensors")
    prompt, tokens, theirs = tensors["prompt"].tolist(), tensors["tokens"].tolist(), tensors[name]
    options = ["--dtype", "f32", *options]
    given, stepped = generate(model, prompt, len(tokens), logits, *options, **variables)
    if given != tokens:
        first = next(index for index, (ours, right) in enumerate(zip(given, tokens)) if ours != right)
        raise Failure(f"token {first} of {len(tokens)} is {given[first]}, and {tokens[first]} is right")
    _, at_once = generate(model, [*prompt, *tokens[:-1]], 1, logits, *options, **variables)
    # numpy's max, because Python's loses NaN.
    return float(numpy.max([largest_difference(stepped, theirs), largest_difference(at_once, theirs)]))

"""transformers on the same card, right after llem."""
from .clock import best, seconds
from .context import Context
from .llem import IS_CUDA, LARGE, TORCH_DEVICE, TRIED, preset

PREFILLS = [32, 64] if TRIED else [1024, 4096]
BATCHES = [1, 2] if TRIED else [1, 16]
PROMPT = 24 if TRIED else 960
# Decode rates come from the difference of two generations.
FEW, MANY = (4, 12) if TRIED else (16, 128)


def transformers(context: Context) -> bool:
    """The 8B shape in bf16: prefill of 1k and 4k tokens, then decode by torch.compile with a static cache at batch 1 and 16;
    results so far are kept if the time runs out
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {key: value for key, value in preset(LARGE).items() if key not in ("architectures", "torch_dtype")}
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(TORCH_DEVICE):
        model = LlamaForCausalLM(LlamaConfig(**shape)).eval()
    torch.set_default_dtype(torch.float32)
    found: dict = dict(prefill=[], decode=[])

    def prompts(batch: int, length: int) -> torch.Tensor:
        return torch.randint(2, shape["vocab_size"], (batch, length), device=TORCH_DEVICE)

    with torch.inference_mode():
        for length in PREFILLS:
            ids = prompts(1, length)
            took = best(lambda: model(ids, use_cache=True, logits_to_keep=1), samples=3)
            found["prefill"].append(dict(batch=1, prompt=length, tokens_per_s=length / took))
            context.note(**found)
        for batch in BATCHES:
            found["decode"].append(decode_line(model, prompts(batch, PROMPT)))
            context.note(**found)
    return True


def decode_line(model, ids) -> dict:
    """Times decode. `generate` itself compiles the decode step if the cache is static."""
    import torch

    def generate(new: int) -> None:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, eos_token_id=None, pad_token_id=0,
            cache_implementation="static",
        )

    # The longest first: the cache keeps its length, so nothing is compiled again.
    compiled_s = seconds(lambda: generate(MANY))
    took = best(lambda: generate(MANY), samples=1) - best(lambda: generate(FEW), samples=1)
    batch, length = ids.shape
    context_length = length + (FEW + MANY) / 2
    rate = batch * (MANY - FEW) / took
    return dict(batch=batch, context=context_length, tokens_per_s=rate, compiled_s=compiled_s, is_compiled=IS_CUDA)

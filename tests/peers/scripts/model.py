"""The model that the scripts of this folder run in each tool: the same random weights for all of them."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]

SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 8192,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
}
"""A Llama of 29 million parameters: large enough that a step is mostly products, small enough for two cores."""


def folder_of(cache: pathlib.Path) -> pathlib.Path:
    """Returns the model's folder, which transformers writes the first time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = cache / "llama-29m"
    if not (folder / "config.json").exists():
        torch.manual_seed(1)
        LlamaForCausalLM(LlamaConfig(**SHAPE)).save_pretrained(folder)
    return folder


def gguf_of(cache: pathlib.Path) -> pathlib.Path:
    """Returns the same weights as a GGUF file in f32."""
    sys.path.insert(0, str(ROOT / "tests/fixtures"))
    import hf_to_gguf

    path = cache / "llama-29m-f32.gguf"
    if not path.exists():
        hf_to_gguf.convert(folder_of(cache), str(path), "f32")
    return path

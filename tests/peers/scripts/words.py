"""A random Llama with a tokenizer and an adapter, for the scripts of this folder that need text."""

import pathlib
import re

import model
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT = 256

SHAPE = model.SHAPE | {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "vocab_size": 4096, "max_position_embeddings": CONTEXT, "initializer_range": 0.05}
"""A Llama of 5 million parameters, with larger weights than the usual 0.02, so that choices differ."""


def corpus() -> list[str]:
    """The project's own documentation, as paragraphs."""
    pages = [path.read_text() for path in sorted((model.ROOT / "docs").rglob("*.md"))]
    return [part for page in pages for part in re.split(r"\n\n+", page) if len(part.split()) > 12]


def folder_of(cache: pathlib.Path) -> pathlib.Path:
    """A random Llama with a tokenizer that adds BOS, and an adapter."""
    folder = cache / "llama-5m-words"
    if (folder / "adapter/adapter_config.json").exists():
        return folder
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special, alphabet = ["<s>", "</s>"], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=SHAPE["vocab_size"], special_tokens=special, initial_alphabet=alphabet)
    bpe.train_from_iterator(corpus(), trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    base = LlamaForCausalLM(LlamaConfig(**SHAPE, **ids))
    base.save_pretrained(folder)
    # B is random too, not zero, so that the adapter changes something.
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "up_proj"], init_lora_weights=False)
    get_peft_model(base, lora).save_pretrained(folder / "adapter")
    return folder

"""Properties of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .devices import Dtype
from .load_options import Parallelism, Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The properties of a loaded model: its architecture, sizes, number formats and parallelism."""

    source: str
    """The source after it was resolved."""
    architecture: str
    """The architecture's name in config.json."""
    digest: str
    """A digest of the config and the weights. Tokenizer and chat template are not included."""
    parameters: int
    """The number of parameters. A tied LM head counts once."""
    parameters_without_embeddings: int
    """The number of parameters without the token embedding and learned positions (transformers'
    `num_parameters(exclude_embeddings=True)`)."""
    weight_bytes: int
    """The memory of the weights on all ranks, in bytes."""
    decode_weight_bytes: int
    """The weights that a decode step reads, if it reads every expert, in bytes. Lookup tables, of which a step reads
    one row for each token, are not included."""
    dtype: Dtype
    """The number format of weights. In a quantised model, the format of the weights that are not quantised."""
    kv_dtype: Dtype
    """The number format of cached keys and values."""
    quantization: str | None
    """The formats of quantised weights, in ggml's names, the one with the most bytes first."""
    device: str
    """The id of the device. For a split model, the device of the first rank."""
    threads: int
    """The number of CPU threads that the model's ranks on this machine share."""
    parallelism: Parallelism
    """How the model is split over ranks."""
    ranks: tuple[Rank, ...]
    """The model's ranks. There is one unless the model is split."""
    context_length: int
    """The maximum length of prompt and output together, in tokens."""
    vocab_size: int
    """The number of logits of a position."""
    layers: int
    """The number of decoder layers."""
    hidden_size: int
    """The width of the residual stream."""
    intermediate_size: int | None
    """The inner width of a dense MLP. `None` if the model has only experts."""
    heads: int
    """The number of query heads."""
    kv_heads: int
    """The number of key and value heads."""
    head_size: int
    """The width of a head."""
    experts: int
    """The number of experts in a layer. It is 0 in a dense model."""
    experts_per_token: int
    """The number of experts that run for a token. It is 0 in a dense model."""
    expert_size: int | None
    """The inner width of an expert. `None` in a dense model."""
    has_tied_embeddings: bool
    """Whether the LM head and the token embedding are one tensor."""
    attention_windows: tuple[int | None, ...]
    """The attention window of each layer, in tokens. `None` means that the layer attends to all tokens."""
    kv_bytes_per_token: int
    """The cached keys and values of a token, in bytes, over all layers and all ranks of the replica that runs it."""
    eos_tokens: tuple[int, ...]
    """The tokens that end a sequence."""
    has_tokenizer: bool
    """Whether the model has a tokenizer."""
    load_time: int
    """The time from the call until the model was ready, without the time of computing its digest, in ns."""

    @classmethod
    def from_host(cls, host: Any) -> ModelInfo:
        """Reads the properties of a model of the bindings."""
        parallelism = host.parallelism()
        return cls(
            source=host.source(),
            architecture=host.architecture(),
            digest=host.digest(),
            parameters=host.parameters(),
            parameters_without_embeddings=host.parameters_without_embeddings(),
            weight_bytes=host.weight_bytes(),
            decode_weight_bytes=host.decode_weight_bytes(),
            dtype=Dtype(host.dtype()),
            kv_dtype=Dtype(host.kv_dtype()),
            quantization=host.quantization(),
            device=host.device(),
            threads=host.threads(),
            parallelism=Parallelism(parallelism.tensor, parallelism.pipeline, parallelism.data),
            ranks=tuple(Rank(one.device, one.first_layer, one.layers, one.weight_bytes) for one in host.ranks()),
            context_length=host.context_length(),
            vocab_size=host.vocab_size(),
            layers=host.layers(),
            hidden_size=host.hidden_size(),
            intermediate_size=host.intermediate_size(),
            heads=host.heads(),
            kv_heads=host.kv_heads(),
            head_size=host.head_size(),
            experts=host.experts(),
            experts_per_token=host.experts_per_token(),
            expert_size=host.expert_size(),
            has_tied_embeddings=host.has_tied_embeddings(),
            attention_windows=tuple(host.attention_windows()),
            kv_bytes_per_token=host.kv_bytes_per_token(),
            eos_tokens=tuple(host.eos_tokens()),
            has_tokenizer=host.tokenizer() is not None,
            load_time=host.load_time(),
        )

"""Information about an attached LoRA adapter."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """A snapshot of an attached LoRA adapter. It does not change when the adapter is merged or detached later."""

    name: str
    """The name by which requests choose the adapter."""
    source: str
    """The source after it was resolved."""
    digest: str
    """A digest of the adapter's config and tensors, with the same prefixes as a model's digest."""
    base_model: str | None
    """The model that the adapter's config says it was trained on."""
    rank: int
    """The highest rank of the adapter's factors. It is 0 if the adapter only replaces whole weights."""
    is_dora: bool
    """Whether the adapter splits weights into magnitude and direction (DoRA)."""
    modules: int
    """The number of modules that the adapter changes."""
    parameters: int
    """The number of parameters in the adapter."""
    weight_bytes: int
    """The memory that the parameters take, in bytes."""
    flops_per_token: float
    """Operations that the unmerged adapter adds for each token that is run, in FLOP."""
    flops_per_logits: float
    """Operations that the unmerged adapter adds for each position whose logits are computed, in FLOP."""
    is_merged: bool
    """Whether the adapter is merged into the weights."""
    attach_time: int
    """The time that attaching took, in ns."""

    @classmethod
    def from_host(cls, host: Any) -> AdapterInfo:
        """Reads an adapter of the bindings, whose functions have the names of the fields."""
        return cls(*(getattr(host, field.name)() for field in fields(cls)))

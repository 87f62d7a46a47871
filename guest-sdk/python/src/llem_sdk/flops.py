"""Floating-point operations, computed from the model's shape.

A multiply-add counts as two operations. Only matrix products count, as in the literature (Kaplan et al., arXiv
2001.08361, table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _host
from ._host import call
from .model import Model


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a static batch of equal sequences."""

    batch: int
    """The number of sequences."""
    prompt_tokens: int
    """The prompt tokens of each sequence."""
    new_tokens: int
    """The new tokens of each sequence. The first comes from prefill, and each later one is a decode step."""
    all_logits: bool = False
    """Whether logits are computed for all positions of a prompt, as eager frameworks do by default. Otherwise only the
    last position has logits."""
    adapter: str | None = None
    """The attached adapter. `None` means the base weights."""


@dataclass(frozen=True, slots=True)
class Part:
    """The operations of a part of the model."""

    name: str
    """The name of the part: `attention-projections`, `attention`, `mlp`, `lm-head`, `adapter`, or a module."""
    prefill: float
    """Operations of prompt processing, up to the first token, in FLOP."""
    decode: float
    """Operations of all decode steps, in FLOP."""


@dataclass(frozen=True, slots=True)
class FlopsByPart:
    """Operations by part of the model, in FLOP.

    >>> flops = FlopsByPart((Part("mlp", 6e9, 2e9), Part("attention", 1e9, 5e8)))
    >>> flops.prefill("mlp"), flops.decode("adapter"), flops.total()
    (6000000000.0, 0.0, 9500000000.0)
    """

    parts: tuple[Part, ...]
    """The parts, in the host's order."""

    def prefill(self, name: str) -> float:
        """Returns the operations of prompt processing in a part. Returns 0 if there is no such part."""
        return next((part.prefill for part in self.parts if part.name == name), 0.0)

    def decode(self, name: str) -> float:
        """Returns the operations of all decode steps in a part. Returns 0 if there is no such part."""
        return next((part.decode for part in self.parts if part.name == name), 0.0)

    def total(self) -> float:
        """Returns the operations of all parts, prefill and decode together."""
        return sum(part.prefill + part.decode for part in self.parts)


@dataclass(frozen=True, slots=True)
class Approximation:
    """The well-known approximation: two operations for each token and active parameter."""

    active_parameters: float
    """The number of active parameters: those that a token is multiplied with. Embeddings, the LM head, and experts that
    do not run for the token are not included."""
    prefill: float
    """Operations of prompt processing, in FLOP."""
    decode: float
    """Operations of all decode steps, in FLOP."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The operations of a request, counted in several ways."""

    needed: FlopsByPart
    """The operations that the result needs: attention counts the keys that each query sees."""
    executed: FlopsByPart
    """The operations that eager frameworks run: attention over all keys, masked afterwards."""
    modules: FlopsByPart
    """The executed operations of each module, by its name in transformers."""
    approximation: Approximation
    """The well-known approximation: two operations for each parameter and token."""


def estimate(model: Model, shape: Shape) -> Estimate:
    """Counts the operations of a request shape on a loaded model.

    Fails with `INVALID_ARGUMENT` if the shape does not fit the context, and with `NOT_FOUND` if the adapter is not
    attached.
    """
    on_host = _host.flops.Shape(shape.batch, shape.prompt_tokens, shape.new_tokens)
    on_host.set_all_logits(shape.all_logits)
    on_host.set_adapter(shape.adapter)
    counted = call(_host.flops.Estimate.of, model.resource, on_host)
    approximation = counted.approximation()
    return Estimate(
        needed=_by_part(counted.needed()),
        executed=_by_part(counted.executed()),
        modules=_by_part(counted.modules()),
        approximation=Approximation(approximation.active_parameters, approximation.prefill, approximation.decode),
    )


def _by_part(parts: Any) -> FlopsByPart:
    return FlopsByPart(tuple(Part(one.name, one.prefill, one.decode) for one in parts))

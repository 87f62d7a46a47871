"""Options for loading a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import _host
from .devices import Dtype


@dataclass(frozen=True, slots=True)
class Parallelism:
    """The numbers of ranks that a model is split over."""

    tensor: int = 1
    """The number of ranks that share every matrix product."""
    pipeline: int = 1
    """The number of stages that share the layers."""
    data: int = 1
    """The number of replicas that share the requests."""

    def ranks(self) -> int:
        """Returns the total number of ranks.

        >>> Parallelism(tensor=2, pipeline=2).ranks()
        4
        """
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank of a loaded model."""

    device: str
    """The id of the rank's device. For a rank on another machine, the machine's address comes first:
    `10.0.0.2/cuda:0`."""
    first_layer: int
    """The index of the rank's first layer."""
    layers: int
    """The number of layers of the rank."""
    weight_bytes: int
    """The weights of the rank, in bytes."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options for loading a model: source, number formats, device and parallelism.

    For an option that is `None` the command line decides.
    """

    model: str | None = None
    """The name or source of a granted model, or a synthetic one (`synthetic:PRESET`), which needs no grant."""
    dtype: Dtype | None = None
    """The number format of weights and activations."""
    kv_dtype: Dtype | None = None
    """The number format of cached keys and values. `None` means the format of activations."""
    device: str | None = None
    """The id of a device that was granted with `--device`."""
    threads: int | None = None
    """The number of CPU threads that the model's ranks on this machine share."""
    parallelism: Parallelism | None = None
    """The number of ranks that the model is split over. A script may use as many ranks as were granted."""
    whole_experts: bool = False
    """Whether each expert is placed whole on one tensor rank. Otherwise every expert is split over all of them."""
    sharded_adapters: bool = False
    """Whether both factors of an adapter are split over the tensor ranks. Otherwise only one factor is."""
    microbatches: int | None = None
    """The number of microbatches that a pass is split into, so that pipeline stages work at the same time. `None` means
    one for each stage, provided that there are enough rows for it to pay off."""
    seed: int | None = None
    """The seed of synthetic weights. `None` means the run's seed."""

    def to_host(self) -> Any:
        """Converts the options to the bindings."""
        options = _host.models.LoadOptions()
        if self.model is not None:
            options.set_model(self.model)
        if self.dtype is not None:
            options.set_dtype(str(self.dtype))
        if self.kv_dtype is not None:
            options.set_kv_dtype(str(self.kv_dtype))
        if self.device is not None:
            options.set_device(self.device)
        if self.threads is not None:
            options.set_threads(self.threads)
        if self.parallelism is not None:
            options.set_ranks(self.parallelism.tensor, self.parallelism.pipeline, self.parallelism.data)
        if self.whole_experts:
            options.set_whole_experts(True)
        if self.sharded_adapters:
            options.set_sharded_adapters(True)
        if self.microbatches is not None:
            options.set_microbatches(self.microbatches)
        if self.seed is not None:
            options.set_seed(self.seed)
        return options

"""The share of a device's peak rate that a trial reached.

- MFU, model FLOP utilisation (Chowdhery et al., arXiv 2204.02311, appendix B): here for prefill or decode, from the
  operations that are needed. `Trial.prefill_mfu`, `Trial.decode_mfu` and the same functions of `Measurement` return it.
- MBU, model bandwidth utilisation: bytes of weights and KV cache per time per output token, divided by the peak
  bandwidth (Databricks, "LLM Inference Performance Engineering: Best Practices", 2023). `Trial.decode_mbu` returns it.
"""

from __future__ import annotations

from .devices import Device, Dtype, Peaks, list_devices
from .model_info import ModelInfo
from .quantity import Reading, Unavailable


def find_model_device(model: ModelInfo) -> Device | None:
    """Returns the device that holds the model's first rank, or `None` if it is not a device of this machine."""
    return next((device for device in list_devices() if device.id == model.device), None)


def peak_rate(peaks: Peaks, dtype: Dtype) -> Reading:
    """Returns the peak rate of matrix products in a number format, in FLOP/s, or the reason why it is not known.

    >>> peaks = Peaks("a datasheet", (), Unavailable("not in the datasheet"))
    >>> peak_rate(peaks, Dtype.F32)
    Unavailable(reason='a datasheet has no peak in f32')
    """
    for peak in peaks.products:
        if peak.dtype == dtype:
            return peak.rate
    return Unavailable(f"{peaks.origin} has no peak in {dtype}")

"""Times torch operations, on a GPU by CUDA events."""
import time
import typing

from .llem import IS_CUDA


def seconds(work: typing.Callable[[], object], repetitions: int = 1) -> float:
    """Returns the mean time of consecutive repetitions, s."""
    if IS_CUDA:
        import torch

        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        for _ in range(repetitions):
            work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3 / repetitions
    began = time.perf_counter()
    for _ in range(repetitions):
        work()
    return (time.perf_counter() - began) / repetitions


def best(work: typing.Callable[[], object], samples: int, repetitions: int = 1) -> float:
    """Returns the shortest of several such means, because disturbances only slow a machine down. A first one warms up."""
    return min([seconds(work, repetitions) for _ in range(samples + 1)][1:])

"""Floating-point operations of a language model, counted from its shapes, and the machine's peak rate.

Only matrix products count, with 2 operations for each multiplication. The count depends on the method only,
not on how it is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

PASSES = 3
"""Cost of a training step in forward passes: one forward, two backward."""

_SIZES = (256, 512, 1024, 2048)
_SECONDS = 0.3  # spent on products of each size


def forward_flops(arrays: Mapping[str, npt.NDArray[np.float32]]) -> int:
    """Return the operations of a recurrent language model for one token, from input to next-token scores.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The weights, as `LanguageModel.arrays` returns them. A tied embedding counts as the output layer;
        looking up a row costs nothing.
    """
    recurrent = [array for name, array in arrays.items() if "weight_ih" in name or "weight_hh" in name]
    output = arrays.get("output.weight", arrays["embedding.weight"])
    projection = [array for name, array in arrays.items() if name == "projection.weight"]
    return 2 * sum(array.size for array in [*recurrent, *projection, output])


def matrix_peak(threads: int, sizes: Sequence[int] = _SIZES) -> dict[str, float]:
    """Return the best GFLOP/s of float32 products of square matrices by torch and by numpy.

    Parameters
    ----------
    threads : int
        Threads of each product.
    sizes : sequence of int
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            return {
                "torch": max(
                    _rate(size, lambda a, b: torch.mm(torch.from_numpy(a), torch.from_numpy(b)))
                    for size in sizes
                ),
                "numpy": max(_rate(size, np.matmul) for size in sizes),
            }
    finally:
        torch.set_num_threads(before)


def _rate(size: int, product: Callable[[npt.NDArray[np.float32], npt.NDArray[np.float32]], object]) -> float:
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    product(one, other)
    best, until = np.inf, time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        product(one, other)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9

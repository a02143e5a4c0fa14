"""The threads of torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch compute in the calling thread alone; also a decorator.

    Models train in threads of their own, so the calling thread's share is small. In several threads, torch
    would start the pool of OpenMP. A forked child inherits the pool without its threads, and waits for them
    for ever.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""The masked loss of language models, in nats per token (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_SLAB = 1 << 18  # logits computed at a time: 1 MB, so that they stay in cache


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="none")


def token_nll(
    values: Tensor,
    targets: Tensor,
    mask: Tensor,
    nll_of: Callable[[Tensor, Tensor], Tensor] = _cross_entropy,
) -> Tensor:
    """Return the negative log-probability of each target token, zero where the mask is.

    Sparse softmax cross-entropy per step times the mask, unreduced.

    Parameters
    ----------
    values : Tensor, (B, T, V or H)
        Logits, or what `nll_of` reads.
    targets : Tensor of int64, (B, T)
    mask : Tensor of bool, (B, T)
        True where a token is. What stands elsewhere has part neither in the result nor in a gradient.
    nll_of : callable, optional
        From (tokens, H) and targets (tokens,) to nats (tokens,); called for real steps only, so padding
        costs nothing.

    Returns
    -------
    Tensor, (B, T)
        Nats.
    """
    if mask.all():  # texts of one length, as in most batches: nothing to pick out
        return nll_of(values.flatten(0, 1), targets.flatten()).view_as(targets)
    nll = values.new_zeros(targets.shape)
    nll[mask] = nll_of(values[mask], targets[mask])
    return nll


def linear_nll(values: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of a linear layer's softmax with each target, unreduced.

    What ``cross_entropy(linear(values, weight, bias), targets)`` is, but some rows at a time: only one matrix
    of all rows and words is ever held, and it is read from memory once forward and once backward.

    Parameters
    ----------
    values : Tensor, (N, H)
    weight : Tensor, (V, H)
    bias : Tensor, (V,)
    targets : Tensor of int64, (N,)

    Returns
    -------
    Tensor, (N,)
        Nats.
    """
    nll: Tensor = _LinearNll.apply(values, weight, bias, targets)  # type: ignore[no-untyped-call]
    return nll


class _LinearNll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        keep = any(ctx.needs_input_grad)
        probabilities = values.new_empty(len(values) if keep else 0, len(weight))
        nll = values.new_empty(len(values))
        for rows in _slabs(values, weight):
            logits = torch.addmm(bias, values[rows], weight.T)
            of_target = logits.gather(1, targets[rows, None])[:, 0]
            top = logits.amax(dim=1)
            p = torch.softmax(logits, dim=1, out=probabilities[rows] if keep else None)
            # The likeliest word's probability gives the normaliser: the target's own may be rounded to 0.
            nll[rows] = top - p.amax(dim=1).log() - of_target
        ctx.save_for_backward(values, weight, targets, probabilities)
        return nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None]:
        values, weight, targets, probabilities = ctx.saved_tensors
        of_nll = gradients[0][:, None]
        of_values = torch.empty_like(values)
        of_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        of_bias = weight.new_zeros(len(weight))
        for rows in _slabs(values, weight):
            of_logits = probabilities[rows] * of_nll[rows]
            of_logits.scatter_add_(1, targets[rows, None], -of_nll[rows])
            torch.mm(of_logits, weight, out=of_values[rows])
            if of_weight is not None:  # else many labels share it, and leave it as it is
                of_weight.addmm_(of_logits.T, values[rows])
            of_bias += of_logits.sum(dim=0)
        return of_values, of_weight, of_bias, None


def _slabs(values: Tensor, weight: Tensor) -> Iterator[slice]:
    size = max(1, _SLAB // len(weight)) if values.device.type == "cpu" else max(1, len(values))
    for start in range(0, len(values), size):
        yield slice(start, start + size)


def summed_nll(nll: Tensor, mask: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the sum of `token_nll` over real tokens, and that of their weights: the mean is one division.

    Parameters
    ----------
    nll : Tensor, (B, T)
        Nats, zero where no token is.
    mask : Tensor of bool, (B, T)
    weights : Tensor, (B,), optional
        Weight of each text.
    """
    if weights is None:
        return nll.sum(), mask.sum()
    return (nll.sum(dim=1) * weights).sum(), (mask.sum(dim=1) * weights).sum()

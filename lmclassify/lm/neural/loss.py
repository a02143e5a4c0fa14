"""The masked loss of language models, in nats per token (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CACHED_LOGITS = 1 << 18
"""Logits computed at a time on a CPU: 1 MB, which stays in the processor's cache."""


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="none")


def token_nll(
    values: Tensor,
    targets: Tensor,
    mask: Tensor,
    nll_of: Callable[[Tensor, Tensor], Tensor] = _cross_entropy,
) -> Tensor:
    """Return the negative log-probability of each target token, zero where the mask is False.

    This is the sparse softmax cross-entropy of each step times the mask, without reduction.

    Parameters
    ----------
    values : Tensor, (B, T, V or H)
        Logits, or the input of `nll_of`.
    targets : Tensor of int64, (B, T)
    mask : Tensor of bool, (B, T)
        True at tokens. Other values influence neither the result nor any gradient.
    nll_of : callable, optional
        Computes nats (tokens,) from values (tokens, H) and targets (tokens,). Called with tokens only, so
        that padding costs nothing.

    Returns
    -------
    Tensor, (B, T)
        Nats.
    """
    if mask.all():  # all texts have one length, as in most batches
        return nll_of(values.flatten(0, 1), targets.flatten()).view_as(targets)
    nll = values.new_zeros(targets.shape)
    nll[mask] = nll_of(values[mask], targets[mask])
    return nll


def linear_nll(
    values: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, max_logits: int = CACHED_LOGITS
) -> Tensor:
    """Return the cross-entropy of a linear layer's softmax with each target, without reduction.

    Equals ``cross_entropy(linear(values, weight, bias), targets)``, computed in blocks of rows. For gradients
    one matrix of all rows and tokens is held, which is read from memory once forward and once backward.

    Parameters
    ----------
    values : Tensor, (N, H)
    weight : Tensor, (V, H)
    bias : Tensor, (V,)
    targets : Tensor of int64, (N,)
    max_logits : int
        Logits per block on a CPU.

    Returns
    -------
    Tensor, (N,)
        Nats.
    """
    keep = torch.is_grad_enabled()  # within `forward` gradients are never enabled
    nll: Tensor = _LinearNll.apply(values, weight, bias, targets, max_logits, keep)  # type: ignore[no-untyped-call]
    return nll


class _LinearNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, max_logits: int, keep: bool
    ) -> Tensor:
        ctx.max_logits = max_logits
        probabilities = values.new_empty(len(values) if keep else 0, len(weight))
        nll = values.new_empty(len(values))
        for rows in _blocks(values, weight, max_logits):
            logits = torch.addmm(bias, values[rows], weight.T)
            target_logits = logits.gather(1, targets[rows, None])[:, 0]
            top = logits.amax(dim=1)
            p = torch.softmax(logits, dim=1, out=probabilities[rows] if keep else None)
            # The largest probability gives the normalizer, as the target's own may be rounded to 0.
            nll[rows] = top - p.amax(dim=1).log() - target_logits
        ctx.save_for_backward(values, weight, targets, probabilities)
        return nll

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, Tensor, None, None, None]:
        values, weight, targets, probabilities = ctx.saved_tensors
        nll_gradient = gradients[0][:, None]
        values_gradient = torch.empty_like(values)
        weight_gradient = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        bias_gradient = weight.new_zeros(len(weight))
        for rows in _blocks(values, weight, ctx.max_logits):
            logits_gradient = probabilities[rows] * nll_gradient[rows]
            logits_gradient.scatter_add_(1, targets[rows, None], -nll_gradient[rows])
            torch.mm(logits_gradient, weight, out=values_gradient[rows])
            if weight_gradient is not None:  # frozen where many labels share the weight
                weight_gradient.addmm_(logits_gradient.T, values[rows])
            bias_gradient += logits_gradient.sum(dim=0)
        return values_gradient, weight_gradient, bias_gradient, None, None, None


def _blocks(values: Tensor, weight: Tensor, max_logits: int) -> Iterator[slice]:
    size = max(1, max_logits // len(weight)) if values.device.type == "cpu" else max(1, len(values))
    for start in range(0, len(values), size):
        yield slice(start, start + size)


def summed_nll(nll: Tensor, mask: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the sum of `token_nll` and the sum of the tokens' weights; their quotient is the mean.

    Parameters
    ----------
    nll : Tensor, (B, T)
        Nats, zero at padding.
    mask : Tensor of bool, (B, T)
    weights : Tensor, (B,), optional
        Weight of each text.
    """
    if weights is None:
        return nll.sum(), mask.sum()
    return (nll.sum(dim=1) * weights).sum(), (mask.sum(dim=1) * weights).sum()

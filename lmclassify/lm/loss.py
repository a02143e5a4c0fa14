"""The masked loss of language models, in nats per token (torch)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional


def _as_they_are(values: Tensor) -> Tensor:
    return values


def token_nll(
    values: Tensor, targets: Tensor, mask: Tensor, to_logits: Callable[[Tensor], Tensor] = _as_they_are
) -> Tensor:
    """Return the negative log-probability of each target token, zero where the mask is.

    Sparse softmax cross-entropy per step times the mask, unreduced.

    Parameters
    ----------
    values : Tensor, (B, T, V or H)
        Logits, or what `to_logits` makes logits of.
    targets : Tensor of int64, (B, T)
    mask : Tensor of bool, (B, T)
        True where a token is. What stands elsewhere has part neither in the result nor in a gradient.
    to_logits : callable, optional
        From (tokens, H) to (tokens, V); called for real steps only, so padding costs nothing.

    Returns
    -------
    Tensor, (B, T)
        Nats.
    """
    nll = values.new_zeros(targets.shape)
    nll[mask] = functional.cross_entropy(to_logits(values[mask]), targets[mask], reduction="none")
    return nll


def mean_nll(nll: Tensor, mask: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of `token_nll` over real tokens: sums first, one division.

    Parameters
    ----------
    nll : Tensor, (B, T)
        Nats, zero where no token is.
    mask : Tensor of bool, (B, T)
    weights : Tensor, (B,), optional
        Weight of each text.
    """
    if weights is None:
        return nll.sum() / mask.sum()
    return (nll.sum(dim=1) * weights).sum() / (mask.sum(dim=1) * weights).sum()

"""Backward language models, alone or paired with forward ones (numpy).

A bidirectional network would see the token that it predicts, so it would not be a language model. A backward
language model is a left-to-right model of reversed texts (beginning of text, the tokens from last to first,
end of text). It gives every text a probability, as a forward model does:

    p(text) = product over k of p(t_k | t_k+1, ..., t_n) * p(end of text | t_1, ..., t_n)

The log-likelihood of a pair is the mean of both, so its perplexity is the geometric mean of their
perplexities. As the geometric mean of two distributions sums to at most 1, the perplexity of a pair is never
too low.

Shapes: B texts, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.text.sequences import Batch, Ids, padding_mask, sequence_lengths


@dataclass(frozen=True)
class DirectedLanguageModel:
    """A backward language model, alone or with a forward one.

    Parameters
    ----------
    end_id : int
        End-of-text, which stays last in a reversed text.
    """

    forward: NumpyLanguageModel | None
    backward: NumpyLanguageModel
    end_id: int

    @property
    def vocab_size(self) -> int:
        """Number of token ids, padding included."""
        return int(self.backward.vocab_size)

    @property
    def cell(self) -> str:
        """Cell of the layers."""
        return self.backward.cell

    @property
    def num_parameters(self) -> int:
        """Number of weights."""
        return self.backward.num_parameters + (0 if self.forward is None else self.forward.num_parameters)


AnyLanguageModel = NumpyLanguageModel | DirectedLanguageModel


def one_way(model: AnyLanguageModel) -> list[NumpyLanguageModel]:
    """Return the language models that a model consists of, each of one direction."""
    if isinstance(model, NumpyLanguageModel):
        return [model]
    return [part for part in (model.forward, model.backward) if part is not None]


def directed(
    forward: Sequence[NumpyLanguageModel] | None, backward: Sequence[NumpyLanguageModel] | None, end_id: int
) -> list[AnyLanguageModel]:
    """Return each label's model, of one direction if the other's models are None, else of both."""
    if backward is None:
        return list(forward or [])
    forward_or_none = [None] * len(backward) if forward is None else forward
    return [DirectedLanguageModel(*pair, end_id) for pair in zip(forward_or_none, backward, strict=True)]


def reversed_batch(batch: Batch, end_id: int) -> tuple[Batch, npt.NDArray[np.intp]]:
    """Return the batch of the reversed texts, and the order (B, T) that maps steps of one batch to the other.

    ``np.take_along_axis(values, order, axis=1)`` arranges values of one batch's targets as in the other
    batch.
    """
    targets = batch.targets
    steps = np.arange(targets.shape[1])
    ended = (targets == end_id).any(axis=1)  # False where a text was cut or continues
    tokens = (sequence_lengths(targets) - ended)[:, np.newaxis]
    order = np.where(steps < tokens, tokens - 1 - steps, steps).astype(np.intp)
    reversed_targets: Ids = np.take_along_axis(targets, order, axis=1)
    inputs = np.concatenate([batch.inputs[:, :1], reversed_targets[:, :-1]], axis=1) * padding_mask(targets)
    return Batch(inputs, reversed_targets), order

"""Language models that read a text from its end, alone or beside ones that read it forward (numpy).

A network that reads both ways at once would see the token that it predicts, and so be no language model. Here
each model is one: a backward model is a left-to-right model of reversed texts (beginning of text, the
tokens from last to first, end of text), which gives every text a probability as a forward one does:

    p(text) = product over k of p(t_k | t_k+1, ..., t_n) * p(end of text | t_1, ..., t_n)

Of a pair, a text's log-likelihood is the mean of the two (the logarithm of their geometric mean). So the
perplexity of a pair is the geometric mean of its models' perplexities; as a geometric mean of two
distributions sums to at most 1, it flatters no pair.

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
    """A backward language model, alone or with a forward one."""

    forward: NumpyLanguageModel | None
    backward: NumpyLanguageModel
    end_id: int
    """Of end of text, which stays last."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids, padding included."""
        return int(self.backward.vocab_size)

    @property
    def cell(self) -> str:
        """What the layers are made of."""
        return self.backward.cell

    @property
    def num_parameters(self) -> int:
        """How many weights there are."""
        return self.backward.num_parameters + (0 if self.forward is None else self.forward.num_parameters)


AnyLanguageModel = NumpyLanguageModel | DirectedLanguageModel


def one_way(model: AnyLanguageModel) -> list[NumpyLanguageModel]:
    """Return the language models, each of one direction, that a model is made of."""
    if isinstance(model, NumpyLanguageModel):
        return [model]
    return [part for part in (model.forward, model.backward) if part is not None]


def directed(
    forward: Sequence[NumpyLanguageModel] | None, backward: Sequence[NumpyLanguageModel] | None, end_id: int
) -> list[AnyLanguageModel]:
    """Return each label's model: of one direction, where the other's are None, or of both."""
    if backward is None:
        return list(forward or [])
    ahead = [None] * len(backward) if forward is None else forward
    return [DirectedLanguageModel(*pair, end_id) for pair in zip(ahead, backward, strict=True)]


def reversed_batch(batch: Batch, end_id: int) -> tuple[Batch, npt.NDArray[np.intp]]:
    """Return reversed texts, and the order (B, T) of the targets in the others' places.

    Taken in this order, along the steps, what belongs to the targets of one batch stands as in the other.
    """
    targets = batch.targets
    steps = np.arange(targets.shape[1])
    ended = (targets == end_id).any(axis=1)  # not where a text was cut, or goes on
    tokens = (sequence_lengths(targets) - ended)[:, np.newaxis]
    order = np.where(steps < tokens, tokens - 1 - steps, steps).astype(np.intp)
    turned: Ids = np.take_along_axis(targets, order, axis=1)
    inputs = np.concatenate([batch.inputs[:, :1], turned[:, :-1]], axis=1) * padding_mask(targets)
    return Batch(inputs, turned), order

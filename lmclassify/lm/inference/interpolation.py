"""Language models that process texts token by token, and the interpolation of several (numpy).

Shapes: B texts, T steps, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lmclassify.text.sequences import Ids

Array = npt.NDArray[np.float64]
State = Any
"""Arrays with one row per text, in lists or tuples."""


class NextTokenModel(Protocol):
    """A language model that gives the probability of every next token."""

    def read(self, ids: Ids, state: State = None) -> tuple[Array, State]:
        """Return the log-probabilities of the token after some texts, (B, V) nats, and the state after them.

        Parameters
        ----------
        ids : ndarray of int, (B, T)
            Without padding.
        state : State, optional
            State after an earlier call; by default `ids` begin the texts.
        """


class Interpolation:
    """The interpolation of several language models: each token's probability is the mean of theirs.

    Parameters
    ----------
    models : sequence of NextTokenModel
        Models over one vocabulary.
    """

    def __init__(self, models: Sequence[NextTokenModel]) -> None:
        self._models = list(models)

    def read(self, ids: Ids, state: State = None) -> tuple[Array, State]:
        """See `NextTokenModel`."""
        states = [None] * len(self._models) if state is None else state
        results = [model.read(ids, before) for model, before in zip(self._models, states, strict=True)]
        log_p: Array = np.logaddexp.reduce([log_probs for log_probs, _ in results]) - np.log(len(results))
        return log_p, [after for _, after in results]


def take(state: State, rows: npt.NDArray[np.intp]) -> State:
    """Return the rows of a state, as a state."""
    if isinstance(state, (list, tuple)):
        return [take(part, rows) for part in state]
    return state[rows]

"""Language models read token by token, and several as one (numpy).

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
"""Arrays with a row a text, in lists or tuples."""


class NextTokenModel(Protocol):
    """A language model that gives every next token's probability."""

    def read(self, ids: Ids, state: State = None) -> tuple[Array, State]:
        """Return log-probabilities of the token after some texts, (B, V) nats, and the state there.

        Parameters
        ----------
        ids : ndarray of int, (B, T)
            Without padding.
        state : State, optional
            Where an earlier call left off; without it, `ids` begin the texts.
        """


class Interpolation:
    """Several language models as one: each token's probability is the mean of theirs.

    Parameters
    ----------
    models : sequence of NextTokenModel
        Over one vocabulary.
    """

    def __init__(self, models: Sequence[NextTokenModel]) -> None:
        self._models = list(models)

    def read(self, ids: Ids, state: State = None) -> tuple[Array, State]:
        """See `NextTokenModel`."""
        states = [None] * len(self._models) if state is None else state
        read = [model.read(ids, before) for model, before in zip(self._models, states, strict=True)]
        log_p: Array = np.logaddexp.reduce([of for of, _ in read]) - np.log(len(read))
        return log_p, [after for _, after in read]


def take(state: State, rows: npt.NDArray[np.intp]) -> State:
    """Return a state of other texts, each of them at the place of one of the old ones."""
    if isinstance(state, (list, tuple)):
        return [take(part, rows) for part in state]
    return state[rows]

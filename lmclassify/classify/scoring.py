"""The hot path: texts x labels -> log-probabilities (numpy).

Shapes: n texts, K labels.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from lmclassify.engines.local import map_ordered
from lmclassify.lm.inference import NumpyLanguageModel
from lmclassify.text.sequences import Ids, batches_by_length, make_batch

_BATCH = 256
_TOKENS_AT_A_TIME = 1 << 14  # long texts take no more memory than short ones
_blas_lock = threading.Lock()


def log_likelihoods(
    models: Sequence[NumpyLanguageModel],
    sequences: Sequence[Ids],
    *,
    max_length: int | None = None,
    threads: int = 1,
) -> npt.NDArray[np.float64]:
    """Return the log-likelihood of each text under each language model.

    Batches of like length run in parallel, each on one BLAS thread, so results do not depend on the
    number of threads. Long texts are read piece by piece with carried state, which changes nothing.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel
        K models over one vocabulary.
    sequences : sequence of array of int
        n sequences of token ids.
    max_length : int, optional
        Count only the first `max_length` ids of each.
    threads : int, default=1

    Returns
    -------
    ndarray of float, (n, K)
        Nats: the sum over a text's tokens and its end.
    """
    result = np.zeros((len(sequences), len(models)))

    def score(indices: npt.NDArray[np.intp]) -> None:
        batch = make_batch([sequences[index] for index in indices], max_length)
        steps = max(1, _TOKENS_AT_A_TIME // len(indices))
        for number, model in enumerate(models):
            state = None
            for start in range(0, batch.inputs.shape[1], steps):
                piece = slice(start, start + steps)
                nll, state = model.token_nll(batch.inputs[:, piece], batch.targets[:, piece], state)
                result[indices, number] -= nll.sum(axis=1)

    lengths = [len(sequence) for sequence in sequences]
    batches = batches_by_length(lengths, _BATCH, max_tokens=_TOKENS_AT_A_TIME)
    with _blas_lock, _blas().limit(limits=1, user_api="blas"):
        for _ in map_ordered(score, batches, threads):
            pass
    return result


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, which takes milliseconds

"""The LSTM language model in numpy: what scores, without torch.

The forward pass of `lmclassify.lm.model.LanguageModel` (its oracle in the tests), written for speed:
the input product is folded into a table with one row a token, padding is never computed.

Shapes: B texts, T steps, H units, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.text.sequences import Ids, sequence_lengths

Floats = npt.NDArray[np.float32]
State = list[tuple[Floats, Floats]]
"""Output and cell state of each layer, (B, H) both."""

_SLAB = 1 << 20  # logits held at a time: 4 MB, so that they stay in cache


class NumpyLanguageModel:
    """A trained language model that scores.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The weights, as `LanguageModel.arrays` returns them.

    Raises
    ------
    ValueError
        If names, shapes or types are not those of a language model, or a weight is not finite.
    """

    def __init__(self, arrays: Mapping[str, Floats]) -> None:
        self.arrays = dict(arrays)
        _check_arrays(self.arrays)
        self.vocab_size, self.embedding_dim = self.arrays["embedding.weight"].shape
        self.num_lstm_units = self.arrays["layers.0.weight_hh_l0"].shape[1]
        self.num_lstm_layers = sum(name.endswith("weight_hh_l0") for name in self.arrays)

    @property
    def num_parameters(self) -> int:
        """How many weights there are."""
        return sum(array.size for array in self.arrays.values())

    @cached_property
    def _input_table(self) -> Floats:
        """(V, 4H) the first layer's input product and biases for every token."""
        return self._input_product(0, self.arrays["embedding.weight"])

    def _input_product(self, layer: int, values: Floats) -> Floats:
        bias = self.arrays[f"layers.{layer}.bias_ih_l0"] + self.arrays[f"layers.{layer}.bias_hh_l0"]
        rows = values.reshape(-1, values.shape[-1])
        product = _product(rows, self.arrays[f"layers.{layer}.weight_ih_l0"].T) + bias
        return product.reshape(*values.shape[:-1], -1)

    @cached_property
    def _recurrent(self) -> list[Floats]:
        names = [f"layers.{layer}.weight_hh_l0" for layer in range(self.num_lstm_layers)]
        return [np.ascontiguousarray(self.arrays[name].T) for name in names]

    def zero_state(self, batch_size: int) -> State:
        """Return the state before the first token."""
        shape = (batch_size, self.num_lstm_units)
        return [
            (np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for _ in range(self.num_lstm_layers)
        ]

    def outputs(self, ids: Ids, state: State | None = None) -> tuple[Floats, State]:
        """Run the LSTM layers over a padded batch.

        Parameters
        ----------
        ids : ndarray of int, (B, T)
            Padding stands at the end of rows.
        state : State, optional
            Where an earlier call left off; zero without it.

        Returns
        -------
        outputs : ndarray, (B, T, H)
            Of the last layer; zero at padding.
        state : State
            Each text's own state after its last token.
        """
        lengths = sequence_lengths(ids)
        order = np.argsort(-lengths, kind="stable")
        before = self.zero_state(len(ids)) if state is None else state
        after: State = []
        values = self._input_table[ids[order]]
        for layer, (h, c) in enumerate(before):
            if layer:
                values = self._input_product(layer, values)
            values, h, c = _run_layer(values, self._recurrent[layer], h[order], c[order], lengths[order])
            after.append((_unsort(h, order), _unsort(c, order)))
        return _unsort(values, order), after

    def read(self, ids: Ids, state: State | None = None) -> tuple[npt.NDArray[np.float64], State]:
        """See `lmclassify.lm.interpolation.NextTokenModel`."""
        outputs, after = self.outputs(ids, state)
        return self.log_probabilities(outputs[:, -1]), after

    def log_probabilities(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """Return log-probabilities (N, V) of every token after outputs (N, H)."""
        logits = self._logits(outputs)
        return logits - _logsumexp(logits)[:, np.newaxis]

    def _logits(self, outputs: Floats) -> Floats:
        if "projection.weight" in self.arrays:
            outputs = _product(outputs, self.arrays["projection.weight"].T)
        weight = self.arrays.get("output.weight", self.arrays["embedding.weight"])
        logits = _product(outputs, weight.T)
        logits += self.arrays["output.bias"]
        return logits

    def token_nll(
        self, inputs: Ids, targets: Ids, state: State | None = None
    ) -> tuple[npt.NDArray[np.float64], State]:
        """Return the negative log-probability of each target token.

        Parameters
        ----------
        inputs, targets : ndarray of int, (B, T)
            As in `lmclassify.text.sequences.Batch`.
        state : State, optional
            Where an earlier call left off; zero without it.

        Returns
        -------
        nll : ndarray of float, (B, T)
            Nats; zero at padding.
        state : State
            Each text's own state after its last token.
        """
        outputs, after = self.outputs(inputs, state)
        rows, steps = np.nonzero(sequence_lengths(targets)[:, np.newaxis] > np.arange(targets.shape[1]))
        values, ids = outputs[rows, steps], targets[rows, steps]
        nll = np.zeros(targets.shape, dtype=np.float64)
        slab = max(1, _SLAB // self.vocab_size)
        for start in range(0, len(ids), slab):
            part = slice(start, start + slab)
            logits = self._logits(values[part])
            of_target = logits[np.arange(len(logits)), ids[part]]
            nll[rows[part], steps[part]] = _logsumexp(logits) - of_target
        return nll, after


def perplexity(nats: float, tokens: float) -> float:
    """Return exp(nats / tokens), infinite where that overflows and NaN without tokens."""
    if not tokens:
        return math.nan
    return math.exp(nats / tokens) if nats / tokens < 700 else math.inf


def _product(rows: Floats, weight: Floats) -> Floats:
    """Return the matrix product of (N, K) and (K, M), each row the same in any company.

    A single row would take another path through BLAS and be rounded otherwise.
    """
    if len(rows) == 1:
        return (np.concatenate([rows, rows]) @ weight)[:1]
    product: Floats = rows @ weight
    return product


def _unsort(values: Floats, order: npt.NDArray[np.intp]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result


def _logsumexp(logits: Floats) -> npt.NDArray[np.float64]:
    """Return log(sum(exp(row))) of each row of (N, V)."""
    top = logits.max(axis=1, keepdims=True)
    sums = np.exp(logits - top).sum(axis=1, dtype=np.float64)
    result: npt.NDArray[np.float64] = np.log(sums) + top[:, 0]
    return result


def _sigmoid(values: Floats) -> Floats:
    """Overwrite values with the logistic function of them, by tanh, which cannot overflow."""
    values *= np.float32(0.5)
    np.tanh(values, out=values)
    values += np.float32(1.0)
    values *= np.float32(0.5)
    return values


def _run_layer(
    inputs: Floats, recurrent: Floats, h: Floats, c: Floats, lengths: Ids
) -> tuple[Floats, Floats, Floats]:
    """Run one LSTM layer over texts sorted from long to short.

    Gates in torch.nn.LSTM's order: input i, forget f, candidate g, output o;
    ``c' = f * c + i * g`` and ``h' = o * tanh(c')``.

    Parameters
    ----------
    inputs : ndarray, (B, T, 4H)
        Input products, biases added.
    recurrent : ndarray, (H, 4H)
    h, c : ndarray, (B, H)
        Overwritten by each text's state after its last token.
    lengths : ndarray of int, (B,)
        Falling.
    """
    size, steps, width = len(inputs), inputs.shape[1], h.shape[1]
    outputs = np.zeros((size, steps, width), dtype=np.float32)
    alive = np.searchsorted(-lengths, -np.arange(steps), side="left")  # texts with a token at step t
    for step in range(steps):
        count = alive[step]
        if not count:
            break
        gates = _product(h[:count], recurrent)
        gates += inputs[:count, step]
        i, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
        _sigmoid(gates[:, : 2 * width])
        np.tanh(g, out=g)
        _sigmoid(o)
        cells = c[:count]
        cells *= f
        cells += np.multiply(i, g, out=g)
        np.multiply(o, np.tanh(cells), out=h[:count])
        outputs[:count, step] = h[:count]
    return outputs, h, c


def _check_arrays(arrays: Mapping[str, Floats]) -> None:
    try:
        vocab_size, embedding_dim = arrays["embedding.weight"].shape
        units = arrays["layers.0.weight_hh_l0"].shape[1]
    except (KeyError, ValueError, IndexError):
        raise ValueError("not the weights of a language model") from None
    layers = sum(name.endswith("weight_hh_l0") for name in arrays)
    expected: dict[str, tuple[int, ...]] = {
        "embedding.weight": (vocab_size, embedding_dim),
        "output.bias": (vocab_size,),
    }
    for layer in range(layers):
        prefix = f"layers.{layer}."
        expected[prefix + "weight_ih_l0"] = (4 * units, units if layer else embedding_dim)
        expected[prefix + "weight_hh_l0"] = (4 * units, units)
        expected[prefix + "bias_ih_l0"] = expected[prefix + "bias_hh_l0"] = (4 * units,)
    if "projection.weight" in arrays:
        expected["projection.weight"] = (embedding_dim, units)
    else:
        expected["output.weight"] = (vocab_size, units)
    if set(arrays) != set(expected):
        raise ValueError(f"unexpected or missing weights: {sorted(set(arrays) ^ set(expected))}")
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected float32 {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds a value that is not finite")

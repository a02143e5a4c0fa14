"""The recurrent language model in numpy, for scoring without torch.

Computes the forward pass of `lmclassify.lm.neural.model.LanguageModel`, against which it is tested. Written
for speed: the input product is computed once for each distinct token of a batch, and never for padding.

Shapes: B texts, T steps, H units, V vocabulary.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.errors import listing
from lmclassify.lm.inference.recurrence import Floats, Layer, infer_cell, layer_shapes, matrix_product
from lmclassify.text.sequences import Ids, positions_within, sequence_lengths

State = list[tuple[Floats, Floats]]
"""Output and cell state of each layer, (B, H) both; gru has no cell state: (B, 0)."""

CACHED_LOGITS = 1 << 20
"""Logits computed at a time: 4 MB, which stay in cache. Their memory is reused, as allocating it is slow."""
_MIN_SUM, _MAX_SUM = np.float32(1e-30), np.float32(1e30)  # beyond, exp may have lost precision

_buffers = threading.local()


class NumpyLanguageModel:
    """A trained language model for scoring.

    Raises ValueError if names, shapes or types are not those of a language model, or a weight is not finite.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Weights, as `LanguageModel.arrays` returns them.
    """

    def __init__(self, arrays: Mapping[str, Floats]) -> None:
        self.arrays = dict(arrays)
        _check_arrays(self.arrays)
        self.vocab_size, self.embedding_dim = self.arrays["embedding.weight"].shape
        self.num_lstm_units = self.arrays["layers.0.weight_hh_l0"].shape[1]
        self.num_lstm_layers = sum(name.endswith("weight_hh_l0") for name in self.arrays)
        self.cell = infer_cell(_layer(self.arrays, 0))

    @property
    def num_parameters(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.arrays.values())

    @cached_property
    def _layers(self) -> list[Layer]:
        return [Layer(self.cell, _layer(self.arrays, number)) for number in range(self.num_lstm_layers)]

    def zero_state(self, batch_size: int) -> State:
        """Return the state before the first token."""
        return [
            (
                np.zeros((batch_size, self.num_lstm_units), np.float32),
                np.zeros((batch_size, layer.cell_state_width), np.float32),
            )
            for layer in self._layers
        ]

    def outputs(self, ids: Ids, state: State | None = None) -> tuple[Floats, State]:
        """Run the recurrent layers over a padded batch.

        Parameters
        ----------
        ids : ndarray of int, (B, T)
            Padding is at the end of rows.
        state : State, optional
            State after an earlier call; zeros by default.

        Returns
        -------
        outputs : ndarray, (B, T, H)
            Outputs of the last layer; zero at padding.
        state : State
            Each text's own state after its last token.
        """
        packed, rows, steps, after = self._run(ids, state)
        outputs = np.zeros((*ids.shape, self.num_lstm_units), dtype=np.float32)
        outputs[rows, steps] = packed
        return outputs, after

    def _run(self, ids: Ids, state: State | None) -> tuple[Floats, Ids, Ids, State]:
        """Return packed outputs (N, H) (see `Layer.run`), the row and step of each, and the state after."""
        order, alive, rows, steps = _packing(ids)
        tokens, inverse = np.unique(ids[rows, steps], return_inverse=True)
        table = self._layers[0].input_product(self.arrays["embedding.weight"][tokens])
        buffer = np.empty((len(ids), table.shape[1]), dtype=np.float32)

        def token_products(part: slice) -> Floats:
            rows_of_part = buffer[: part.stop - part.start]
            return table.take(inverse[part], axis=0, out=rows_of_part, mode="clip")

        before = self.zero_state(len(ids)) if state is None else state
        after: State = []
        inputs: Callable[[slice], Floats] = token_products
        for number, (layer, (h, c)) in enumerate(zip(self._layers, before, strict=True)):
            h, c = h[order], c[order]
            values = layer.run(inputs, h, c, alive)
            after.append((_unsort(h, order), _unsort(c, order)))
            if number + 1 < len(self._layers):
                inputs = self._layers[number + 1].input_product(values).__getitem__
        return values, rows, steps, after

    def read(self, ids: Ids, state: State | None = None) -> tuple[npt.NDArray[np.float64], State]:
        """See `lmclassify.lm.inference.interpolation.NextTokenModel`."""
        outputs, after = self.outputs(ids, state)
        return self.log_probabilities(outputs[:, -1]), after

    def log_probabilities(self, outputs: Floats) -> npt.NDArray[np.float64]:
        """Return log-probabilities (N, V) of every token after outputs (N, H)."""
        logits = self._logits(outputs)
        return logits - _logsumexp(logits)[:, np.newaxis]

    @property
    def output_weight(self) -> Floats:
        """Weight of the output layer, (columns, V)."""
        return self.arrays.get("output.weight", self.arrays["embedding.weight"]).T

    def _logits(self, outputs: Floats, out: Floats | None = None, weight: Floats | None = None) -> Floats:
        if "projection.weight" in self.arrays:
            outputs = matrix_product(outputs, self.arrays["projection.weight"].T)
        logits = matrix_product(outputs, self.output_weight if weight is None else weight, out)
        logits += self.arrays["output.bias"]
        return logits

    def _nll(
        self, values: Floats, ids: Ids, buffer: Floats, weight: Floats | None
    ) -> npt.NDArray[np.float64]:
        """See `nll`; computed in one block."""
        logits = self._logits(values, buffer, weight)
        target_logits = logits[np.arange(len(logits)), ids].astype(np.float64)
        with np.errstate(over="ignore"):
            sums = np.exp(logits, out=logits) @ np.ones(self.vocab_size, dtype=np.float32)
        nats: npt.NDArray[np.float64] = np.log(np.maximum(sums, _MIN_SUM), dtype=np.float64) - target_logits
        extreme = np.flatnonzero((sums < _MIN_SUM) | (sums > _MAX_SUM))  # rare: logits too large for exp
        if len(extreme):
            nats[extreme] = _logsumexp(self._logits(values[extreme])) - target_logits[extreme]
        return nats

    def token_nll(
        self, inputs: Ids, targets: Ids, state: State | None = None
    ) -> tuple[npt.NDArray[np.float64], State]:
        """Return the negative log-probability of each target token.

        Parameters
        ----------
        inputs, targets : ndarray of int, (B, T)
            As in `lmclassify.text.sequences.Batch`.
        state : State, optional
            State after an earlier call; zeros by default.

        Returns
        -------
        nll : ndarray of float, (B, T)
            Nats; zero at padding.
        state : State
            Each text's own state after its last token.
        """
        values, rows, steps, after = self._run(inputs, state)
        nll = np.zeros(targets.shape)
        nll[rows, steps] = self.nll(values, targets[rows, steps])
        return nll, after

    def nll(self, values: Floats, ids: Ids, weight: Floats | None = None) -> npt.NDArray[np.float64]:
        """Return the negative log-probability of the token after each of some outputs.

        Parameters
        ----------
        values : ndarray, (N, H)
        ids : ndarray of int, (N,)
        weight : ndarray, (columns, V), optional
            A contiguous copy of `output_weight`.

        Returns
        -------
        ndarray of float, (N,)
            Nats.
        """
        nats = np.empty(len(ids))
        size = max(1, CACHED_LOGITS // self.vocab_size)
        buffer = _thread_buffer(size * self.vocab_size).reshape(size, self.vocab_size)
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            nats[part] = self._nll(values[part], ids[part], buffer, weight)
        return nats


class StackedLSTMs:
    """Several LSTM language models of the same size and vocabulary that score together.

    Each step is computed for all models at once. This saves time if there are few texts, as the overhead of a
    step then exceeds its computation.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel
        M of them; see `stackable`.
    """

    def __init__(self, models: Sequence[NumpyLanguageModel]) -> None:
        self._models = models
        self._layers = [
            Layer.stack(layers) for layers in zip(*(model._layers for model in models), strict=True)
        ]
        # In this layout BLAS need not rearrange the weights for each product, which costs more than few rows.
        self._output_weights = [np.ascontiguousarray(model.output_weight) for model in models]

    def token_nll(self, inputs: Ids, targets: Ids) -> npt.NDArray[np.float64]:
        """Return the negative log-probability of each target under each model, (M, B, T) nats.

        Zero at padding; see `NumpyLanguageModel.token_nll`.
        """
        models = self._models
        _, alive, rows, steps = _packing(inputs)
        tokens, inverse = np.unique(inputs[rows, steps], return_inverse=True)
        values = np.stack([model.arrays["embedding.weight"][tokens] for model in models])
        by_token = self._input_products(0, values)
        products: Callable[[slice], Floats] = lambda part: by_token.take(inverse[part], axis=1)  # noqa: E731
        for number, layer in enumerate(self._layers):
            h, c = np.zeros((2, len(models), len(inputs), models[0].num_lstm_units), np.float32)
            values = layer.run(products, h, c, alive)
            if number + 1 < len(self._layers):
                packed = self._input_products(number + 1, values)
                products = lambda part, packed=packed: packed[:, part]  # type: ignore[misc] # noqa: E731
        nll = np.zeros((len(models), *targets.shape))
        ids = targets[rows, steps]
        for model, weight, outputs, model_nll in zip(models, self._output_weights, values, nll, strict=True):
            model_nll[rows, steps] = model.nll(outputs, ids, weight)
        return nll

    def _input_products(self, number: int, values: Floats) -> Floats:
        """Return the input products of a layer's gates, (M, N, columns) to (M, N, GH)."""
        return np.stack(
            [
                model._layers[number].input_product(model_values)
                for model, model_values in zip(self._models, values, strict=True)
            ]
        )


class SharedNetwork:
    """Language models that differ in their output biases only; they score together.

    The network runs once for all of them. With the numerators exp(logit) of the first model's softmax, the
    normalizers of all models are one matrix product: each model multiplies a token's numerator by a constant.

    Parameters
    ----------
    models : sequence of NumpyLanguageModel
        M of them; see `share_network`.
    """

    def __init__(self, models: Sequence[NumpyLanguageModel]) -> None:
        self._model = models[0]
        biases = np.stack([model.arrays["output.bias"] for model in models], axis=1)
        self._shifts = biases - biases[:, :1]  # (V, M)
        self._factors = np.exp(self._shifts)

    def summed_nll(
        self, inputs: Ids, targets: Ids, state: State | None = None
    ) -> tuple[npt.NDArray[np.float64], State]:
        """Return the sum of each text's negative log-probabilities under each model, (B, M) nats.

        See `NumpyLanguageModel.token_nll`, whose values are summed over a text.
        """
        model = self._model
        values, rows, steps, after = model._run(inputs, state)
        ids = targets[rows, steps]
        result = np.zeros((len(inputs), self._shifts.shape[1]))
        size = max(1, CACHED_LOGITS // max(self._shifts.shape))
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            logits = model._logits(values[part])
            top = logits.max(axis=1, keepdims=True)
            target_logits = logits[np.arange(len(logits)), ids[part]][:, np.newaxis] + self._shifts[ids[part]]
            np.exp(np.subtract(logits, top, out=logits), out=logits)
            nats = np.log(matrix_product(logits, self._factors)) + top - target_logits
            np.add.at(result, rows[part], nats)
        return result, after


def share_network(models: Sequence[object]) -> bool:
    """Return whether `SharedNetwork` can take these models: there are several, with the same other arrays."""
    first = models[0] if len(models) > 1 else None
    if not isinstance(first, NumpyLanguageModel):
        return False
    others = {name: array for name, array in first.arrays.items() if name != "output.bias"}
    return all(
        isinstance(model, NumpyLanguageModel)
        and len(model.arrays) == len(first.arrays)
        and all(model.arrays.get(name) is array for name, array in others.items())
        for model in models
    )


def stackable(models: Sequence[object]) -> bool:
    """Return whether `StackedLSTMs` can take these models."""
    shapes = {
        tuple((name, array.shape) for name, array in sorted(model.arrays.items()))
        if isinstance(model, NumpyLanguageModel) and model.cell == "lstm"
        else None
        for model in models
    }
    return len(shapes) == 1 and None not in shapes


def _packing(ids: Ids) -> tuple[Ids, Ids, Ids, Ids]:
    """Return how a padded batch is packed; see `Layer.run`.

    Returns
    -------
    order : ndarray, (B,)
        Rows from long to short.
    alive : ndarray, (T,)
        How many rows have a token at each step.
    rows, steps : ndarray, (N,)
        Row and step of each packed token.
    """
    lengths = sequence_lengths(ids)
    order = np.argsort(-lengths, kind="stable")
    alive = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)), side="left")
    return order, alive, order[positions_within(alive)], np.repeat(np.arange(len(alive)), alive)


def _thread_buffer(size: int) -> Floats:
    """Return a buffer of this size that the thread's next call reuses."""
    flat: Floats | None = getattr(_buffers, "logits", None)
    if flat is None or flat.size < size:
        flat = _buffers.logits = np.empty(size, dtype=np.float32)
    return flat[:size]


def round_to_16_bits(arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return weights rounded to 16 bits, as files store them: saving and loading then change nothing."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}


def perplexity(nats: float, tokens: float) -> float:
    """Return exp(nats / tokens); infinite if that overflows, NaN without tokens."""
    if not tokens:
        return math.nan
    return math.exp(nats / tokens) if nats / tokens < 700 else math.inf


def _unsort(values: Floats, order: npt.NDArray[np.intp]) -> Floats:
    result = np.empty_like(values)
    result[order] = values
    return result


def _logsumexp(logits: Floats) -> npt.NDArray[np.float64]:
    """Return log(sum(exp(row))) of each row of (N, V)."""
    top = logits.max(axis=1)
    sums = np.exp(logits - top[:, np.newaxis]).sum(axis=1, dtype=np.float64)
    result: npt.NDArray[np.float64] = np.log(sums) + top
    return result


def _layer(arrays: Mapping[str, Floats], number: int) -> dict[str, Floats]:
    """Return one layer's weights by their names within it."""
    prefix = f"layers.{number}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _check_arrays(arrays: Mapping[str, Floats]) -> None:
    try:
        vocab_size, embedding_dim = arrays["embedding.weight"].shape
        units = arrays["layers.0.weight_hh_l0"].shape[1]
        cell = infer_cell(_layer(arrays, 0))
    except (KeyError, ValueError, IndexError):
        raise ValueError("not the weights of a language model") from None
    if 0 in (vocab_size, embedding_dim, units):
        raise ValueError("a language model without units, columns or tokens")
    layers = sum(name.endswith("weight_hh_l0") for name in arrays)
    expected: dict[str, tuple[int, ...]] = {
        "embedding.weight": (vocab_size, embedding_dim),
        "output.bias": (vocab_size,),
    }
    for layer in range(layers):
        shapes = layer_shapes(cell, units if layer else embedding_dim, units)
        expected |= {f"layers.{layer}.{name}": shape for name, shape in shapes.items()}
    if "projection.weight" in arrays:
        expected["projection.weight"] = (embedding_dim, units)
    else:
        expected["output.weight"] = (vocab_size, units)
    if set(arrays) != set(expected):
        raise ValueError(f"unexpected or missing weights: {listing(sorted(set(arrays) ^ set(expected)), 4)}")
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected float32 {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds a value that is not finite")

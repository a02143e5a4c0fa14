"""The recurrent language model in numpy: what scores, without torch.

The forward pass of `lmclassify.lm.neural.model.LanguageModel` (its oracle in the tests), written for speed:
the input product is computed once for each distinct token of a batch, padding never.

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
from lmclassify.lm.inference.recurrence import Floats, Layer, cell_of, layer_shapes, matrix_product
from lmclassify.text.sequences import Ids, positions_within, sequence_lengths

State = list[tuple[Floats, Floats]]
"""Output and cell state of each layer, (B, H) both; gru has no cell state: (B, 0)."""

_SLAB = 1 << 20  # logits held at a time: 4 MB, so that they stay in cache; memory of that size is slow to get

_own = threading.local()
_SMALLEST, _LARGEST = np.float32(1e-30), np.float32(1e30)


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
        self.cell = cell_of(_layer(self.arrays, 0))

    @property
    def num_parameters(self) -> int:
        """How many weights there are."""
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
        packed, rows, steps, after = self._run(ids, state)
        outputs = np.zeros((*ids.shape, self.num_lstm_units), dtype=np.float32)
        outputs[rows, steps] = packed
        return outputs, after

    def _run(self, ids: Ids, state: State | None) -> tuple[Floats, Ids, Ids, State]:
        """Return packed outputs (N, H), see `Layer.run`, the row and step of each, and the state after."""
        order, alive, rows, steps = _packing(ids)
        tokens, places = np.unique(ids[rows, steps], return_inverse=True)
        table = self._layers[0].input_product(self.arrays["embedding.weight"][tokens])
        memory = np.empty((len(ids), table.shape[1]), dtype=np.float32)

        def of_tokens(part: slice) -> Floats:
            some = memory[: part.stop - part.start]
            return table.take(places[part], axis=0, out=some, mode="clip")

        before = self.zero_state(len(ids)) if state is None else state
        after: State = []
        inputs: Callable[[slice], Floats] = of_tokens
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
        """The output layer's, (columns, V)."""
        return self.arrays.get("output.weight", self.arrays["embedding.weight"]).T

    def _logits(self, outputs: Floats, out: Floats | None = None, weight: Floats | None = None) -> Floats:
        if "projection.weight" in self.arrays:
            outputs = matrix_product(outputs, self.arrays["projection.weight"].T)
        logits = matrix_product(outputs, self.output_weight if weight is None else weight, out)
        logits += self.arrays["output.bias"]
        return logits

    def _nll(
        self, values: Floats, ids: Ids, memory: Floats, weight: Floats | None
    ) -> npt.NDArray[np.float64]:
        """See `nll`; all at once."""
        logits = self._logits(values, memory, weight)
        of_target = logits[np.arange(len(logits)), ids].astype(np.float64)
        with np.errstate(over="ignore"):
            sums = np.exp(logits, out=logits) @ np.ones(self.vocab_size, dtype=np.float32)
        found: npt.NDArray[np.float64] = np.log(np.maximum(sums, _SMALLEST), dtype=np.float64) - of_target
        far = np.flatnonzero((sums < _SMALLEST) | (sums > _LARGEST))  # almost never: too far from 0 for exp
        if len(far):
            found[far] = _logsumexp(self._logits(values[far])) - of_target[far]
        return found

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
            A copy of `output_weight`.

        Returns
        -------
        ndarray of float, (N,)
            Nats.
        """
        nats = np.empty(len(ids))
        slab = max(1, _SLAB // self.vocab_size)
        memory = _memory(slab * self.vocab_size).reshape(slab, self.vocab_size)
        for start in range(0, len(ids), slab):
            part = slice(start, start + slab)
            nats[part] = self._nll(values[part], ids[part], memory, weight)
        return nats


class StackedLSTMs:
    """Some LSTM language models of one size and one vocabulary that score together.

    Each step is one for all of them, which saves time where texts are few: a step then costs more by being
    made than by what it computes.

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
        # In this order BLAS need not rearrange the weights for each product, which few rows do not pay for.
        self._output_weights = [np.ascontiguousarray(model.output_weight) for model in models]

    def token_nll(self, inputs: Ids, targets: Ids) -> npt.NDArray[np.float64]:
        """Return the negative log-probability of each target under each model, (M, B, T) nats.

        Zero at padding; see `NumpyLanguageModel.token_nll`.
        """
        models = self._models
        _, alive, rows, steps = _packing(inputs)
        tokens, places = np.unique(inputs[rows, steps], return_inverse=True)
        values = np.stack([model.arrays["embedding.weight"][tokens] for model in models])
        of_inputs = self._input_products(0, values)
        taken: Callable[[slice], Floats] = lambda part: of_inputs.take(places[part], axis=1)  # noqa: E731
        for number, layer in enumerate(self._layers):
            h, c = np.zeros((2, len(models), len(inputs), models[0].num_lstm_units), np.float32)
            values = layer.run(taken, h, c, alive)
            if number + 1 < len(self._layers):
                products = self._input_products(number + 1, values)
                taken = lambda part, products=products: products[:, part]  # type: ignore[misc] # noqa: E731
        nll = np.zeros((len(models), *targets.shape))
        ids = targets[rows, steps]
        for model, weight, of_model, found in zip(models, self._output_weights, values, nll, strict=True):
            found[rows, steps] = model.nll(of_model, ids, weight)
        return nll

    def _input_products(self, number: int, values: Floats) -> Floats:
        """Return the input's part of a layer's gates, (M, N, columns) to (M, N, GH)."""
        return np.stack(
            [
                model._layers[number].input_product(some)
                for model, some in zip(self._models, values, strict=True)
            ]
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
    """Return how a padded batch is packed.

    Rows from long to short, how many have a token at each step, and row and step of each packed token; see
    `Layer.run`.
    """
    lengths = sequence_lengths(ids)
    order = np.argsort(-lengths, kind="stable")
    alive = np.searchsorted(-lengths[order], -np.arange(lengths.max(initial=0)), side="left")
    return order, alive, order[positions_within(alive)], np.repeat(np.arange(len(alive)), alive)


def _memory(size: int) -> Floats:
    """Return memory for so many numbers, the thread's own, which its next call returns again."""
    flat: Floats | None = getattr(_own, "memory", None)
    if flat is None or flat.size < size:
        flat = _own.memory = np.empty(size, dtype=np.float32)
    return flat[:size]


def rounded(arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return weights rounded to 16 bits, as files hold them, so that saving and loading change nothing."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}


def perplexity(nats: float, tokens: float) -> float:
    """Return exp(nats / tokens), infinite where that overflows and NaN without tokens."""
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
        cell = cell_of(_layer(arrays, 0))
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

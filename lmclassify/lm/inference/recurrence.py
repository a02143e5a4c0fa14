"""One recurrent layer in numpy, for every cell: shapes of the weights and the forward pass.

For the formulas see the torch modules in `lmclassify.lm.neural.cells`, against which it is tested.

Shapes: B texts, T steps, H units, G gates (4 of lstm and peephole, 3 of gru and coupled).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lmclassify.text.sequences import Ids

Floats = npt.NDArray[np.float32]
Step = Callable[[Floats, Floats, Floats, Floats], None]

_ROW_MULTIPLE = 4  # rows are padded to a multiple: BLAS is slower for other numbers of rows
_GATES = {"lstm": 4, "gru": 3, "peephole": 4, "coupled": 3}


def layer_shapes(cell: str, columns: int, units: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of one layer's weights.

    Parameters
    ----------
    cell : {"lstm", "gru", "peephole", "coupled"}
    columns : int
        Columns of the layer's input.
    units : int
        H.
    """
    rows = _GATES[cell] * units
    shapes: dict[str, tuple[int, ...]] = {"weight_ih_l0": (rows, columns), "weight_hh_l0": (rows, units)}
    if cell in ("lstm", "gru"):  # as torch.nn has them
        return {**shapes, "bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    if cell == "peephole":
        shapes["weight_ch_l0"] = (3, units)
    return {**shapes, "bias_l0": (rows,)}


def infer_cell(layer: Mapping[str, Floats]) -> str:
    """Return the cell that the names of a layer's weights suggest; check them with `layer_shapes`.

    Raises KeyError or ValueError if there is no matrix ``weight_hh_l0``.
    """
    rows, units = layer["weight_hh_l0"].shape
    if "bias_l0" in layer:
        return "peephole" if "weight_ch_l0" in layer else "coupled"
    return "gru" if rows == _GATES["gru"] * units else "lstm"


class Layer:
    """One recurrent layer.

    Parameters
    ----------
    cell : {"lstm", "gru", "peephole", "coupled"}
    weights : mapping of str to ndarray
        See `layer_shapes`.
    """

    def __init__(self, cell: str, weights: Mapping[str, Floats]) -> None:
        input_weight, recurrent = weights["weight_ih_l0"], weights["weight_hh_l0"]
        self.cell_state_width = 0 if cell == "gru" else recurrent.shape[1]
        self._step: Step = _lstm_step
        if cell == "lstm":
            self._bias = _for_lstm_step(weights["bias_ih_l0"] + weights["bias_hh_l0"])
            input_weight, recurrent = _for_lstm_step(input_weight), _for_lstm_step(recurrent)
        elif cell == "gru":
            # The reset gate multiplies the candidate's recurrent bias; all other biases are added at once.
            inside = weights["bias_hh_l0"].copy()
            inside[: -recurrent.shape[1]] = 0
            self._bias = weights["bias_ih_l0"] + (weights["bias_hh_l0"] - inside)
            self._step = _gru_step(inside)
        elif cell == "peephole":
            self._bias, self._step = weights["bias_l0"], _peephole_step(weights["weight_ch_l0"])
        else:
            self._bias, self._step = weights["bias_l0"], _coupled_step
        self._input_weight, self._recurrent = input_weight, np.ascontiguousarray(recurrent.T)

    @classmethod
    def stack(cls, layers: Sequence[Layer]) -> Layer:
        """Return one layer that runs M LSTM layers of the same size; its arrays have M as first axis."""
        stacked = cls.__new__(cls)
        stacked.cell_state_width, stacked._step = layers[0].cell_state_width, _lstm_step
        stacked._recurrent = np.stack([layer._recurrent for layer in layers])
        return stacked

    def input_product(self, values: Floats) -> Floats:
        """Return the input products of the gates plus biases: (..., columns) to (..., GH)."""
        rows = values.reshape(-1, values.shape[-1])
        product = matrix_product(rows, self._input_weight.T) + self._bias
        return product.reshape(*values.shape[:-1], product.shape[-1])

    def run(self, inputs: Callable[[slice], Floats], h: Floats, c: Floats, alive: Ids) -> Floats:
        """Process texts sorted from long to short and return the packed outputs, (N, H).

        Packed are the outputs of all texts at the first step, then of all texts that have a second step, and
        so on.

        Parameters
        ----------
        inputs : callable
            Returns the input products of a slice of the packed inputs: those of one step.
        h, c : ndarray, (B, H)
            State before the first step; overwritten by each text's state after its last token. For gru, which
            has no cell state, c is (B, 0).
        alive : ndarray of int, (T,)
            How many texts have a token at each step; their sum is N.
        """
        rows = h.shape[-2]
        padding = [(0, 0)] * (h.ndim - 2) + [(0, -rows % _ROW_MULTIPLE), (0, 0)]
        padded = np.pad(h, padding)
        products = np.empty((*padded.shape[:-1], self._recurrent.shape[-1]), dtype=np.float32)
        outputs = np.empty((*h.shape[:-2], int(alive.sum()), h.shape[-1]), dtype=np.float32)
        start = 0
        for count in alive.tolist():
            part = slice(start, start + count)
            padded_part = slice(0, count + -count % _ROW_MULTIPLE)
            np.matmul(padded[..., padded_part, :], self._recurrent, out=products[..., padded_part, :])
            h_alive = padded[..., :count, :]
            self._step(products[..., :count, :], inputs(part), h_alive, c[..., :count, :])
            outputs[..., part, :] = h_alive
            start += count
        h[...] = padded[..., :rows, :]
        return outputs


def matrix_product(rows: Floats, weight: Floats, out: Floats | None = None) -> Floats:
    """Return the matrix product of (..., N, K) and (..., K, M). A row does not depend on the other rows.

    The result is written to `out`, (..., N or more, M), if given. A single row is not: BLAS computes it in
    another way, with other rounding, so it is computed as two rows.
    """
    count = rows.shape[-2]
    if count == 1:
        return (np.concatenate([rows, rows], axis=-2) @ weight)[..., :1, :]
    product: Floats = np.matmul(rows, weight, out=None if out is None else out[..., :count, :])
    return product


def _sigmoid(values: Floats) -> Floats:
    """Replace values by their logistic function, computed by tanh, which cannot overflow."""
    values *= np.float32(0.5)
    np.tanh(values, out=values)
    values += np.float32(1.0)
    values *= np.float32(0.5)
    return values


# Each step takes the recurrent and the input products, (B, GH), and replaces h and c by the next state.


def _for_lstm_step(weight: Floats) -> Floats:
    """Return an LSTM's weights with the gates in the order i, f, o, g and the sigmoid gates halved."""
    i, f, g, o = np.split(weight, _GATES["lstm"])
    half = np.float32(0.5)
    return np.concatenate([half * i, half * f, half * o, g])


def _lstm_step(gates: Floats, inputs: Floats, h: Floats, c: Floats) -> None:
    # sigmoid(x) = (1 + tanh(x / 2)) / 2: one tanh serves all gates. Weights include the first factor 1/2.
    width = h.shape[-1]
    gates += inputs
    np.tanh(gates, out=gates)
    sigmoids = gates[..., : 3 * width]
    sigmoids += np.float32(1.0)
    i, f, o, g = (gates[..., k * width : (k + 1) * width] for k in range(4))
    c *= f
    c += np.multiply(i, g, out=g)
    c *= np.float32(0.5)
    np.multiply(o, np.tanh(c, out=g), out=h)
    h *= np.float32(0.5)


def _peephole_step(peepholes: Floats) -> Step:
    def step(gates: Floats, inputs: Floats, h: Floats, c: Floats) -> None:
        width = h.shape[1]
        gates += inputs
        i, f, g, o = (gates[:, k * width : (k + 1) * width] for k in range(4))
        i += peepholes[0] * c
        f += peepholes[1] * c
        _sigmoid(gates[:, : 2 * width])
        np.tanh(g, out=g)
        c *= f
        c += np.multiply(i, g, out=g)
        o += peepholes[2] * c
        np.multiply(_sigmoid(o), np.tanh(c), out=h)

    return step


def _coupled_step(gates: Floats, inputs: Floats, h: Floats, c: Floats) -> None:
    width = h.shape[1]
    gates += inputs
    i, g, o = (gates[:, k * width : (k + 1) * width] for k in range(3))
    _sigmoid(i)
    np.tanh(g, out=g)
    _sigmoid(o)
    g -= c
    c += np.multiply(i, g, out=g)  # (1 - i) c + i g
    np.multiply(o, np.tanh(c), out=h)


def _gru_step(inside: Floats) -> Step:
    def step(gates: Floats, inputs: Floats, h: Floats, c: Floats) -> None:
        width = h.shape[1]
        gates += inside
        both, candidate = gates[:, : 2 * width], gates[:, 2 * width :]
        both += inputs[:, : 2 * width]
        _sigmoid(both)
        r, z = both[:, :width], both[:, width:]
        candidate *= r
        candidate += inputs[:, 2 * width :]
        np.tanh(candidate, out=candidate)
        h -= candidate
        h *= z
        h += candidate  # (1 - z) n + z h

    return step

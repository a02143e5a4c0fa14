"""Recurrent layers as torch modules, one class per cell.

Each takes values (B, T, columns) and the state of an earlier call, and returns outputs (B, T, H) and the
state after step T: h and c, (1, B, H) both, as torch.nn.LSTM does. `lmclassify.lm.inference.recurrence`
computes the same in numpy.

In the formulas, x is the input at step t, h and c are output and cell state after step t - 1, h' and c' those
after step t. W and U are matrices, p vectors, b biases; ``*`` is the element-wise product.

Shapes: B texts, T steps, H units.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmclassify.lm.inference.recurrence import layer_shapes

LayerState = tuple[Tensor, Tensor]


class GRU(nn.GRU):
    """The gated recurrent unit of Cho et al. 2014, as torch.nn.GRU computes it.

    ::

        r  = sigmoid(W_r x + U_r h + b_r)          reset gate
        z  = sigmoid(W_z x + U_z h + b_z)          update gate
        n  = tanh(W_n x + b_n + r * (U_n h + d_n)) candidate
        h' = (1 - z) * n + z * h

    There is no cell state: c is (1, B, 0), so that states of all cells have the same form.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation"; there the reset gate multiplies h before the matrix product.
    """

    def __init__(self, columns: int, units: int) -> None:
        super().__init__(columns, units, batch_first=True)

    def forward(  # type: ignore[override]
        self, values: Tensor, state: LayerState | None = None
    ) -> tuple[Tensor, LayerState]:
        """Return outputs and the state after the last step."""
        outputs, h = super().forward(values, None if state is None else state[0])
        return outputs, (h, h[..., :0])


class _Loop(nn.Module):
    """A cell that torch has no module for. Computes the input products at once, then loops over the steps."""

    cell: str
    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_l0: Tensor

    def __init__(self, columns: int, units: int) -> None:
        super().__init__()
        self.units = units
        for name, shape in layer_shapes(self.cell, columns, units).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def forward(self, values: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """Return outputs and the state after the last step."""
        if state is None:
            h = c = values.new_zeros(len(values), self.units)
        else:
            h, c = state[0][0], state[1][0]
        recurrent = self.weight_hh_l0.T
        outputs = []
        for product in functional.linear(values, self.weight_ih_l0, self.bias_l0).unbind(1):
            h, c = self.step(torch.addmm(product, h, recurrent), c)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h[None], c[None])

    @abstractmethod
    def step(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return h' and c', (B, H) both, from the weighted sums of the gates and c."""


class PeepholeLSTM(_Loop):
    """The LSTM whose gates see the cell state.

    ::

        i  = sigmoid(W_i x + U_i h + p_i * c  + b_i)    input gate
        f  = sigmoid(W_f x + U_f h + p_f * c  + b_f)    forget gate
        g  = tanh   (W_g x + U_g h            + b_g)    candidate
        c' = f * c + i * g
        o  = sigmoid(W_o x + U_o h + p_o * c' + b_o)    output gate, which sees the new cell state
        h' = o * tanh(c')

    The rows of ``weight_ch_l0`` are p_i, p_f and p_o. With zeros there it is torch.nn.LSTM.

    Source: Gers & Schmidhuber 2000, "Recurrent nets that time and count"; squashed by tanh as in Greff et al.
    2017, "LSTM: a search space odyssey".
    """

    cell = "peephole"
    weight_ch_l0: Tensor

    def step(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return h' and c'."""
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=1)
        i = torch.sigmoid(torch.addcmul(input_gate, self.weight_ch_l0[0], c))
        f = torch.sigmoid(torch.addcmul(forget_gate, self.weight_ch_l0[1], c))
        c = f * c + i * torch.tanh(candidate)
        o = torch.sigmoid(torch.addcmul(output_gate, self.weight_ch_l0[2], c))
        return o * torch.tanh(c), c


class CoupledLSTM(_Loop):
    """The LSTM that forgets as much as it lets in: coupled input and forget gates (CIFG).

    ::

        i  = sigmoid(W_i x + U_i h + b_i)    input gate; the forget gate is 1 - i
        g  = tanh   (W_g x + U_g h + b_g)    candidate
        o  = sigmoid(W_o x + U_o h + b_o)    output gate
        c' = (1 - i) * c + i * g
        h' = o * tanh(c')

    It has a quarter fewer weights than the LSTM.

    Source: Greff et al. 2017, "LSTM: a search space odyssey"; theirs also has peepholes.
    """

    cell = "coupled"

    def step(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return h' and c'."""
        input_gate, candidate, output_gate = gates.chunk(3, dim=1)
        c = torch.lerp(c, torch.tanh(candidate), torch.sigmoid(input_gate))
        return torch.sigmoid(output_gate) * torch.tanh(c), c


def new_layer(cell: str, columns: int, units: int) -> nn.Module:
    """Return an untrained layer of a cell.

    Parameters
    ----------
    cell : {"lstm", "gru", "peephole", "coupled"}
        ``lstm``: torch.nn.LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    columns : int
        Columns of the input.
    units : int
        H, columns of the output.
    """
    if cell == "lstm":
        return nn.LSTM(columns, units, batch_first=True)
    return {"gru": GRU, "peephole": PeepholeLSTM, "coupled": CoupledLSTM}[cell](columns, units)

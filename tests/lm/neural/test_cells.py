"""Every cell against its formulas, against torch's own modules, and by numerical gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.inference.recurrence import layer_shapes
from lmclassify.lm.neural.cells import new_layer

CELLS = ["lstm", "gru", "peephole", "coupled"]
COLUMNS, H = 5, 7


def a_layer(cell: str, columns: int = COLUMNS, units: int = H) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    layer = new_layer(cell, columns, units)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.9, 0.9, generator=generator)
    return layer


def some_input(seed: int = 1) -> torch.Tensor:
    return torch.randn(3, 6, COLUMNS, generator=torch.Generator().manual_seed(seed))


def a_state(cell: str) -> tuple[torch.Tensor, torch.Tensor]:
    h, c = torch.randn(2, 1, 3, H, generator=torch.Generator().manual_seed(2)).unbind()
    return h, c[..., :0] if cell == "gru" else c


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_the_formulas(cell, weights, x, h, c):
    """Return h' and c' for one input, as the formulas are written, gate by gate."""
    gates = {"lstm": "ifgo", "peephole": "ifgo", "coupled": "igo", "gru": "rzn"}[cell]

    def by_gate(name):
        return dict(zip(gates, np.split(weights[name], len(gates)), strict=True))

    w, u = by_gate("weight_ih_l0"), by_gate("weight_hh_l0")
    if "bias_l0" in weights:
        b, d = by_gate("bias_l0"), dict.fromkeys(gates, 0.0)
    else:
        b, d = by_gate("bias_ih_l0"), by_gate("bias_hh_l0")

    def total(gate):
        return w[gate] @ x + u[gate] @ h + b[gate] + d[gate]

    if cell == "gru":
        r, z = sigmoid(total("r")), sigmoid(total("z"))
        n = np.tanh(w["n"] @ x + b["n"] + r * (u["n"] @ h + d["n"]))
        return (1 - z) * n + z * h, c
    if cell == "coupled":
        i = sigmoid(total("i"))
        c = (1 - i) * c + i * np.tanh(total("g"))
        return sigmoid(total("o")) * np.tanh(c), c
    p = weights.get("weight_ch_l0", np.zeros((3, H)))
    i, f = sigmoid(total("i") + p[0] * c), sigmoid(total("f") + p[1] * c)
    c = f * c + i * np.tanh(total("g"))
    return sigmoid(total("o") + p[2] * c) * np.tanh(c), c


@pytest.mark.parametrize("cell", CELLS)
def test_the_formulas(cell):
    layer, values, state = a_layer(cell), some_input(), a_state(cell)
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    outputs, (h_after, c_after) = layer(values, state)
    for row in range(3):
        h, c = (part[0, row].double().numpy() for part in state)
        for step in range(6):
            h, c = by_the_formulas(cell, weights, values[row, step].double().numpy(), h, c)
            assert outputs[row, step].detach().numpy() == pytest.approx(h, abs=1e-6)
        assert h_after[0, row].detach().numpy() == pytest.approx(h, abs=1e-6)
        assert c_after[0, row].detach().numpy() == pytest.approx(c, abs=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_numerical_gradients(cell):
    """Of all weights, the input and the state, by finite differences in float64."""
    layer = a_layer(cell, 3, 4).double()
    names = [name for name, _ in layer.named_parameters()]
    inputs = [value.detach().requires_grad_() for _, value in layer.named_parameters()]
    inputs += [some_input()[:2, :3, :3].double().requires_grad_()]
    inputs += [part[:, :2, :4].double().contiguous().requires_grad_() for part in a_state(cell)]

    def run(*tensors):
        *weights, values, h, c = tensors
        outputs, after = torch.func.functional_call(
            layer, dict(zip(names, weights, strict=True)), (values, (h, c))
        )
        return (outputs, *after) if cell != "gru" else (outputs, after[0])

    assert torch.autograd.gradcheck(run, inputs, atol=1e-6, fast_mode=False)


@pytest.mark.parametrize("cell", CELLS)
def test_numerical_gradients_of_stacked_layers_through_the_masked_loss(cell):
    model = LanguageModel(9, 8, 4, 2, cell=cell, embedding_dim=3, tie_weights=True, seed=2).double().eval()
    names = [name for name, _ in model.named_parameters()]
    weights = [value.detach().mul(3).requires_grad_() for _, value in model.named_parameters()]
    inputs, targets = torch.tensor([[7, 2, 3], [7, 5, 0]]), torch.tensor([[2, 3, 8], [5, 8, 0]])

    class Loss(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self):
            return self.model.token_nll(inputs, targets).sum()

    def run(*tensors):
        weights = {f"model.{name}": value for name, value in zip(names, tensors, strict=True)}
        return torch.func.functional_call(Loss(), weights, ())

    assert torch.autograd.gradcheck(run, weights, fast_mode=True)


def test_lstm_and_gru_equal_torch():
    for cell, theirs in (("lstm", nn.LSTM), ("gru", nn.GRU)):
        layer, reference = a_layer(cell), theirs(COLUMNS, H, batch_first=True)
        reference.load_state_dict(layer.state_dict())
        assert torch.equal(layer(some_input())[0], reference(some_input())[0])


def test_zero_peepholes_equal_torchs_lstm():
    layer, reference = a_layer("peephole"), nn.LSTM(COLUMNS, H, batch_first=True)
    with torch.no_grad():
        layer.weight_ch_l0.zero_()
    weights = {name: value for name, value in layer.state_dict().items() if name.startswith("weight_")}
    del weights["weight_ch_l0"]
    bias = layer.bias_l0.detach()
    reference.load_state_dict({**weights, "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)})
    for state in (None, a_state("peephole")):
        outputs, (h, c) = layer(some_input(), state)
        expected, (h_expected, c_expected) = reference(some_input(), state)
        for found, other in ((outputs, expected), (h, h_expected), (c, c_expected)):
            assert torch.allclose(found, other, atol=1e-6)


def test_coupled_gates_equal_an_lstm_with_forget_gate_one_minus_input_gate():
    layer, reference = a_layer("coupled"), nn.LSTM(COLUMNS, H, batch_first=True)
    i, g, o = (
        dict(zip(layer.state_dict(), parts, strict=True))
        for parts in zip(*(value.chunk(3) for value in layer.state_dict().values()), strict=True)
    )  # 1 - sigmoid(x) = sigmoid(-x)
    weights = {name: torch.cat([i[name], -i[name], g[name], o[name]]) for name in i}
    bias = weights.pop("bias_l0")
    reference.load_state_dict({**weights, "bias_ih_l0": bias, "bias_hh_l0": torch.zeros_like(bias)})
    assert torch.allclose(layer(some_input())[0], reference(some_input())[0], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
def test_padding_influences_no_score_and_no_gradient(cell, layers):
    model = LanguageModel(20, 8, 6, layers, cell=cell, embedding_dim=4, seed=1).eval()
    inputs = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    targets = torch.tensor([[2, 3, 4, 7], [6, 7, 0, 0]])
    found = []
    for filler in (0, 9):
        model.zero_grad()
        nll = model.token_nll(torch.where(inputs == 0, filler, inputs), targets)
        nll.sum().backward()
        found.append((nll.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    assert torch.equal(found[0][0], found[1][0])
    assert not found[0][0][1, 2:].any()
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_the_cell_is_inferred_from_the_weights(cell, layers):
    arrays = LanguageModel(20, 8, 6, layers, cell=cell, embedding_dim=4).arrays()
    model = NumpyLanguageModel(arrays)
    assert (model.cell, model.num_lstm_layers, model.num_lstm_units) == (cell, layers, 6)
    for name in layer_shapes(cell, 4, 6):
        for change in (arrays[f"layers.0.{name}"][:-1], arrays[f"layers.0.{name}"][None], None):
            damaged = {**arrays, f"layers.0.{name}": change}
            if change is None:
                del damaged[f"layers.0.{name}"]
            with pytest.raises(ValueError, match="weights|expected float32"):
                NumpyLanguageModel(damaged)
    if layers > 1:
        other = LanguageModel(20, 8, 6, layers, cell="coupled" if cell == "lstm" else "lstm", embedding_dim=4)
        mixed = arrays | {name: a for name, a in other.arrays().items() if name.startswith("layers.1.")}
        with pytest.raises(ValueError, match="weights|expected float32"):
            NumpyLanguageModel(mixed)

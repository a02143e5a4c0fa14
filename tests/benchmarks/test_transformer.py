"""The Transformer: causal, indifferent to padding, equal to torch's own layers, trained by the same loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.transformer import TransformerLanguageModel, positions
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.lm.settings import LanguageModelSettings
from tests.lm.neural.test_trainer import V, cycles

IDS = torch.randint(1, V, (2, 9), generator=torch.Generator().manual_seed(0))


def a_model(**options) -> TransformerLanguageModel:
    model = TransformerLanguageModel(V, 64, 16, tie_weights=True, seed=1, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.empty_like(parameter).uniform_(-0.3, 0.3, generator=model.generator))
    return model.eval()


def test_no_step_sees_what_comes_after():
    model = a_model()
    before, _ = model(IDS)
    for step in range(1, 9):
        changed = IDS.clone()
        changed[:, step:] = 0  # padding, too
        after, _ = model(changed)
        assert torch.allclose(before[:, :step], after[:, :step], atol=1e-5)
        assert not torch.allclose(before[:, step], after[:, step], atol=1e-3)


def test_it_equals_torchs_layers():
    model = a_model()
    values = model.embedding(IDS) * 4 + positions(9, 16)
    mask = nn.Transformer.generate_square_subsequent_mask(9)
    for block in model.layers[:-1]:
        layer = nn.TransformerEncoderLayer(
            16, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        names = {
            "to_heads.weight": "self_attn.in_proj_weight", "to_heads.bias": "self_attn.in_proj_bias",
            "from_heads.weight": "self_attn.out_proj.weight", "from_heads.bias": "self_attn.out_proj.bias",
            "first_norm.weight": "norm1.weight", "first_norm.bias": "norm1.bias",
            "second_norm.weight": "norm2.weight", "second_norm.bias": "norm2.bias",
            "expand.weight": "linear1.weight", "expand.bias": "linear1.bias",
            "contract.weight": "linear2.weight", "contract.bias": "linear2.bias",
        }  # fmt: skip
        layer.load_state_dict({names[name]: value for name, value in block.state_dict().items()})
        values = layer(values, src_mask=mask)
    assert torch.allclose(model.outputs(IDS)[0], model.layers[-1](values), atol=1e-5)


def test_numerical_gradients():
    model = a_model(num_blocks=1, num_heads=2).double()
    names = [name for name, _ in model.layers.named_parameters()]
    weights = [value.detach().requires_grad_() for _, value in model.layers.named_parameters()]
    targets = IDS[:1, 1:4]

    def loss(*tensors):
        changed = {f"layers.{name}": value for name, value in zip(names, tensors, strict=True)}
        outputs, _ = torch.func.functional_call(model, changed, (IDS[:1, :3],))
        return nn.functional.cross_entropy(outputs[0], targets[0])

    assert torch.autograd.gradcheck(loss, weights, fast_mode=True)


@pytest.mark.long
def test_it_learns_and_the_seed_decides():
    settings = LanguageModelSettings(max_epochs=12, batch_size=8, learning_rate=0.01)

    def train() -> Trainer:
        model = TransformerLanguageModel(V, 64, 16, seed=3)
        trainer = Trainer(model, cycles(64), cycles(16, 1), settings)
        while trainer.run_epoch():
            pass
        return trainer

    first, same = train(), train()
    assert first.best_validation_loss < 0.7 < first.records[0].validation_loss
    for name, array in first.model.arrays().items():
        assert np.array_equal(array, same.model.arrays()[name])


def test_it_has_no_state():
    with pytest.raises(ValueError, match="no state: pass the whole text"):
        a_model().outputs(IDS, [(IDS, IDS)])

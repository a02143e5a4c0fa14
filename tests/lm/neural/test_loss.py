"""The output layer's loss beside torch's own."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from lmclassify.lm import LanguageModel
from lmclassify.lm.neural.loss import linear_nll, token_nll


@pytest.mark.parametrize("max_logits", [1, 50, 1 << 18])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_linear_nll_equals_cross_entropy_with_gradients(max_logits, scale):
    """For all block sizes, and where a target's probability is rounded to zero."""
    torch.manual_seed(0)
    targets, nll_gradient = torch.randint(0, 11, (23,)), torch.rand(23)
    found = []
    for nll_of in (
        lambda *a: linear_nll(*a, max_logits),
        lambda x, w, b, t: functional.cross_entropy(x @ w.T + b, t, reduction="none"),
    ):
        torch.manual_seed(1)
        values, weight, bias = (torch.randn(shape) for shape in ((23, 5), (11, 5), (11,)))
        for tensor in (values := values * scale, weight, bias):
            tensor.requires_grad_()
        nll = nll_of(values, weight, bias, targets)
        nll.backward(nll_gradient)
        found.append([nll.detach(), values.grad, weight.grad, bias.grad])
    for ours, torchs in zip(*found, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-4, atol=1e-4)
    assert scale == 1.0 or found[0][0].max() > 200


def test_linear_nll_without_gradients_is_the_same():
    values, weight, bias, targets = (
        torch.randn(3, 5),
        torch.randn(4, 5),
        torch.randn(4),
        torch.tensor([1, 0, 3]),
    )
    expected = linear_nll(values, weight.requires_grad_(), bias, targets)
    with torch.no_grad():
        assert torch.equal(linear_nll(values, weight, bias, targets), expected)


def test_padding_never_goes_through_the_output_layer():
    seen = []

    def count(values, targets):
        seen.append(len(values))
        return values.sum(dim=1)

    targets = torch.tensor([[1, 2, 3], [4, 0, 0]])
    values = torch.ones(2, 3, 5)
    nll = token_nll(values, targets, targets != 0, count)
    assert seen == [4]
    assert nll.tolist() == [[5, 5, 5], [5, 0, 0]]
    token_nll(values, targets.clamp_min(1), torch.ones(2, 3, dtype=torch.bool), count)
    assert seen == [4, 6]


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(dropout):
    model = LanguageModel(30, 10, 8, dropout=dropout, seed=0).train()
    values = model._drop(torch.ones(301, 333)).numpy()
    assert (values == 0).mean() == pytest.approx(dropout, abs=0.01)
    assert values.max() == pytest.approx(1 / (1 - dropout), rel=1e-3)
    assert np.array_equal(model.eval()._drop(torch.ones(3)), np.ones(3))

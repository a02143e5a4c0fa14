from __future__ import annotations

import numpy as np
import pytest
import torch

from lmclassify.lm import LanguageModel
from lmclassify.lm.neural.model import default_embedding_dim


@pytest.mark.parametrize(
    ("vocab_size", "expected"), [(1, 1), (15, 1), (16, 2), (9999, 9), (10_000, 10), (10**8, 100)]
)
def test_default_embedding_is_the_fourth_root(vocab_size, expected):
    assert default_embedding_dim(vocab_size) == expected


def test_creating_a_model_does_not_change_torchs_random_state():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    LanguageModel(30, 10, 4, 2, tie_weights=True).train().outputs(torch.ones(1, 3, dtype=torch.int64))
    assert torch.rand(1) == expected


def test_the_seed_determines_the_weights():
    first, same, other = (LanguageModel(30, 10, 4, seed=seed).arrays() for seed in (1, 1, 2))
    for name, array in first.items():
        assert np.array_equal(array, same[name])
    assert any(not np.array_equal(array, other[name]) for name, array in first.items())


@pytest.mark.parametrize("tie_weights", [False, True])
def test_arrays_are_exported_and_loaded(tie_weights):
    model = LanguageModel(30, 10, 4, 2, tie_weights=tie_weights, seed=1)
    other = LanguageModel(30, 10, 4, 2, tie_weights=tie_weights, seed=2)
    other.load_arrays(model.arrays())
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(model.eval()(ids)[0], other.eval()(ids)[0])
    assert ("output.weight" in model.arrays()) == (not tie_weights)


def test_a_unigram_start_gives_unigram_probabilities():
    model = LanguageModel(5, 10, 4, embedding_dim=3, tie_weights=True)
    model.start_from_unigram(np.array([0.0, 3.0, 1.0, 0.0, 0.0]), smoothing=0.5)
    expected = np.array([0.5, 3.5, 1.5, 0.5, 0.5]) / 6.5
    assert torch.log_softmax(model.output.bias, 0).exp().detach().numpy() == pytest.approx(expected)

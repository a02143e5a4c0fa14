"""The numpy forward pass against its oracle, the torch module, and what padding must not do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.inference.forward import perplexity
from lmclassify.text.sequences import make_batch

DEVICES = {"cpu": 1e-5} | ({"cuda": 1e-4} if torch.cuda.is_available() else {})
"""Where torch scores, and how far from numpy at most."""
V = 40
sequences = st.lists(st.integers(1, V - 1), min_size=2, max_size=30)
batches = st.lists(sequences, min_size=1, max_size=6)
cells = st.sampled_from(["lstm", "gru", "peephole", "coupled"])
shapes = st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 5), st.just(1.0), cells)


def a_model(
    layers: int, tie_weights: bool, seed: int, scale: float = 1.0, cell: str = "lstm"
) -> LanguageModel:
    options = {"embedding_dim": 6, "tie_weights": tie_weights, "seed": seed, "cell": cell}
    model = LanguageModel(V, 64, 9, layers, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-scale, scale, generator=model.generator)
    return model.eval()


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=25)
@given(texts=batches, shape=shapes)
def test_numpy_equals_torch(device, texts, shape):
    model = a_model(*shape)
    batch = make_batch(texts)
    nll, _ = NumpyLanguageModel(model.arrays()).token_nll(batch.inputs, batch.targets)
    model.to(device)
    with torch.no_grad():
        inputs, targets = (torch.from_numpy(ids).to(device) for ids in batch)
        expected = model.token_nll(inputs, targets)
    assert np.abs(nll - expected.cpu().numpy()).max() <= DEVICES[device]


@settings(max_examples=25)
@given(texts=batches, shape=shapes)
def test_scores_do_not_depend_on_the_batch(texts, shape):
    model = NumpyLanguageModel(a_model(*shape).arrays())
    batch = make_batch(texts)
    together = model.token_nll(batch.inputs, batch.targets)[0].sum(axis=1)
    for row, text in enumerate(texts):
        alone = make_batch([text])
        assert abs(model.token_nll(alone.inputs, alone.targets)[0].sum() - together[row]) <= 1e-5


@settings(max_examples=25)
@given(texts=batches, shape=shapes, piece=st.integers(1, 9))
def test_a_text_in_pieces_has_the_same_scores(texts, shape, piece):
    model = NumpyLanguageModel(a_model(*shape).arrays())
    batch = make_batch(texts)
    whole, _ = model.token_nll(batch.inputs, batch.targets)
    state, parts = None, []
    for start in range(0, batch.inputs.shape[1], piece):
        part = slice(start, start + piece)
        nll, state = model.token_nll(batch.inputs[:, part], batch.targets[:, part], state)
        parts.append(nll)
    assert np.abs(np.concatenate(parts, axis=1) - whole).max() <= 1e-5


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "coupled"])
def test_extreme_weights_give_finite_scores(cell):
    model = NumpyLanguageModel(a_model(2, True, 0, 200.0, cell).arrays())
    batch = make_batch([[1, 2, 3, 4, 5]])
    nll, _ = model.token_nll(batch.inputs, batch.targets)
    assert np.isfinite(nll).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("output.bias"), "output.bias"),
        (lambda arrays: arrays.pop("embedding.weight"), "not the weights"),
        (lambda arrays: arrays.update(more=np.zeros(1, np.float32)), "more"),
        (lambda arrays: arrays.update({"output.bias": np.zeros(3, np.float32)}), r"\(3,\)"),
        (lambda arrays: arrays.update({"output.bias": np.zeros(V)}), "float64"),
        (lambda arrays: arrays.update({"output.bias": np.full(V, np.nan, np.float32)}), "not finite"),
    ],
)
def test_invalid_arrays_are_refused(change, message):
    arrays = a_model(1, False, 0).arrays()
    change(arrays)
    with pytest.raises(ValueError, match=message):
        NumpyLanguageModel(arrays)


def test_perplexity():
    assert perplexity(10 * math.log(7), 10) == pytest.approx(7)
    assert perplexity(1e6, 1) == math.inf
    assert math.isnan(perplexity(0.0, 0))


@pytest.mark.parametrize("shift", [-500.0, -60.0, 0.0, 60.0, 500.0])
def test_large_logits_have_the_same_softmax(shift):
    arrays = a_model(1, True, 0).arrays()
    batch = make_batch([[3, 6, 1, 9], [5, 2]])
    expected, _ = NumpyLanguageModel(arrays).token_nll(batch.inputs, batch.targets)
    moved = {**arrays, "output.bias": arrays["output.bias"] + np.float32(shift)}
    nll, _ = NumpyLanguageModel(moved).token_nll(batch.inputs, batch.targets)
    np.testing.assert_allclose(nll, expected, atol=1e-4)  # a softmax does not see what all logits share

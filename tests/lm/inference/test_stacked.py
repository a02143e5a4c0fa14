"""LSTMs that score together, against themselves one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.lm import NumpyLanguageModel
from lmclassify.lm.inference.forward import StackedLSTMs, stackable
from lmclassify.text.sequences import make_batch
from tests.lm.inference.test_forward import a_model, batches


def numpy_models(layers: int, tied: bool, seeds: list[int]) -> list[NumpyLanguageModel]:
    return [NumpyLanguageModel(a_model(layers, tied, seed).arrays()) for seed in seeds]


@settings(max_examples=25)
@given(texts=batches, layers=st.integers(1, 3), tied=st.booleans(), count=st.integers(1, 4))
def test_stacked_models_score_as_each_model(texts, layers, tied, count):
    models = numpy_models(layers, tied, list(range(count)))
    batch = make_batch(texts)
    together = StackedLSTMs(models).token_nll(batch.inputs, batch.targets)
    assert together.shape == (count, *batch.inputs.shape)
    for model, found in zip(models, together, strict=True):
        assert np.abs(found - model.token_nll(batch.inputs, batch.targets)[0]).max() <= 1e-5


@settings(max_examples=25)
@given(texts=batches)
def test_scores_do_not_depend_on_the_batch(texts):
    stacked = StackedLSTMs(numpy_models(1, True, [0, 1]))
    batch = make_batch(texts)
    together = stacked.token_nll(batch.inputs, batch.targets).sum(axis=2)
    for row, text in enumerate(texts):
        alone = make_batch([text])
        assert (
            np.abs(stacked.token_nll(alone.inputs, alone.targets).sum(axis=2)[:, 0] - together[:, row]).max()
            <= 1e-5
        )


def test_nothing_to_score():
    batch = make_batch([[1]])
    assert StackedLSTMs(numpy_models(1, True, [0, 1])).token_nll(batch.inputs, batch.targets).sum() == 0


def test_only_lstms_of_one_size_are_stackable():
    a, b = numpy_models(1, True, [0, 1])
    (deep,) = numpy_models(2, True, [0])
    gru = NumpyLanguageModel(a_model(1, True, 0, cell="gru").arrays())
    assert stackable([a, b])
    assert not stackable([a, deep])
    assert not stackable([gru, gru])
    assert not stackable([])

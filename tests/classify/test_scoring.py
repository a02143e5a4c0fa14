"""Texts under models."""

import numpy as np

from lmclassify.classify.scoring import chosen_log_likelihoods, log_likelihoods
from tests.conftest import bundled


def test_the_models_chosen_score_as_among_all(model):
    models = [*model.models, *model.models[::-1], model.models[0]]
    sequences = model.tokenizer.sequences([*bundled(limit=30)[0], "", "word " * 300])
    chosen = np.random.default_rng(0).permuted(np.tile(np.arange(5), (32, 1)), axis=1)
    everything = log_likelihoods(models, sequences)
    for width in (1, 3, 5):
        scores = chosen_log_likelihoods(models, sequences, chosen[:, :width], threads=2)
        expected = np.take_along_axis(everything, chosen[:, :width], axis=1)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)

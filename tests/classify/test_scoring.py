"""Texts under models."""

import numpy as np

from lmclassify.classify.scoring import log_likelihoods, masked_log_likelihoods
from tests.conftest import bundled


def test_the_models_asked_score_as_among_all(model):
    models = [*model.models, *model.models[::-1], model.models[0]]
    sequences = model.tokenizer.sequences([*bundled(limit=30)[0], "", "word " * 300])
    everything = log_likelihoods(models, sequences)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.9, 1.0):
        asked = rng.random(everything.shape) < share
        asked[:, 1] &= share == 1.0  # a model that nobody asks
        scores = masked_log_likelihoods(models, sequences, asked, threads=2)
        np.testing.assert_allclose(scores, np.where(asked, everything, 0.0), rtol=1e-5)

"""Language models that differ in their output biases only, against themselves one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.scoring import log_likelihoods, masked_log_likelihoods, token_log_probs
from lmclassify.lm import NumpyLanguageModel
from lmclassify.lm.inference.forward import SharedNetwork, share_network
from lmclassify.text.sequences import make_batch
from tests.lm.inference.test_forward import a_model, batches


def rescaled_models(count: int, tied: bool = True) -> list[NumpyLanguageModel]:
    arrays = a_model(1, tied, 0).arrays()
    rng = np.random.default_rng(0)
    biases = rng.normal(size=(count, len(arrays["output.bias"]))).astype(np.float32)
    return [NumpyLanguageModel(arrays | {"output.bias": bias}) for bias in biases]


@settings(max_examples=25)
@given(texts=batches, tied=st.booleans())
def test_they_score_as_each_model(texts, tied):
    models = rescaled_models(3, tied)
    batch = make_batch(texts)
    together, _ = SharedNetwork(models).summed_nll(batch.inputs, batch.targets)
    for model, found in zip(models, together.T, strict=True):
        alone = model.token_nll(batch.inputs, batch.targets)[0].sum(axis=1)
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-4)


@settings(max_examples=10)
@given(texts=batches)
def test_log_likelihoods_are_sums_of_token_log_probs(texts):
    models, sequences = rescaled_models(4), [np.array(text) for text in texts]
    scores = log_likelihoods(models, sequences)
    by_token = np.stack([rows.sum(axis=0) for rows in token_log_probs(models, sequences)])
    np.testing.assert_allclose(scores, by_token, rtol=1e-5, atol=1e-4)
    mask = np.arange(scores.size).reshape(scores.shape) % 3 == 0
    np.testing.assert_allclose(masked_log_likelihoods(models, sequences, mask), scores * mask)


def test_models_with_networks_of_their_own_do_not_share():
    models = rescaled_models(2)
    assert share_network(models)
    assert not share_network(models[:1])
    assert not share_network([])
    assert not share_network([models[0], NumpyLanguageModel(a_model(1, True, 0).arrays())])

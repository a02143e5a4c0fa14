"""Texts read from their ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.scoring import log_likelihoods, token_log_probs
from lmclassify.lm import LanguageModel, NumpyLanguageModel
from lmclassify.lm.inference.directions import DirectedLanguageModel, reversed_batch
from lmclassify.text.sequences import make_batch, reverse

V, BEGIN, END = 12, 10, 11
texts = st.lists(st.lists(st.integers(1, 9), max_size=9), min_size=1, max_size=5)


def a_model(seed: int) -> NumpyLanguageModel:
    arrays = LanguageModel(V, 20, 6, embedding_dim=4, seed=seed).arrays()
    rng = np.random.default_rng(seed)
    return NumpyLanguageModel({n: rng.uniform(-1, 1, a.shape).astype("f4") for n, a in arrays.items()})


FORWARD, BACKWARD = a_model(1), a_model(2)
ALONE = DirectedLanguageModel(None, BACKWARD, END)
PAIR = DirectedLanguageModel(FORWARD, BACKWARD, END)


@settings(max_examples=25)
@given(texts=texts, ended=st.booleans())
def test_a_batch_is_reversed_as_its_sequences_are(texts, ended):
    sequences = [[BEGIN, *text, *([END] if ended or not text else [])] for text in texts]
    batch = make_batch(sequences)
    backwards, order = reversed_batch(batch, END)
    expected = make_batch([reverse(sequence, END) for sequence in sequences])
    assert backwards.inputs.tolist() == expected.inputs.tolist()
    assert backwards.targets.tolist() == expected.targets.tolist()
    assert np.array_equal(np.take_along_axis(backwards.targets, order, axis=1), batch.targets)
    for text, sequence in zip(texts, sequences, strict=True):
        back = [BEGIN, *text[::-1], *([END] if ended or not text else [])]
        assert reverse(sequence, END).tolist() == back
        assert reverse(back, END).tolist() == sequence


@settings(max_examples=25)
@given(texts=texts)
def test_a_backward_model_scores_the_reversed_text_and_a_pair_the_mean(texts):
    sequences = [np.array([BEGIN, *text, END]) for text in texts]
    backwards = [np.array([BEGIN, *text[::-1], END]) for text in texts]
    found = log_likelihoods([ALONE, PAIR, FORWARD], sequences)
    backward = log_likelihoods([BACKWARD], backwards)[:, 0]
    np.testing.assert_allclose(found[:, 0], backward, atol=1e-5)
    np.testing.assert_allclose(found[:, 1], (backward + found[:, 2]) / 2, atol=1e-5)
    in_order_log_probs = token_log_probs([ALONE, PAIR], sequences)
    backwards_log_probs = token_log_probs([BACKWARD], backwards)
    for row, (in_order, reversed_) in enumerate(zip(in_order_log_probs, backwards_log_probs, strict=True)):
        np.testing.assert_allclose(in_order.sum(axis=0), found[row, :2], atol=1e-9)
        np.testing.assert_allclose(in_order[:-1, 0], reversed_[:-1, 0][::-1], atol=1e-5)
        assert in_order[-1, 0] == pytest.approx(reversed_[-1, 0], abs=1e-5)  # the end stays the end


def test_the_probabilities_of_all_texts_sum_to_one():
    """Of up to three tokens out of two, with what is longer: each direction is a proper language model."""
    small = {"vocab_size": 5, "max_length": 9, "num_lstm_units": 3, "embedding_dim": 2}
    model = NumpyLanguageModel(LanguageModel(**small, seed=4).arrays())
    backward = DirectedLanguageModel(None, model, end_id=4)
    short = [[*prefix, t] for prefix in ([], [0], [1]) for t in (0, 1)]
    whole = [[3, *(t + 1 for t in text), 4] for text in ([], *short)]
    total = np.exp(log_likelihoods([backward], [np.array(text) for text in whole])).sum()
    # What is left is the probability of ids other than the two and of texts of three tokens and more.
    left = 0.0
    for start in ([], [1], [2], [1, 1], [1, 2], [2, 1], [2, 2]):
        outputs, _ = model.outputs(np.array([[3, *start]]))
        next_probabilities = np.exp(model.log_probabilities(outputs[:, -1]))[0]
        before = (
            np.exp(-model.token_nll(np.array([[3, *start]])[:, :-1], np.array([start]))[0].sum())
            if start
            else 1.0
        )
        others = [0, 3] + ([1, 2] if len(start) == 2 else [])
        left += before * next_probabilities[others].sum()
    assert total + left == pytest.approx(1, abs=1e-5)


def test_long_texts_are_reversed_as_a_whole():
    sequence = np.array([BEGIN, *np.random.default_rng(0).integers(1, 10, 4_000), END])
    backwards = reverse(sequence, END)
    (found,) = log_likelihoods([ALONE], [sequence])[0]
    nll, _ = BACKWARD.token_nll(backwards[None, :-1], backwards[None, 1:])
    assert found == pytest.approx(-nll.sum(), rel=1e-6)


def test_a_cut_text_has_no_end():
    sequence = np.array([BEGIN, 1, 2, 3, 4, END])
    found = log_likelihoods([ALONE], [sequence], max_length=4)[0, 0]
    cut = np.array([BEGIN, 3, 2, 1])
    assert found == pytest.approx(log_likelihoods([BACKWARD], [cut])[0, 0], abs=1e-5)

"""Which labels the LSTMs score, and what is taken for the scores of the others."""

import numpy as np
import pytest

from lmclassify.classify.cascade import MAX_LSTM_LABELS, Cascade
from lmclassify.classify.ensemble import Combination

EXPERTS = ("ngrams", "lstm", "tuned lstm")


def mask_of(combination, ngram_joint, lengths):
    return combination.cascade_mask(combination.approximate_joint(ngram_joint), lengths)


def test_lstms_score_near_labels_and_are_approximated_for_others():
    bias = np.array([0.0, 0.0, -1.0])  # the approximation rests on the n-gram models' evidence alone
    cascade = Cascade(gap=2.0, slope=0.1, length=9.0)
    combination = Combination(EXPERTS, np.array([1.0, 0.5, 0.25]), bias, cascade)
    ngrams = np.array([[0.0, -1.0, -4.0], [0.0, -3.0, -3.0], [-3.0, 0.0, -0.5]])
    expected = [[True, True, False], [False] * 3, [False, True, True]]
    assert mask_of(combination, ngrams + bias, [9, 9, 9]).tolist() == expected
    lstms = np.array([[-10.0, -8.0, -1.0], [-10.0, -2.0, -1.0], [-9.0, -6.0, -6.0]])
    joint = combination.cascade_joint([ngrams, lstms, 2 * lstms], [9, 9, 9])  # both LSTMs have the weight 1
    np.testing.assert_allclose(
        joint,
        [
            [-10.0, -9.0, -5.0 - 10.0 - 0.4],  # as the first label's, minus a tenth of the 4 nats below it
            [0.0, -3.0 - 0.3, -4.0 - 0.3],  # no label is near: the LSTMs score none
            [-3.0 - 6.0 - 0.3, -6.0, -7.5],
        ],
    )


def test_of_many_near_labels_the_likeliest_are_scored():
    scores = np.random.default_rng(0).normal(size=(3, 2 * MAX_LSTM_LABELS))
    scores[0, 3:] = -99.0
    scored = Cascade(gap=50.0).mask(scores, [1, 1, 1])
    assert scored.sum(axis=1).tolist() == [3, MAX_LSTM_LABELS, MAX_LSTM_LABELS]
    assert all(row[at].min() > row[~at].max() for row, at in zip(scores, scored, strict=True))
    assert Cascade().mask(scores, [1, 1, 1]).all()


def test_longer_texts_have_larger_gaps():
    combination = Combination(EXPERTS, np.ones(3), np.zeros(2), Cascade(gap=1.0, length=9.0))
    margins = np.array([[0.0, -0.9], [0.0, -0.6], [0.0, -2.9], [0.0, -3.1]])
    scored = mask_of(combination, margins, [9, 4, 27, 27]).any(axis=1)
    assert scored.tolist() == [True, True, True, False]  # like the root of the length, or like the length
    assert not mask_of(combination, margins[1:2], [3]).any()


def test_texts_longer_than_usual_are_scored_by_the_n_gram_models_alone():
    cascade = Cascade(gap=1.0, length=10.0)
    combination = Combination(EXPERTS, np.ones(3), np.zeros(2), cascade, usual_length=20.0)
    margins = np.array([[0.0, -1.9], [0.0, -2.1], [0.0, 0.0]])
    lengths = [20, 20, 21]
    assert mask_of(combination, margins, lengths).any(axis=1).tolist() == [True, False, False]
    assert combination.cascade_mask(margins, lengths, exact=True).all()


def test_a_label_that_leads_by_its_bias_alone_is_scored():
    combination = Combination(EXPERTS, np.ones(3), np.array([0.0, -10.0]), Cascade(gap=2.0, slope=0.5))
    evidence = np.array([[0.0, 6.0], [0.0, 7.0], [0.0, 1.0]])  # 4, 3 and 9 nats less likely in all
    scored = mask_of(combination, evidence + combination.bias, [1, 1, 1]).any(axis=1)
    assert scored.tolist() == [True, True, False]  # approximately 1, -0.5 and 8.5 nats less likely


def test_without_a_gap_every_label_is_computed():
    rng = np.random.default_rng(0)
    scores = list(rng.normal(size=(3, 20, 4)))
    combination = Combination(EXPERTS, np.array([2.0, 0.5, 0.1]), rng.normal(size=4))
    lengths = np.ones(20)
    np.testing.assert_allclose(combination.cascade_joint(scores, lengths), combination.joint(scores, lengths))
    no_lstms = Combination(EXPERTS, np.array([2.0, 0.0, 0.0]), np.zeros(4))
    for exact in (False, True):
        assert not no_lstms.cascade_mask(scores[0], np.ones(20), exact=exact).any()


@pytest.mark.parametrize(
    ("gap", "slope", "length"),
    [(-1.0, 0.0, 1.0), (np.nan, 0.0, 1.0), (1.0, -0.1, 1.0), (1.0, np.inf, 1.0), (1.0, 0.0, 0.0)],
)
def test_unusable_numbers(gap, slope, length):
    with pytest.raises(ValueError, match="a cascade"):
        Cascade(gap, slope, length)

"""Measures of the TREC spam track, with numbers that were worked out by hand."""

import numpy as np
import pytest

from benchmarks.spam_measures import (
    ham_misclassified,
    learning_curve,
    measures,
    one_minus_auc,
    spam_misclassified,
)

IS_SPAM = np.array([False, False, False, False, True, True, True, True, True])
SCORES = np.array([0.1, 0.2, 0.5, 0.8, 0.2, 0.6, 0.7, 0.9, 0.9])


def test_one_minus_auc():
    # Of 20 pairs, spam .2 loses against ham .5 and .8 and ties with ham .2; spams .6 and .7 lose against .8.
    assert one_minus_auc(IS_SPAM, SCORES) == pytest.approx(100 * 4.5 / 20)
    assert one_minus_auc(IS_SPAM, np.zeros(9)) == pytest.approx(50)
    assert one_minus_auc(IS_SPAM[:4], SCORES[:4]) is None


@pytest.mark.parametrize(
    ("spam_missed", "expected"),
    [
        (0, 75),  # threshold .2: ham .2, .5 and .8 are misclassified
        (19.9, 75),
        (20, 25),  # one of five spams may be missed, so threshold .6: ham .8
        (40, 25),
        (60, 0),
        (100, 0),
    ],
)
def test_ham_misclassified(spam_missed, expected):
    assert ham_misclassified(IS_SPAM, SCORES, spam_missed) == expected


@pytest.mark.parametrize(
    ("ham_lost", "expected"),
    [
        (0, 60),  # threshold .8: spam .2, .6 and .7 are missed
        (25, 20),  # one of four hams may be lost, so above .5: spam .2 is missed
        (50, 20),  # above .2: spam .2 is still missed
        (75, 0),
        (100, 0),
    ],
)
def test_spam_misclassified(ham_lost, expected):
    assert spam_misclassified(IS_SPAM, SCORES, ham_lost) == expected


def test_five_of_five_hundred_spams_may_be_missed():
    scores = np.concatenate([np.full(100, 0.55), np.arange(500) / 500])
    is_spam = np.arange(600) >= 100
    assert ham_misclassified(is_spam, scores, 1) == 100  # threshold .010
    assert ham_misclassified(is_spam, scores, 55) == 100  # threshold .550
    assert ham_misclassified(is_spam, scores, 55.2) == 0  # threshold .552


def test_own_verdicts():
    called_spam, unsure = SCORES > 0.75, (SCORES > 0.4) & (SCORES < 0.75)
    found = measures(IS_SPAM, SCORES, called_spam, unsure)
    assert (found["hm"], found["sm"]) == (25, 60)
    assert found["unsure"] == pytest.approx(100 * 3 / 9)


def test_learning_curve():
    curve = learning_curve(IS_SPAM, SCORES, SCORES > 0.5, (3, 8, 10, 20))
    assert [(part["start"], part["end"]) for part in curve] == [(0, 3), (3, 8), (8, 9)]
    assert [(part["ham"], part["ham_lost"], part["spam_missed"]) for part in curve] == [
        (3, 0, 0),
        (1, 1, 1),
        (0, 0, 0),
    ]
    assert [part["one_minus_auc"] for part in curve] == [None, pytest.approx(75), None]

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.classify.predictor import ScoringResult
from lmclassify.errors import DataError
from lmclassify.prediction.labelling import TableLabeller
from lmclassify.tables.rows import Rows


class LengthModel:
    """Predicts spam for texts of more than three characters."""

    label_names = ("ham", "spam")

    def score(self, texts):
        spam = np.array([0.9 if len(text) > 3 else 0.2 for text in texts])
        joint = np.log(np.stack([1 - spam, spam], axis=1))
        return ScoringResult(texts, joint, joint, [], [None] * len(texts), spam > 0.5)

    def cross_entropies(self, result, log_posteriors):
        return np.ones(len(result.texts))


ROWS = Rows(
    ["p_ham", "label", "text"],
    [["old", "spam", "hi"], ["old", "", "hello"], ["old", "ham", " "], ["old", "spam", "hello"]],
    first=5,
)


def test_rows_keep_their_order_and_get_new_columns():
    labelled = TableLabeller(LengthModel(), [2], 1).label(ROWS)
    assert labelled.names == ["label", "text", "predicted_label", "p_ham", "p_spam"]
    assert (labelled.first, labelled.cells) == (5, [row[1:] for row in ROWS.cells])
    assert labelled.added["predicted_label"] == ["ham", "spam", "", "spam"]
    np.testing.assert_allclose(labelled.added["p_spam"], [0.2, 0.9, np.nan, 0.9])


def test_only_counts_are_kept_by_default():
    decisions = Decisions(("ham", "spam"), min_confidence=0.85)
    for keep in (False, True):
        labeller = TableLabeller(LengthModel(), [2], 1, decisions=decisions, keep_known=keep)
        for _ in range(3):
            labeller.label(ROWS)
        assert labeller.counts == {("spam", UNSURE): 3, ("spam", "spam"): 3}
        assert labeller.without_text == 3
        assert labeller.true == ["spam", "spam"] * 3 * keep
        assert len(labeller.log_posteriors) == 6 * keep


def test_existing_columns_are_reported():
    labeller = TableLabeller(LengthModel(), [2])
    labeller.check_columns(["text", "label"], "mail.csv")
    with pytest.raises(
        DataError, match="mail.csv already has p_ham; rename them, or replace them with --over"
    ):
        labeller.check_columns(ROWS.names, "mail.csv")


def test_texts_longer_than_the_training_texts_are_counted(golden_tuned):
    combination = replace(golden_tuned.combination, usual_length=8.0)
    labeller = TableLabeller(replace(golden_tuned, combination=combination), [0])
    labeller.label(Rows(["text"], [["win"], ["win " * 30], [""]]))
    assert (labeller.comparison.texts, labeller.comparison.longer) == (2, 1)

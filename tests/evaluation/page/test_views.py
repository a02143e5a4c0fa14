"""Data for the templates."""

from __future__ import annotations

import numpy as np

from lmclassify.classify.decisions import Decisions
from lmclassify.evaluation.confusion import confused_pairs
from lmclassify.evaluation.metrics import evaluate
from lmclassify.evaluation.mistakes import Mistake
from lmclassify.evaluation.page.views import influential_word_rows, matrix_rows, mistake_view

from .pages import explanation


def test_long_mistakes_are_cut_and_their_strongest_words_named():
    text = " ".join(f"word{number}" for number in range(400))
    view = mistake_view(Mistake(text, "ham", "spam", 0.9, [1]), "row 1", explanation(text, "spam", "ham"))
    assert (len(view.words), view.words_cut) == (150, 250)
    assert [word["word"] for word in view.words_for] == ["word398", "word396", "word394", "word392"]
    assert [word["word"] for word in view.words_against] == ["word399", "word397", "word395", "word393"]
    assert [word.kind for word in view.words[:14]] == [None] * 11 + ["against", "for", "against"]


def test_words_without_spaces_between_them():
    mistake = Mistake("免费 a", "ham", "spam", 0.9, [1])
    words = [
        {"word": w, "start": at, "end": at + 1, "part": 1.0} for w, at in (("免", 0), ("费", 1), ("a", 3))
    ]
    view = mistake_view(mistake, "row 1", {"words": words})
    assert [word.spaced for word in view.words] == [True, False, True]


def test_matrix_rows_leave_out_unsure_and_share_each_row():
    decisions = Decisions(["a", "b"], min_confidence=0.7)
    log_posteriors = np.log([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    evaluation = evaluate(["a", "a", "a", "b"], log_posteriors, decisions)
    first, second = matrix_rows(evaluation)
    assert [(cell.count, cell.kind) for cell in first.cells] == [(1, "right"), (1, "wrong"), (1, "wrong")]
    assert (second.label, second.texts, second.cells[1].share) == ("b", 1, 1.0)
    assert confused_pairs(evaluation.labels, evaluation.confusion_matrix) == {
        "rows": [
            {"true": "a", "predicted": "b", "count": 1, "share": 1 / 3},
            {"true": "a", "predicted": "unsure", "count": 1, "share": 1 / 3},
        ],
        "pairs": 2,
        "mistakes": 2,
        "mistakes_shown": 2,
    }


def test_influential_words_are_shaded_by_their_total():
    words = {"a": [{"word": "x", "count": 1, "part": 4.0, "total": 4.0}], "b": []}
    ((_, (word,)), (_, none)) = influential_word_rows(words)
    assert (word.strength, word.kind, none) == (1.0, "for", [])

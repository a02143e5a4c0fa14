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
    assert [(label, colour, [word["word"] for word in words]) for label, colour, words in view.strongest] == [
        ("spam", 1, ["word398", "word396", "word394", "word392"]),
        ("ham", 0, ["word399", "word397", "word395", "word393"]),
    ]
    assert [(word.kind, word.colour) for word in view.words[17:22]] == [
        (None, None), (None, None), ("against", 0), ("for", 1), ("against", 0)
    ]  # fmt: skip


def test_words_without_spaces_between_them():
    mistake = Mistake("免费 a", "ham", "spam", 0.9, [1])
    explained = explanation("免 费 a", "spam", "ham")
    for word, at in zip(explained["words"], (0, 1, 3), strict=True):
        word |= {"start": at, "end": at + 1}
    view = mistake_view(mistake, "row 1", explained)
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
    words = {"b": [{"word": "x", "count": 1, "contribution": 4.0, "total": 4.0}], "c": []}
    ((_, number, (word,)), (_, other, none)) = influential_word_rows(words, ["a", "b", "c"])
    assert (word.strength, word.kind, word.colour, number, other, none) == (1.0, "for", 1, 1, 2, [])

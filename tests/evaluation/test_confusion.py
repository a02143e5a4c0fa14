"""The confusion matrix for people."""

from __future__ import annotations

import numpy as np

from lmclassify.classify.decisions import Decisions
from lmclassify.evaluation.confusion import confusion_text
from lmclassify.evaluation.explanation import Screen, informative_words_to_text
from lmclassify.evaluation.metrics import evaluate
from lmclassify.evaluation.page.views import label_rows, matrix_picture

LABELS = [f"label {number:04}" for number in range(1200)]


def predictions(predicted: list[int]) -> np.ndarray:
    log_posteriors = np.full((len(predicted), len(LABELS)), np.log(0.1 / (len(LABELS) - 1)))
    log_posteriors[np.arange(len(predicted)), predicted] = np.log(0.9)
    return log_posteriors


def test_few_labels_have_a_matrix():
    assert confusion_text(["a", "label b"], [[1, 20], [0, 3]]).splitlines() == [
        "rows: true labels; columns: predicted labels",
        "               a  label b",
        "      a        1       20",
        "label b        0        3",
    ]


def test_of_many_labels_those_that_occur_are_reported():
    result = evaluate([LABELS[7], LABELS[7], LABELS[9]], predictions([7, 9, 9]), Decisions(LABELS))
    text = result.to_text()
    assert len(text) < 2000
    assert "of the 2 labels that occur" in text
    assert "not shown: 1,198 that do not occur; macro avg is the mean of the 2 labels that occur" in text
    assert [line.split() for line in text.splitlines() if line.startswith("label")] == [
        ["label", "0007", "1", "1"],
        ["label", "0009", "0", "1"],
    ]
    assert len(result.to_dict()["confusion_matrix"]) == 1200
    assert [name for name, _ in label_rows(result)] == ["label 0007", "label 0009"]
    assert matrix_picture(result)["height"] == 1200


def test_of_many_labels_that_occur_the_most_confused_pairs_are_shown():
    true = [label for label in LABELS for _ in range(2)]
    predicted = [number for number in range(1200) for _ in range(2)]
    predicted[0] = predicted[1] = 5
    predicted[2] = 6
    perplexity = dict.fromkeys(LABELS, 2.0)
    result = evaluate(true, predictions(predicted), Decisions(LABELS), perplexity)
    text = result.to_text()
    assert len(text) < 10_000
    assert "not shown: 1,150 with fewer texts; macro avg" in text
    at = text.splitlines().index("most confused labels: 2 of 2 pairs, with 3 of 3 mistakes")
    assert [line.split() for line in text.splitlines()[at + 2 : at + 4]] == [
        ["label", "0000", "label", "0005", "2", "100%"],
        ["label", "0001", "label", "0006", "1", "50.0%"],
    ]
    assert len(label_rows(result)) == 200


def test_no_mistakes_among_many_labels():
    result = evaluate(LABELS[:20], predictions([*range(20)]), Decisions(LABELS))
    assert "no text got a wrong label" in result.to_text()


def test_informative_words_of_many_labels():
    words = {label: [] for label in LABELS}
    words[LABELS[3]] = [{"word": "free", "count": 1, "contribution": 2.0, "total": 2.0}]
    assert informative_words_to_text(words, Screen()).splitlines()[:5] == [
        "Words for label 0003",
        "word  times  contribution  total",
        "free      1         +2.00   +2.0  ####################",
        "",
        "1,199 more labels: --format json shows all",
    ]

"""The HTML report: valid, correct and safe."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from lmclassify import LMClassifier
from lmclassify.evaluation.page.report import render

from ...conftest import SMALL, bundled
from .pages import parse, report_of

HOSTILE = ['<b>&"', "<script>alert(1)</script>", "_$x^2$\u202e", "مرحبا\x1b[31m", "x" * 300]


@pytest.fixture(scope="module")
def emails():
    return bundled("emails.csv")


@pytest.fixture(scope="module")
def email_report(model, emails, tmp_path_factory):
    return report_of(model, tmp_path_factory.mktemp("page"), *emails)


def test_the_page_of_two_labels(model, emails, email_report):
    texts, labels = emails
    page = parse(email_report)
    text = " ".join(page.text.split())
    is_spam = [label == "spam" for label in labels]
    p = model.predict_proba(texts)[:, 1]
    low, high = email_report.evaluation.accuracy_interval
    assert (
        f"Accuracy{accuracy_score(labels, model.predict(texts)):.4f}95% interval {low:.4f} to {high:.4f}"
        in text
    )
    assert f"Area under the curve: spam {roc_auc_score(is_spam, p):.4f}" in text
    assert f"Average precision: spam {average_precision_score(is_spam, p):.4f}" in text
    assert "At probability 0.5: false-positive rate" in text
    assert f"Expected calibration error {email_report.evaluation.ece:.4f}" in text
    assert "in all 200 texts" in text
    assert [tag for tag, _ in page.elements].count("svg") == 5
    assert len(email_report.mistakes) == 12
    assert {"for", "against", "shaded right", "shaded wrong"} <= set(page.values("class"))
    for mistake, explanation in email_report.mistakes:
        assert (explanation["label"], explanation["against"]) == (mistake.predicted, mistake.true)
    assert len(page.values("role")) > 5
    for key in ("summary", "confusion", "labels", "curves", "mistakes", "words", "model"):
        assert key in page.values("id")


def test_numbers_of_the_tables_and_the_same_bytes_again(email_report):
    document = render(email_report)
    assert document == render(email_report)
    for row in email_report.evaluation.confusion_matrix:
        for count in row:
            assert f">{count:,}<small>" in document
    for figures in email_report.evaluation.per_label.values():
        for key in ("precision", "recall", "f1-score"):
            assert f"<td>{figures[key]:.4f}</td>" in document


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"unsure": "0.3,0.8"}, "spam from probability 0.8, the other label up to 0.3, unsure between"),
        ({"min_confidence": 0.9}, "unsure if its probability is below 0.9"),
        (
            {"max_false_positive_rate": 0.05},
            "spam if it is the most probable label with a probability of at least",
        ),
        ({"unknown_label": "other"}, "other if novelty is above"),
    ],
)
def test_decisions_are_told_and_marked(model, emails, tmp_path, options, rule):
    texts, labels = [*emails[0][:60], "zwölf boxkämpfer", "quax"], [*emails[1][:60], "other", "other"]
    of = report_of(model, tmp_path, texts, labels, **options)
    text = " ".join(parse(of).text.split())
    assert rule in text
    if "unknown_label" not in options:
        assert "The model lacks labels of the data; their texts count as wrong: other" in text
    if of.evaluation.unsure:
        assert "Accuracy of decided" in text
        assert "As decided:" in text
    if options.get("unsure"):
        assert "At probability 0.3:" in text
        assert "At probability 0.8:" in text


def test_one_label_and_rows_left_out(tmp_path):
    model = LMClassifier(**SMALL).fit(["hello world", "lunch on friday"] * 5, ["ham"] * 10).model_
    of = report_of(model, tmp_path, ["hello", "", "lunch"], ["ham", "ham", "ham"])
    text = parse(of).text
    assert "No ROC curve" in text
    assert "No text got a wrong label" in text
    assert "1 rows without text or label were left out" in text
    wrong = report_of(model, tmp_path, ["hello"], ["spam"])
    assert "∞" in parse(wrong).text


def test_texts_and_labels_can_do_no_harm(tmp_path):
    texts = [f"{label} {word} </p><img src=x onerror=alert(1)>\x01" for label in HOSTILE for word in "abcd"]
    labels = [label for label in HOSTILE for _ in "abcd"]
    model = LMClassifier(**SMALL).fit(texts, labels).model_
    of = report_of(model, tmp_path, texts, labels[1:] + labels[:1])
    page = parse(of)
    document = render(of)
    assert "<script" not in document
    assert "<img" not in document
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", document)
    assert "alert(1)" in page.text
    assert r"\u202e" in page.text
    assert r"\x1b[31m" in page.text
    assert "x" * 61 not in page.text
    assert "_$x^2$" in "".join(page.text.split())


def test_many_labels_have_their_worst_pairs_and_an_overview(tmp_path):
    labels = [f"label {number:02}" for number in range(30)]
    texts = [f"{word} {label}" for label in labels for word in ("what of", "where is", "how")]
    truth = [label for label in labels for _ in range(3)]
    model = LMClassifier(**{**SMALL, "max_epochs": 1}).fit(texts, truth).model_
    of = report_of(model, tmp_path, texts, truth)
    page = parse(of)
    text = " ".join(page.text.split())
    assert "The most confused of" in text
    assert "The weakest labels come first" in text
    assert (
        "Only the 5 most frequent labels are drawn (a positive label comes first), with the mean of all 30"
        in text
    )
    assert any(value.startswith("Confusion matrix of 30") for value in page.values("aria-label"))
    cells = sum(
        attributes["d"].count("M")
        for tag, attributes in page.elements
        if tag == "path" and attributes.get("class") in ("right", "wrong")
    )
    assert cells == sum(count > 0 for row in of.evaluation.confusion_matrix for count in row)
    assert len(render(of).encode()) < 400_000


def test_a_model_without_a_training_record(email_report):
    page = parse(replace(email_report, epochs=[], background=[]))
    assert "no training record" in page.text
    single = [entry | {"validation_loss": None} for entry in email_report.epochs if entry["epoch"] == 1]
    assert "ham not measured" in parse(replace(email_report, epochs=single)).text


def test_the_tuned_recipe_has_its_background_model(tuned, tmp_path):
    of = report_of(tuned.model_, tmp_path, *bundled("emails.csv", 30))
    assert "background model" in parse(of).text


def test_a_long_text_is_cut(model, tmp_path):
    of = report_of(model, tmp_path, ["meeting " * 400, "cheap pills"], ["spam", "ham"])
    assert "and 250 more words" in parse(of).text

"""The HTML report: valid, correct and safe."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score

from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.label_colours import stylesheet
from lmclassify.evaluation.drift import measure_drift
from lmclassify.evaluation.page.formats import environment
from lmclassify.evaluation.page.report import render
from lmclassify.text.display import percent

from ...conftest import bundled
from .pages import Parsed, parse, parse_document, report_of, synthetic_report

HOSTILE = ['<b>&"', "<script>alert(1)</script>", "_$x^2$\u202e", "مرحبا\x1b[31m", "x" * 300]


@pytest.fixture(scope="module")
def emails():
    return bundled("emails.csv")


@pytest.fixture(scope="module")
def email_report(model, emails, tmp_path_factory):
    return report_of(model, tmp_path_factory.mktemp("page"), *emails)


@pytest.fixture(scope="module")
def email_document(email_report):
    return render(email_report)


def text_of(page: Parsed) -> str:
    return " ".join(page.text.split())


def test_report_of_two_labels(model, emails, email_report, email_document):
    texts, labels = emails
    page = parse_document(email_document)
    text = text_of(page)
    is_spam = [label == "spam" for label in labels]
    p = model.predict_proba(texts)[:, 1]
    low, high = email_report.evaluation.accuracy_interval
    accuracy = accuracy_score(labels, model.predict(texts))
    assert f"Accuracy{accuracy:.0%}95% interval {low:.0%} to {high:.0%}" in text
    assert "Baseline50%always ham" in text
    assert f"Area under the curve: spam {roc_auc_score(is_spam, p):.3f}" in text
    assert f"Average precision: spam {average_precision_score(is_spam, p):.3f}" in text
    assert "At probability 0.5: false-positive rate" in text
    assert f"Expected calibration error (ECE) {email_report.evaluation.ece:.1%}" in text
    assert "in all 200 texts" in text
    assert [tag for tag, _ in page.elements].count("svg") == 5
    assert len(email_report.mistakes) == 12
    assert {"for", "against", "shaded right", "shaded wrong"} <= set(page.values("class"))
    for mistake, place, explanation in email_report.mistakes:
        assert place == f"row {mistake.rows[0]}"
        assert texts[mistake.rows[0] - 1] == mistake.text
        assert f"{place}" in text
        assert (explanation["label"], explanation["against"]) == (mistake.predicted, mistake.true)
    assert len(page.values("role")) > 5
    titles = [
        "Summary",
        "Confusion matrix",
        "Per-label metrics",
        "Calibration",
        "Most confident mistakes",
        "Influential words",
        "Training",
    ]
    assert re.findall("<h2>(.*?)</h2>", email_document) == titles
    for key in ("summary", "confusion", "labels", "calibration", "mistakes", "words", "model"):
        assert key in page.values("id")


def test_labels_have_their_colours(email_document):
    assert stylesheet() in email_document
    for number in (0, 1):
        assert f'<span class="for" style="--label:var(--label-{number});' in email_document


def test_tables_have_the_numbers_and_bytes_are_reproducible(email_report, email_document):
    assert email_document == render(email_report)
    for row in email_report.evaluation.confusion_matrix:
        for count in row:
            assert f">{count:,}<small>" in email_document
    for metrics in email_report.evaluation.per_label.values():
        for key in ("precision", "recall", "f1-score"):
            assert f"<td>{percent(metrics[key], email_report.evaluation.texts)}</td>" in email_document


@pytest.mark.parametrize(
    ("options", "probability", "rule"),
    [
        ({}, None, "the most probable label."),
        (
            {"positive": 1, "unsure": (0.3, 0.8)},
            None,
            "spam from probability 0.8, the other label up to 0.3, unsure between.",
        ),
        ({"min_confidence": 0.9}, None, "the most probable label, unsure if its probability is below 0.9."),
        (
            {"positive": 1, "positive_log_odds": 1.0, "min_confidence": 0.6},
            0.731059,
            "spam if it is the most probable label with a probability of at least 0.7311, otherwise the most "
            "probable other label, unsure if its probability is below 0.6.",
        ),
        (
            {"unknown_label": "<other>", "unknown_threshold": 1.25},
            None,
            "the most probable label; <other> if novelty is above 1.25.",
        ),
    ],
)
def test_decision_rules(options, probability, rule):
    decisions = Decisions(["ham", "spam"], **options)
    template = environment().get_template("sections/decisions.html")
    html = template.render(decisions=decisions, positive_probability=probability, unsure_name=UNSURE)
    assert text_of(Parsed(html)) == f"Decision rule: {rule}"


def test_unsure_texts_and_labels_that_the_model_lacks(model, emails, tmp_path):
    texts, labels = (
        [*emails[0][:60], "zwölf boxkämpfer", "", "quax"],
        [*emails[1][:60], "other", "ham", "other"],
    )
    text = text_of(parse(report_of(model, tmp_path, texts, labels, unsure="0.3,0.8")))
    assert "spam from probability 0.8, the other label up to 0.3, unsure between" in text
    assert "The model lacks labels of the data; their texts count as wrong: other" in text
    assert "1 row without text or label was left out" in text
    for part in ("Accuracy of decided", "As decided:", "At probability 0.3:", "At probability 0.8:", "∞"):
        assert part in text


def test_unknown_texts(model, emails, tmp_path):
    texts, labels = [*emails[0][:60], "zwölf boxkämpfer", "quax"], [*emails[1][:60], "other", "other"]
    report = report_of(model, tmp_path, texts, labels, unknown_label="other")
    text = text_of(parse(report))
    assert "other if novelty is above" in text
    assert f"Unknown found{report.evaluation.unknown['found'] * 50}" in text


def test_one_label_without_a_training_record(email_report):
    report = synthetic_report(
        ["ham"] * 3, np.zeros((3, 1)), ["ham"], ["a", "b", "c"], email_report.model_info
    )
    text = text_of(parse(report))
    assert "No ROC curve" in text
    assert "No text got a wrong label" in text
    assert "no training record" in text


def test_background_model_and_unmeasured_loss(email_report):
    epochs = [entry | {"validation_loss": None} for entry in email_report.epochs if entry["epoch"] == 1]
    background = [{"epoch": 1, "training_loss": 2.0, "validation_loss": 1.5}]
    text = text_of(parse(replace(email_report, epochs=epochs, background=background)))
    assert "Lowest validation loss: background model 1.500 (epoch 1), ham not measured" in text


def test_hostile_texts_and_labels_are_escaped(email_report):
    texts = [
        f"{label} {word} </p><img src=x onerror=alert(1)>\x01 \ud800" for label in HOSTILE for word in "ab"
    ]
    true = [label for label in HOSTILE for _ in "ab"]
    rng = np.random.default_rng(0)
    log_posteriors = log_softmax(rng.normal(size=(10, 5)))
    document = render(synthetic_report(true, log_posteriors, HOSTILE, texts, email_report.model_info))
    document.encode()
    page = parse_document(document)
    assert "<script" not in document
    assert "<img" not in document
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\ud800]", document)
    assert "alert(1)" in page.text
    for escape in (r"\u202e", r"\x1b[31m", r"\ud800"):
        assert escape in page.text
    assert "x" * 61 not in page.text
    assert "_$x^2$" in "".join(page.text.split())


def test_many_labels_have_a_table_of_pairs_and_a_picture(email_report):
    labels = [f"label {number:02}" for number in range(30)]
    true = labels * 3
    log_posteriors = log_softmax(
        np.random.default_rng(0).normal(size=(90, 30)) + 2 * np.tile(np.eye(30), (3, 1))
    )
    report = synthetic_report(true, log_posteriors, labels, true, email_report.model_info)
    document = render(report)
    page = parse_document(document)
    text = text_of(page)
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
    assert cells == sum(count > 0 for row in report.evaluation.confusion_matrix for count in row)
    assert len(document.encode()) < 400_000


def test_drift_has_a_verdict_a_plot_and_a_table(email_report, model, emails):
    rng = np.random.default_rng(0)
    held_out = model.held_out
    nats = held_out.cross_entropies.astype(float)[rng.choice(len(held_out.codes), 400)] * 2.0
    rows = [f"row {number}" for number in range(1, 401)]
    drift = measure_drift(nats, ["ham", "spam"] * 200, rows, held_out, ["ham", "spam"])
    page = parse(replace(email_report, drift=drift))
    text = text_of(page)
    assert "All texts together are less like the training texts." in text
    assert "Higher: less like the training texts." in text
    assert "rows 1 to 40" in text
    assert "predicted as spam" in text
    assert "At most 1% of reports on unchanged texts find drift." in text


@pytest.mark.long
def test_a_report_of_a_thousand_labels_stays_small(email_report):
    labels = [f"label {number:04}" for number in range(1200)]
    true = labels * 2
    log_posteriors = log_softmax(
        np.random.default_rng(0).normal(size=(2400, 1200)) + 5 * np.tile(np.eye(1200), (2, 1))
    )
    report = synthetic_report(true, log_posteriors, labels, true, email_report.model_info)
    assert len(render(report).encode()) < 500_000
    assert max(map(len, report.evaluation.to_text().splitlines())) <= 80
    assert report.evaluation.to_text().count("\n") < 150

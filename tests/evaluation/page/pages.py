"""Helpers that build reports and check their HTML."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify import FittedModel
from lmclassify.classify.decisions import Decisions, decisions_of
from lmclassify.classify.explain import ExplainedRest, ExplainedWord, Explanation
from lmclassify.evaluation.curves import measure_coverage, measure_curves, measure_reliability
from lmclassify.evaluation.metrics import confidence, evaluate, evaluate_rows
from lmclassify.evaluation.mistakes import worst_mistakes
from lmclassify.evaluation.page.report import Report, build_report, render
from lmclassify.prediction.labelling import TableLabeller
from lmclassify.tables.delimited import DelimitedReader

_VOID = ("link", "meta", "wbr")


class Parsed(HTMLParser):
    """Elements and text of a document; fails if elements are not nested properly."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.elements if attribute in attributes]


def report_of(
    model: FittedModel, folder: Path, texts: list[str], labels: list[str], **options: Any
) -> Report:
    """Return the report of `evaluate --html`."""
    path = folder / "rows.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *zip(texts, labels, strict=True)])
    labeller = TableLabeller(model, [0], 1, decisions=decisions_of(model, options), keep_known=True)
    with DelimitedReader(str(path)) as table:
        for chunk in table.chunks():
            labeller.label(chunk)
    left_out = len(texts) - len(labeller.true)
    return build_report(
        labeller, evaluate_rows(labeller), model, data="rows.csv", model="model", left_out=left_out
    )


def contribution(nats: float) -> ExplainedRest:
    """Return a made-up contribution to the decision."""
    return {"contributions": {}, "contribution": nats, "parts": {}, "part": nats}


def explanation(text: str, label: str, against: str | None) -> Explanation:
    """Return a made-up explanation in which words speak for and against the label in turns."""
    words, start = [], 0
    for number, word in enumerate(text.split()):
        start = text.index(word, start)
        rest = contribution((number + 1) * (-1.0) ** number)
        words.append(ExplainedWord(word=word, start=start, end=start + len(word), log_probability={}, **rest))
        start += len(word)
    return Explanation(
        text=text,
        label=label,
        against=against,
        probabilities=dict.fromkeys(sorted({label, against or label}), 0.5),
        joint_log_probabilities={},
        decision=1.5,
        reading=None,
        prior=contribution(0.5),
        words=words,
        end_of_text={**contribution(-0.25), "log_probability": {}},
    )


def synthetic_report(
    true: Sequence[str],
    log_posteriors: npt.NDArray[np.float64],
    labels: Sequence[str],
    texts: Sequence[str],
    model_info: dict[str, Any],
    **changes: Any,
) -> Report:
    """Return a report of given log posteriors, without a model."""
    decisions = Decisions(labels)
    predicted = decisions.decide(log_posteriors)
    top, correct = confidence(true, log_posteriors, decisions)
    mistakes = worst_mistakes(texts, true, predicted.tolist(), log_posteriors, labels, 5)
    info = model_info["labels"][0]
    report = Report(
        data="rows.csv",
        model="model",
        left_out=0,
        decisions=decisions,
        evaluation=evaluate(true, log_posteriors, decisions),
        curves=measure_curves(true, log_posteriors, decisions, predicted),
        bins=measure_reliability(top, correct),
        coverage=measure_coverage(top, correct),
        mistakes=[
            (found, f"row {found.rows[0]}", explanation(found.text, found.predicted, found.true))
            for found in mistakes
        ],
        words={label: [{"word": label, "count": 1, "contribution": 1.0, "total": 1.0}] for label in labels},
        sampled=len(texts),
        model_info=model_info | {"labels": [info | {"label": label} for label in labels]},
    )
    return replace(report, **changes)


def parse(report: Report) -> Parsed:
    """Render and parse a report; fail if it holds scripts, external references or broken ids."""
    return parse_document(render(report))


def parse_document(document: str) -> Parsed:
    """The same for a rendered report."""
    page = Parsed(document)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "img", "object", "embed", "form", "base"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for link in page.values("href"):
        assert link == "data:," or (link[0] == "#" and link[1:] in ids), link
    assert page.values("src") == []
    assert "://" not in document
    assert "@import" not in document
    assert set(re.findall(r"url\(#([^)]+)\)", document)) <= set(ids)
    for tag, attributes in page.elements:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    return page

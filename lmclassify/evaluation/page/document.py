"""The page as a whole: what is in it, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lmclassify import __version__
from lmclassify.classify.decisions import UNSURE, Decisions
from lmclassify.classify.explain import Explanation, InformativeWord
from lmclassify.classify.model import FittedModel
from lmclassify.classify.thresholds import subsample
from lmclassify.evaluation.curves import (
    Bin,
    CoverageCurve,
    Curves,
    measure_coverage,
    measure_curves,
    measure_reliability,
)
from lmclassify.evaluation.drift import Drift
from lmclassify.evaluation.metrics import Evaluation, confidence, known_texts
from lmclassify.evaluation.mistakes import Mistake, worst_mistakes
from lmclassify.evaluation.model_info import model_facts
from lmclassify.evaluation.page import plots
from lmclassify.evaluation.page.confusion import confusion
from lmclassify.evaluation.page.figures import (
    drift_table,
    fact_list,
    label_table,
    per_label,
    settings_list,
    tiles,
)
from lmclassify.evaluation.page.markup import Html, element, joined, name
from lmclassify.evaluation.page.texts import legend, mistakes, words_for_labels
from lmclassify.prediction.labelling import TableLabeller

_STYLE = Path(__file__).with_name("style.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_MISTAKES = 12
_SAMPLED = 300
"""Texts that informative words come from: they take more time than labelling."""
_WORDS, _FEWER_WORDS, _MANY_LABELS = 12, 6, 30


@dataclass(frozen=True)
class Contents:
    """All that a page tells of a model and some labelled texts."""

    data: str
    """What the texts' file is called."""
    model: str
    """The model's folder."""
    left_out: int
    """Rows without text or label."""
    decisions: Decisions
    evaluation: Evaluation
    curves: Curves
    bins: list[Bin]
    """Empty where all texts are expected to be unknown."""
    coverage: CoverageCurve
    mistakes: list[tuple[Mistake, Explanation]]
    words: Mapping[str, Sequence[InformativeWord]]
    sampled: int
    """How many texts these come from."""
    facts: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    background: list[dict[str, Any]] = field(default_factory=list)
    """The training record's."""
    drift: Drift | None = None


def contents_of(
    labeller: TableLabeller,
    evaluation: Evaluation,
    fitted: FittedModel,
    *,
    data: str,
    model: str,
    left_out: int = 0,
    seed: int = 0,
    drift: Drift | None = None,
) -> Contents:
    """Return what a page tells of the rows that a labeller has kept.

    Parameters
    ----------
    labeller : TableLabeller
        With `keep_known`.
    evaluation : Evaluation
        Of these rows.
    fitted : FittedModel
    data, model : str
        What they are called.
    left_out : int, default=0
    seed : int, default=0
        Of the texts drawn for the labels' words.
    drift : Drift, optional
    """
    true, texts, decisions = labeller.true, labeller.texts, labeller.decisions
    log_posteriors = labeller.log_posteriors
    predicted = decisions.decide(log_posteriors, labeller.novelty)
    top, correct = confidence(true, log_posteriors, decisions)
    known = known_texts(true, decisions)
    worst = worst_mistakes(texts, true, predicted.tolist(), log_posteriors, labeller.labels, _MISTAKES)
    classes = dict(zip(labeller.labels, fitted.classes_.tolist(), strict=True))
    chosen = subsample(len(texts), _SAMPLED, seed)
    words = _WORDS if len(classes) <= _MANY_LABELS else _FEWER_WORDS
    return Contents(
        data=data,
        model=model,
        left_out=left_out,
        decisions=decisions,
        evaluation=evaluation,
        curves=measure_curves(true, log_posteriors, decisions, predicted),
        bins=measure_reliability(top[known], correct[known]) if known.any() else [],
        coverage=measure_coverage(top, correct),
        mistakes=[
            (mistake, fitted.explain(mistake.text, classes[mistake.predicted], classes.get(mistake.true)))
            for mistake in worst
        ],
        words=fitted.informative_words([texts[index] for index in chosen.tolist()], words),
        sampled=len(chosen),
        facts=model_facts(fitted),
        epochs=fitted.training_entries("epoch"),
        background=fitted.training_entries("background epoch"),
        drift=drift,
    )


def to_page(contents: Contents) -> str:
    """Return a whole HTML document; the same contents give the same one."""
    title = f"Evaluation on {Path(contents.data).name}"
    sections = [section for section in _sections(contents) if section is not None]
    links = [element("a", heading, href=f"#{key}") for key, heading, _ in sections]
    evaluation = contents.evaluation
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=Html(_POLICY)),
        element("meta", name="generator", content=f"lmclassify {__version__}"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Html(_STYLE.read_text(encoding="utf-8"))),
    )
    header = element(
        "header",
        element("h1", "Evaluation on ", element("bdi", Path(contents.data).name)),
        element(
            "p",
            f"{evaluation.texts:,} texts, {len(contents.decisions.labels):,} labels, model ",
            element("bdi", contents.model),
            f", lmclassify {__version__}",
        ),
        element("nav", joined(links, " "), aria_label="Sections"),
    )
    main = element(
        "main",
        *(
            element("section", element("h2", heading), content, id=key, class_="card")
            for key, heading, content in sections
        ),
    )
    body = element("body", header, main)
    return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n{body}\n</html>\n'


def _sections(contents: Contents) -> list[tuple[str, str, Html] | None]:
    evaluation, drift = contents.evaluation, contents.drift
    return [
        ("figures", "In figures", joined([tiles(evaluation), _notes(contents)])),
        ("confusion", "What is taken for what", confusion(evaluation)),
        ("labels", "Label by label", per_label(evaluation)),
        ("curves", "Probabilities and thresholds", _curves(contents)),
        ("mistakes", "Most confidently wrong", _mistakes(contents)),
        (
            "words",
            "Words that speak for labels",
            words_for_labels(contents.words, contents.sampled, evaluation.texts),
        ),
        ("drift", "Drift", drift_table(drift)) if drift is not None else None,
        ("model", "The model and how it was trained", _model(contents)),
    ]


def _notes(contents: Contents) -> Html:
    lines: list[object] = [joined(["How labels are decided: ", *_decided(contents.decisions), "."])]
    if contents.left_out:
        lines.append(f"{contents.left_out:,} rows without text or label were left out.")
    lacking = sorted(
        set(contents.evaluation.per_label) - {*contents.decisions.labels, contents.decisions.unknown_label}
    )
    if lacking:
        few = joined((name(label) for label in lacking[:12]), ", ")
        lines.append(joined(["The model lacks labels that texts have, which count as wrong: ", few, "."]))
    return element("ul", *(element("li", line) for line in lines), class_="notes")


def _decided(decisions: Decisions) -> list[object]:
    parts: list[object] = ["the likeliest one"]
    if decisions.positive is not None:
        positive = name(decisions.labels[decisions.positive])
        if decisions.positive_log_odds is not None:
            least = 1 / (1 + np.exp(-decisions.positive_log_odds))
            parts = [
                positive,
                f" where it is likeliest and its probability at least {least:.4g}, else another",
            ]
        elif decisions.unsure is not None:
            low, high = decisions.unsure
            parts = [positive, f" from probability {high:g} on, the other up to {low:g}, {UNSURE} between"]
    if decisions.min_confidence is not None:
        parts.append(f", {UNSURE} where its probability is below {decisions.min_confidence:g}")
    if decisions.unknown_label is not None:
        unknown = name(decisions.unknown_label)
        parts += ["; ", unknown, f" where novelty is above {decisions.unknown_threshold:.4g}"]
    return parts


def _curves(contents: Contents) -> Html:
    evaluation, curves = contents.evaluation, contents.curves
    parts: list[object] = []
    binary = len(contents.decisions.labels) == 2
    if curves.roc:
        parts += [plots.roc(curves, binary=binary), plots.precision_recall(curves, binary=binary)]
    if contents.bins:
        parts.append(plots.reliability(contents.bins, evaluation.ece))
    decided = None
    if evaluation.unsure and evaluation.accuracy_of_decided is not None:
        decided = (1 - evaluation.unsure / evaluation.texts, evaluation.accuracy_of_decided)
    parts.append(plots.coverage(contents.coverage, evaluation.coverage, decided))
    missing = (
        ""
        if curves.roc
        else element("p", "No ROC curve: it needs texts of a label and of another.", class_="hint")
    )
    return joined([missing, element("div", *parts, class_="plots")])


def _mistakes(contents: Contents) -> Html:
    if not contents.mistakes:
        return element("p", "No text was given another label than its own.")
    return joined([legend(), mistakes(contents.mistakes)])


def _model(contents: Contents) -> Html:
    about = fact_list(contents.facts, contents.data, contents.model)
    if contents.epochs:
        counts = {label: of["support"] for label, of in contents.evaluation.per_label.items()}
        labels = sorted(contents.decisions.labels, key=lambda label: (-counts.get(label, 0), label))
        course = plots.learning_curves(contents.epochs, contents.background, labels)
    else:
        course = element("p", "The model has no record of its training.", class_="hint")
    return joined(
        [
            element("div", course, about, class_="plots"),
            label_table(contents.facts),
            settings_list(contents.facts),
        ]
    )

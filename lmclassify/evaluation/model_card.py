"""A model card in Markdown: what a model is for, its training data, its figures and its limits.

All figures come from the model. The front matter tells model hubs which kind of model it is.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lmclassify.classify.data_frames import column_list
from lmclassify.classify.ensemble import log_softmax
from lmclassify.classify.model import FittedModel
from lmclassify.classify.settings import LSTM_SETTINGS
from lmclassify.errors import counted, plural, printable
from lmclassify.evaluation.metrics import expected_calibration_error, wilson_interval
from lmclassify.evaluation.model_info import model_info
from lmclassify.text.display import percent
from lmclassify.text.durations import format_seconds

MAX_LABELS = 50
"""Labels in the table of the training data: one screen."""
FEW_TEXTS = 20
"""Labels with fewer texts are named among the limits: their accuracy is hardly known."""

_FRONT_MATTER = "---\nlibrary_name: lmclassify\npipeline_tag: text-classification\n---"
_RECIPES = {
    "tuned": "n-gram models and one LSTM language model per label, combined and calibrated",
    "ngram": "n-gram models, combined and calibrated; no LSTMs",
    "plain": "one LSTM language model per label and Bayes' rule",
}
_MARKDOWN = re.compile(r"([\\`*\[\]<>|#~$&!]|(?<!\w)_|_(?!\w))")


def model_card(fitted: FittedModel, folder: str, size: int) -> str:
    """Return the card of a model.

    Parameters
    ----------
    folder : str
        Where the model is saved.
    size : int
        Bytes of this folder.
    """
    info = model_info(fitted)
    sections = [
        _FRONT_MATTER,
        f"# Model card: {_escape(Path(folder).resolve().name)}",
        f"A text classifier with {counted(len(info['labels']), 'label')}: {_label_list(info['labels'])}. "
        f"Made with lmclassify {_escape(info['versions'].get('lmclassify', '(version unknown)'))}.",
        "Licence: *to be stated by the owner of the model*",
        "## Intended use",
        "The model gives a text one of these labels, and a probability for each of them. Use it for texts of "
        "the same kind as its training texts: of the same source, language and length.",
        *_use(fitted, folder),
        "## Training data",
        *_data(info, fitted),
        "## Evaluation",
        *_figures(fitted),
        "## Model",
        *_model(info, size),
        "## Limits",
        _limits(info, fitted),
    ]
    return "\n\n".join(sections)


def _use(fitted: FittedModel, folder: str) -> list[str]:
    """Return how to use the model on the command line and in Python."""
    path = printable(folder)
    argument = "test_texts" if fitted.text_column is None else "data_frame"
    column = fitted.text_column
    read = ""
    if column is not None:
        names = column_list(column)
        listed = ", ".join(printable(repr(name)) for name in names)
        read = f"  # a pandas.DataFrame with the {plural(len(names), 'column')} {listed}"
    return [
        f"```sh\nlmclassify predict DATA.csv -m {shlex.quote(path)}\n```",
        "```python\nimport lmclassify\n\n"
        f"model = lmclassify.load({json.dumps(path, ensure_ascii=False)})\n"
        f"model.predict({argument}){read}\n"
        f"model.predict_proba({argument})  # columns as in model.classes_\n```",
    ]


def _data(info: dict[str, Any], fitted: FittedModel) -> list[str]:
    training = info["training"]
    rows = [("Fitted", _date(training["started"]))]
    if training.get("files"):
        rows.append(("Files", ", ".join(map(_escape, training["files"]))))
    columns = fitted.reading.text_columns
    if fitted.text_column is not None:
        columns = tuple(map(str, column_list(fitted.text_column)))
    if columns:
        rows.append((plural(len(columns), "Text column"), _escape(", ".join(columns))))
    if fitted.reading.fields is not None:
        rows.append(("Fields of mail", _escape(", ".join(fitted.reading.fields))))
    if training["texts"] is not None:
        rows.append(("Texts", f"{training['texts']:,}"))
    parts = [_table(("", ""), rows)]
    shown = sorted(info["labels"], key=lambda entry: -float(entry["prior"]))[:MAX_LABELS]
    labels = [(_escape(entry["label"]), _texts(entry), f"{entry['prior']:.2%}") for entry in shown]
    parts.append(_table(("Label", "Texts", "Prior"), labels))
    if len(shown) < len(info["labels"]):
        parts.append(f"{len(info['labels']) - len(shown):,} less frequent labels are not listed.")
    changes = [
        f"- {_escape(entry.get('what'))} {_escape(entry.get('label'))}: {_escape(entry.get('texts'))} texts, "
        f"{_date(entry.get('at'))}"
        for entry in fitted.training_entries("revision")
    ]
    if changes:
        parts += ["Changed after the fit:", "\n".join(changes)]
    return parts


def _figures(fitted: FittedModel) -> list[str]:
    """Return accuracy, log-loss and calibration on the held-out texts of the fit."""
    held_out = fitted.held_out
    m = len(held_out.codes)
    if m == 0:
        return ["The model was fitted without held-out texts: nothing is known about its accuracy."]
    log_posteriors = log_softmax(held_out.joint.astype(np.float64))
    right = log_posteriors.argmax(axis=1) == held_out.codes
    loss = -float(log_posteriors[np.arange(m), held_out.codes].mean())
    low, high = wilson_interval(int(right.sum()), m)
    most = np.bincount(held_out.codes, minlength=len(fitted.classes_)).max() / m
    rows = [
        ("Held-out texts", f"{m:,}"),
        ("Accuracy", f"{percent(right.mean(), m)} (95% interval {percent(low, m)} to {percent(high, m)})"),
        ("Accuracy of the most frequent label", percent(most, m)),
        ("Log-loss", f"{loss:.3f} nats per text"),
        (
            "Expected calibration error",
            f"{expected_calibration_error(np.exp(log_posteriors.max(axis=1)), right):.3f}",
        ),
    ]
    how = "No text was scored by a model that was trained on it"
    if fitted.settings.recipe == "plain":
        how += ", but these texts decided when training ended."
    else:
        how += ", but the weights that combine the models were fitted on these texts."
    if fitted.training_entries("revision"):
        how += " The changes after the fit were not evaluated on new texts."
    return [_table(("", ""), rows), f"{how} `lmclassify evaluate DATA` measures the model on other texts."]


def _model(info: dict[str, Any], size: int) -> list[str]:
    recipe = info["settings"]["recipe"]
    tokenizer = info["tokenizer"]
    rows = [
        ("Recipe", f"{recipe}: {_RECIPES[recipe]}"),
        ("Tokenizer", f"{_escape(tokenizer['kind'])}, {tokenizer['vocab_size']:,} tokens"),
        ("Parameters", f"{info['parameters']:,}"),
        ("Size", f"{size / 1e6:.1f} MB"),
    ]
    if info["training"]["seconds"] is not None:
        rows.append(("Time of the fit", format_seconds(info["training"]["seconds"])))
    unused = {"recipe", *(LSTM_SETTINGS if recipe == "ngram" else ())}
    settings = ", ".join(f"{name}={value}" for name, value in info["settings"].items() if name not in unused)
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    rows += [("Settings", _escape(settings)), ("Versions", _escape(versions))]
    return [_table(("", ""), rows)]


def _limits(info: dict[str, Any], fitted: FittedModel) -> str:
    lines = [
        "A text that belongs to none of the labels gets one of them too; "
        "`lmclassify predict --unknown-label` marks such texts.",
        "Texts of another source, language or length, or of a later time, may get more wrong labels and "
        "wrong probabilities. Accuracy was not measured for groups of texts or people.",
        "Any word that came with a label counts for it, reason or not; `lmclassify explain` shows the words.",
    ]
    if fitted.settings.recipe == "plain":
        lines.append("The probabilities are not calibrated: those of recipe plain are usually too extreme.")
    few = [
        entry
        for entry in info["labels"]
        if (number := _number_of_texts(entry)) is not None and number < FEW_TEXTS
    ]
    if few:
        named = ", ".join(f"{_escape(entry['label'])} ({_texts(entry)})" for entry in few[:MAX_LABELS])
        more = f" and {len(few) - MAX_LABELS:,} more" if len(few) > MAX_LABELS else ""
        lines.append(f"Labels with fewer than {FEW_TEXTS} texts are hardly learned: {named}{more}.")
    return "\n".join(f"- {line}" for line in lines)


def _texts(entry: dict[str, Any]) -> str:
    return "unknown" if (number := _number_of_texts(entry)) is None else f"{number:,}"


def _number_of_texts(entry: dict[str, Any]) -> int | None:
    """Return the number of a label's texts, the held-out ones included; None if the record is lost."""
    if entry["training_texts"] is None:
        return None
    return int(entry["training_texts"]) + int(entry["validation_texts"] or 0)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _label_list(labels: list[dict[str, Any]]) -> str:
    names = [_escape(entry["label"]) for entry in labels[:MAX_LABELS]]
    more = len(labels) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _date(time: object) -> str:
    return "date unknown" if time is None else _escape(str(time)[:10])


def _escape(value: object) -> str:
    """Return a value as text in which Markdown has no marks."""
    return _MARKDOWN.sub(r"\\\1", printable(str(value)))

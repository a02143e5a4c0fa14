"""Description of a model as plain data: what `info` prints and the service returns."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lmclassify.classify.model import FittedModel
from lmclassify.classify.online.lessons import MIN_LESSONS

_LABEL_KEYS = ("training_texts", "validation_texts", "epochs", "best_epoch")
_FIT_KEYS = ("started", "seconds", "texts", "texts_cut")


def model_info(fitted: FittedModel) -> dict[str, Any]:
    """Return labels, tokenizer, size, training, stages of the fit, settings and versions of a model."""
    labels = []
    records = {entry["label"]: entry for entry in fitted.training_entries("label")}
    for label, log_prior in zip(fitted.classes_.tolist(), fitted.log_priors, strict=True):
        record = records.get(label, {})
        loss = record.get("validation_loss")
        entry = {"label": label, "prior": math.exp(log_prior)}
        entry |= {key: record.get(key) for key in _LABEL_KEYS}
        labels.append(entry | {"validation_perplexity": None if loss is None else math.exp(min(loss, 700))})
    fit = next(iter(fitted.training_entries("fit")), {})
    stages = [
        {key: value for key, value in entry.items() if key != "kind"}
        for entry in fitted.training_entries("stage")
    ]
    return {
        "labels": labels,
        "tokenizer": {
            "kind": fitted.tokenizer.kind,
            "lowercase": fitted.tokenizer.lowercase,
            "vocab_size": fitted.tokenizer.vocab_size,
        },
        "parameters": fitted.num_parameters,
        "mail_fields": list(fitted.reading.mail_fields),
        "reading": fitted.reading.to_json(),
        "training": {key: fit.get(key) for key in _FIT_KEYS} | _files(fit),
        **({"stages": stages} if stages else {}),
        **_lessons(fitted),
        "settings": {**vars(fitted.settings), **fitted.parameters},
        "versions": fitted.versions,
    }


def _lessons(fitted: FittedModel) -> dict[str, Any]:
    """Return how much the model has learned from lessons, if there are any or it needs some."""
    if fitted.lessons is None or not (fitted.lessons.taught or fitted.needs_lessons):
        return {}
    found = asdict(fitted.lessons.statistics())
    last = found["last"]
    when = None if last is None else datetime.fromtimestamp(last).astimezone().isoformat(timespec="seconds")
    per_label = dict(zip(fitted.label_names, found["per_label"], strict=True))
    return {
        "lessons": found
        | {
            "last": when,
            "per_label": per_label,
            "needs_more": fitted.needs_lessons,
            "needed_per_label": MIN_LESSONS,
        }
    }


def _files(fit: dict[str, Any]) -> dict[str, Any]:
    """Return the names of the training files, if the command line fitted the model."""
    names = fit.get("files")
    return {"files": [str(name) for name in names]} if isinstance(names, list) else {}

"""What a model is, as plain data."""

from __future__ import annotations

import math
from typing import Any

from lmclassify.classify.model import FittedModel

_OF_LABEL = ("training_texts", "validation_texts", "epochs", "best_epoch")
_OF_FIT = ("started", "seconds", "texts", "texts_cut")


def model_facts(fitted: FittedModel) -> dict[str, Any]:
    """Return labels, tokenizer, sizes, training, settings and versions of a model."""
    labels = []
    records = {entry["label"]: entry for entry in fitted.training_entries("label")}
    for label, log_prior in zip(fitted.classes_.tolist(), fitted.log_priors, strict=True):
        record = records.get(label, {})
        loss = record.get("validation_loss")
        facts = {"label": label, "prior": math.exp(log_prior)}
        facts |= {key: record.get(key) for key in _OF_LABEL}
        labels.append(facts | {"validation_perplexity": None if loss is None else math.exp(min(loss, 700))})
    whole = next(iter(fitted.training_entries("fit")), {})
    return {
        "labels": labels,
        "tokenizer": {
            "kind": fitted.tokenizer.kind,
            "lowercase": fitted.tokenizer.lowercase,
            "vocab_size": fitted.tokenizer.vocab_size,
        },
        "parameters": fitted.num_parameters,
        "training": {key: whole.get(key) for key in _OF_FIT},
        "settings": {**vars(fitted.settings), **fitted.parameters},
        "versions": fitted.versions,
    }

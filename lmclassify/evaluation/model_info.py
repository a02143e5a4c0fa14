"""Description of a model as plain data: what `info` prints and the service returns."""

from __future__ import annotations

import math
from typing import Any

from lmclassify.classify.model import FittedModel

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
        "settings": {**vars(fitted.settings), **fitted.parameters},
        "versions": fitted.versions,
    }


def _files(fit: dict[str, Any]) -> dict[str, Any]:
    """Return the names of the training files, if the command line fitted the model."""
    names = fit.get("files")
    return {"files": [str(name) for name in names]} if isinstance(names, list) else {}

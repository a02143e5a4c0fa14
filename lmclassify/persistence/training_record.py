"""What an entry of a model's training record must hold: what is shown of it can be relied on."""

from __future__ import annotations

from typing import Any

_FIT = ("started", "seconds", "texts", "texts_cut")
_LABEL = ("label", "training_texts", "validation_texts", "epochs", "best_epoch", "validation_loss")
_EPOCH = ("epoch", "training_loss", "validation_loss")
_NEEDED = {"fit": _FIT, "label": _LABEL, "epoch": ("label", *_EPOCH), "background epoch": _EPOCH}
_TEXTS = {"kind", "started"}
_NUMBERS = {*_FIT, *_LABEL, *_EPOCH} - _TEXTS - {"label"}


def is_entry(entry: Any) -> bool:
    """Return whether something is an entry of the training record, with what its kind must have."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        return False
    if not entry.keys() >= set(_NEEDED.get(entry["kind"], ())):
        return False
    return all(_fits(name, value) for name, value in entry.items())


def _fits(name: str, value: Any) -> bool:
    if name in _TEXTS:
        return isinstance(value, str) and value.isprintable()
    if name == "label":
        return isinstance(value, (str, int, float))
    if name in _NUMBERS:
        small = isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 63)
        return small or (value is None and name == "validation_loss")
    return True

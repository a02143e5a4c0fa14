"""The model that a command replaces: how messages name it, and when `fit` may not replace it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from lmclassify.cli.common import DEFAULT_MODEL
from lmclassify.errors import ModelError, OutputError, counted, listing
from lmclassify.persistence.layout import CONFIG

LEAST_SHARE = 0.1
"""Data with fewer texts than this share of the old model's are more likely the wrong file than new data."""
_MOST_LABELS = 5  # named in a message of one line


@dataclass(frozen=True)
class OldModel:
    """A model that is already in the folder that a command writes to.

    Attributes
    ----------
    labels : list of str or None
        None if the model cannot be read.
    texts : int or None
        Number of texts it was trained on; None if it does not say.
    """

    folder: str
    labels: list[str] | None
    texts: int | None
    written: datetime

    @classmethod
    def find(cls, folder: str) -> Self | None:
        """Return the model in a folder; None if there is none."""
        from lmclassify.persistence.reading import read_config, read_training

        place = Path(folder)
        try:
            written = datetime.fromtimestamp((place / CONFIG).stat().st_mtime)
        except OSError:
            return None
        try:
            config = read_config(place)
            labels = [str(label) for label in config["labels"]]
        except (ModelError, OSError, KeyError, TypeError):
            return cls(folder, None, None, written)
        fits = (entry for entry in read_training(place, config) if entry["kind"] == "fit")
        texts = next((entry["texts"] for entry in fits), None)
        return cls(folder, labels, texts if isinstance(texts, int) else None, written)

    def __str__(self) -> str:
        if self.labels is None:
            return f"of {self.written:%Y-%m-%d %H:%M}, which cannot be read"
        texts = "" if self.texts is None else f"; {counted(self.texts, 'text')}"
        return f"of {self.written:%Y-%m-%d %H:%M} (labels {listing(self.labels, _MOST_LABELS)}{texts})"


@dataclass(frozen=True)
class Replacement:
    """Whether `fit` may replace a model.

    A model in the default folder, which nobody has to name, is protected: unless --force is given, it is
    replaced only by a model of the same labels and of similar data. The methods raise OutputError.
    """

    old: OldModel | None
    force: bool

    @classmethod
    def prepare(cls, folder: str, force: bool, data_named: bool) -> Self:
        """Look at the folder. Raise if it is no model's, or its model is protected and no data were named."""
        from lmclassify.persistence.commit import check_target

        check_target(folder)
        result = cls(OldModel.find(folder), force)
        if result._protected is not None and not data_named:
            raise _kept(result._protected, "no DATA was given")
        return result

    def require_similar(self, texts: Counter[str]) -> None:
        """Raise if the model is protected and the new data have other labels, or few texts (by label)."""
        old = self._protected
        if old is None:
            return
        if old.labels is None:
            raise _kept(old, "its labels are not known")
        if {*texts} != {*old.labels}:
            raise _kept(old, f"the data have other labels ({listing(sorted(texts), _MOST_LABELS)})")
        if old.texts is not None and texts.total() < LEAST_SHARE * old.texts:
            rows = counted(texts.total(), "usable row")
            raise _kept(old, f"the data have only {rows}, less than a tenth as many")

    @property
    def _protected(self) -> OldModel | None:
        if self.old is None or self.force:
            return None
        is_default = os.path.realpath(self.old.folder) == os.path.realpath(DEFAULT_MODEL)
        return self.old if is_default else None


def _kept(old: OldModel, reason: str) -> OutputError:
    return OutputError(
        f"not replacing the model {old} in {old.folder}: {reason}; write to another folder with -o FOLDER, "
        "or replace it with --force"
    )


def replacing(old: OldModel | None) -> str:
    """Return the end of a message that a model was written: which one it has replaced."""
    return "" if old is None else f", replacing the one {old}"

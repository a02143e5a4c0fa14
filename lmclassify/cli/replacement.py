"""The model that a command replaces: how messages name it, and when `fit` may not replace it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from lmclassify.cli.common import DEFAULT_MODEL
from lmclassify.errors import ModelError, OutputError, listing
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
        texts = "" if self.texts is None else f"; {self.texts:,} texts"
        return f"of {self.written:%Y-%m-%d %H:%M} (labels {listing(self.labels, _MOST_LABELS)}{texts})"

    @property
    def is_protected(self) -> bool:
        """Whether the folder is the default one, which nobody has to name to replace what is in it."""
        return os.path.realpath(self.folder) == os.path.realpath(DEFAULT_MODEL)

    def require_data(self, named: bool) -> None:
        """Raise OutputError if the model is protected and no data were named."""
        if self.is_protected and not named:
            raise self._kept("no DATA was given")

    def require_similar(self, labels: Collection[str], texts: int) -> None:
        """Raise OutputError if the model is protected and the new data have other labels or few texts."""
        if not self.is_protected:
            return
        if self.labels is None:
            raise self._kept("its labels are not known")
        if {*labels} != {*self.labels}:
            raise self._kept(f"the data have other labels ({listing(sorted(labels), _MOST_LABELS)})")
        if self.texts is not None and texts < LEAST_SHARE * self.texts:
            rows = "1 usable row" if texts == 1 else f"{texts:,} usable rows"
            raise self._kept(f"the data have only {rows}, less than a tenth as many")

    def _kept(self, reason: str) -> OutputError:
        return OutputError(
            f"not replacing the model {self} in {self.folder}: {reason}; write to another folder with "
            "-o FOLDER, or replace it with --force"
        )


def replacing(old: OldModel | None) -> str:
    """Return the end of a message that a model was written: which one it has replaced."""
    return "" if old is None else f", replacing the one {old}"

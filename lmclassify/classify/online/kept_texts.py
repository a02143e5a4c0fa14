"""Texts that a model keeps for `lmclassify refit`: the latest that it was taught, up to a limit.

Off by default, as it stores text. A journal beside config.json holds them, which only its owner may read. Its
first record is the limit, the others are texts; without a file nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from lmclassify.errors import OptionError
from lmclassify.persistence.journal import Journal, JournalReplacedError, model_journal
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import as_model_error

MAX_KEPT = 1_000_000
"""Largest limit: texts are kept for corrections, not as an archive."""
MAX_BYTES = 1 << 27
"""Texts are dropped, oldest first, if all take more than this: a refit reads them into memory."""
MAX_CHARACTERS = 1 << 20
"""Of a longer text, only this many characters are kept."""
_SPARE = 100  # dropped texts may stay in the file so that not every lesson rewrites it


@dataclass(frozen=True)
class KeptText:
    """A text that was taught."""

    id: str
    """Identity of the text, 32 hexadecimal digits."""
    label: Any
    time: float
    """When it was taught: seconds since 1970, UTC."""
    text: str


class KeptTexts:
    """The texts that a saved model keeps. Other processes may add some at the same time.

    Methods raise OutputError if the file cannot be written, ModelError if it cannot be read, and
    JournalReplacedError if the model was replaced.

    Parameters
    ----------
    journal : Journal
        Use `of_model` to open the one of a model.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._limit = 0
        self._is_read = False

    @classmethod
    def of_model(cls, model: StoredModel) -> KeptTexts:
        """Return the kept texts of a model that was read from a folder."""
        return cls(model_journal(model, "texts"))

    @property
    def limit(self) -> int:
        """How many texts are kept; 0 if none are."""
        self._update()
        return self._limit

    def set_limit(self, limit: int) -> None:
        """Keep the latest texts up to a limit from now on. 0 deletes all texts and keeps no more.

        Raises OptionError if the limit is negative or above `MAX_KEPT`.
        """
        if not 0 <= limit <= MAX_KEPT:
            raise OptionError(f"the number of kept texts must be from 0 to {MAX_KEPT:,}, not {limit:,}")
        with self._journal.locked():
            self._rewrite(self.texts(), limit)

    def texts(self) -> list[KeptText]:
        """Return the kept texts, one of each id, in the order in which they were taught."""
        records = self._read()
        with as_model_error(str(self._journal.path)):
            found: dict[str, KeptText] = {}
            for kept in map(_parse, records[1:]):
                found.pop(kept.id, None)  # the last one counts, and takes its place in the order
                found[kept.id] = kept
        return _latest([*found.values()], self._limit)

    def records(self) -> list[bytes]:
        """Return what a new model's journal must hold so that it keeps the same texts."""
        with self._journal.locked():
            texts = self.texts()  # reads the limit, too
            return _records(texts, self._limit)

    def add(self, kept: KeptText) -> None:
        """Write a text to the disk, unless the limit is 0. It replaces a text of the same id."""
        with self._journal.locked():
            self._update()
            if not self._limit:
                return
            self._journal.append(_format(kept))
            if self._journal.records > 2 * self._limit + _SPARE or self._journal.size > MAX_BYTES:
                self._rewrite(self.texts(), self._limit)

    def remove(self, identities: Collection[str]) -> None:
        """Delete the texts with these ids, if they are kept: their lessons were taken back."""
        with self._journal.locked():
            texts = self.texts()
            rest = [kept for kept in texts if kept.id not in identities]
            if len(rest) < len(texts):
                self._rewrite(rest, self._limit)

    def _rewrite(self, texts: Sequence[KeptText], limit: int) -> None:
        self._journal.reset(_records(texts, limit))
        self._limit, self._is_read = limit, True

    def _read(self) -> list[bytes]:
        """Return all records, and remember the limit."""
        records = self._journal.read()
        with as_model_error(str(self._journal.path)):
            self._limit = _parse_limit(records[0]) if records else 0
        self._is_read = True
        return records

    def _update(self) -> None:
        """Read the limit again if another process may have changed it."""
        if self._is_read:
            try:
                new = self._journal.read_new()
            except JournalReplacedError:  # by `set_limit` or `remove`; if it is the model, `_read` says so
                pass
            else:
                if self._limit or not new:
                    return
        self._read()


def _latest(texts: list[KeptText], limit: int) -> list[KeptText]:
    """Return the latest texts: at most `limit`, and together at most half of `MAX_BYTES`."""
    size, first = 0, len(texts)
    for kept in reversed(texts[len(texts) - min(limit, len(texts)) :]):
        size += len(kept.text.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES // 2:
            break
        first -= 1
    return texts[first:]


def _records(texts: Sequence[KeptText], limit: int) -> list[bytes]:
    if not limit:
        return []
    return [_format_limit(limit), *map(_format, _latest([*texts], limit))]


def _format_limit(limit: int) -> bytes:
    return json.dumps({"limit": limit}).encode("ascii")


def _parse_limit(record: bytes) -> int:
    limit = json.loads(record)["limit"]
    if type(limit) is not int or not 0 < limit <= MAX_KEPT:
        raise ValueError("an impossible limit")
    return limit


def _format(kept: KeptText) -> bytes:
    entry = {"id": kept.id, "label": kept.label, "time": kept.time}
    text = kept.text[:MAX_CHARACTERS].encode("utf-8", "surrogatepass")
    return json.dumps(entry).encode("ascii") + b"\n" + text


def _parse(record: bytes) -> KeptText:
    entry, text = record.split(b"\n", 1)
    fields = json.loads(entry)
    if not isinstance(fields["id"], str) or not isinstance(fields["label"], (str, int, float)):
        raise ValueError("a text without id or label")
    return KeptText(
        fields["id"], fields["label"], float(fields["time"]), text.decode("utf-8", "surrogatepass")
    )

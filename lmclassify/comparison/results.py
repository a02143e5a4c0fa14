"""Records of finished benchmark runs: a JSON Lines file from which an interrupted benchmark resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lmclassify.errors import DataError, OutputError

Size = int | Literal["all"]
"""Number of training texts, or the whole training part."""

_FORMAT = 1
_LINE_START = f'{{"lmclassify_benchmark": {_FORMAT}, '.encode()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One run: a classifier, fitted and tested once."""

    method: str
    size: Size
    seed: int
    fold: int | None
    """From 0; None with a test file."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Metrics, times and memory of one run."""

    accuracy: float
    macro_f1: float
    """Over the labels that are true or predicted in the test part."""
    log_loss: float
    """Nats; probabilities are clipped at 2.2e-16, as in scikit-learn."""
    ece: float
    """Expected calibration error, 15 equal-width bins."""
    fit_seconds: float
    """Training time, without imports and calibration."""
    calibration_seconds: float
    """Time to calibrate a baseline; 0 for lmclassify."""
    texts_per_second: float
    """Speed of `predict_proba` on the test texts."""
    peak_megabytes: float | None
    """Peak resident memory of the process before calibration; None on Windows."""
    temperature: float | None
    """Of a calibrated baseline."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished run: what was run, where, and its figures or error."""

    data: str
    """Name of the training file."""
    data_sha256: str
    test: str | None
    test_sha256: str | None
    rows_sha256: str
    """Of the texts and labels as read; other rows make other runs."""
    labels: int
    training_texts: int
    test_texts: int
    method: str
    settings: Mapping[str, Any]
    size: Size
    seed: int
    fold: int | None
    folds: int | None
    figures: Figures | None
    """None if the run failed."""
    error: str | None
    threads: int
    device: str
    versions: Mapping[str, str]
    commit: str | None
    machine: str
    date: str
    """End of the run, ISO 8601, UTC."""

    def key(self) -> str:
        """Return the run's key; equal runs have equal keys."""
        version = self.versions["lmclassify"]
        return run_key(self.rows_sha256, self, self.settings, self.folds, version)

    def to_json(self) -> str:
        """Return the record as one line, without line break."""
        return _LINE_START.decode() + json.dumps(asdict(self))[1:]


def run_key(
    rows_sha256: str, cell: Cell | Record, settings: Mapping[str, Any], folds: int | None, version: str
) -> str:
    """Return the key of a run: a string that is equal for equal runs."""
    parts = [rows_sha256, cell.method, dict(settings), cell.size, cell.seed, cell.fold, folds, version]
    return json.dumps(parts, sort_keys=True)


class ResultsFile:
    """A file of records that grows as runs finish; it may hold several data sets.

    Raises DataError if the file holds anything but records. Raises OutputError if it cannot be written.

    Parameters
    ----------
    path : str
        Created if it does not exist. An incomplete last line, left by a crash, is removed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with open(path, "a+b") as file:
                file.seek(0)
                content = file.read()
                self.records, good = _parse(content, path)
                if good < len(content):
                    file.truncate(good)
                elif content and not content.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def append(self, record: Record) -> None:
        """Append a record and flush it to disk."""
        self.records.append(record)
        try:
            with open(self._path, "ab") as file:
                file.write(record.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error


def read_results(path: str) -> list[Record]:
    """Return the records of a file, without an incomplete last line.

    Raises DataError if the file cannot be read or holds anything but records.
    """
    try:
        with open(path, "rb") as file:
            return _parse(file.read(), path)[0]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _parse(content: bytes, path: str) -> tuple[list[Record], int]:
    """Return the records and the number of bytes of complete lines."""
    records: list[Record] = []
    at = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            if not line.startswith(_LINE_START):
                raise ValueError
            records.append(_from_dict(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            incomplete = at + len(line) == len(content) and not line.endswith(b"\n")
            if incomplete and (line.startswith(_LINE_START) or _LINE_START.startswith(line)):
                break
            raise DataError(
                f"{path}, line {number:,}: not a result of lmclassify benchmark; give another file"
            ) from None
        at += len(line)
    return records, at


def _from_dict(values: dict[str, Any]) -> Record:
    known = {item.name for item in fields(Record)}
    kept = {name: value for name, value in values.items() if name in known}
    if kept["figures"] is not None:
        kept["figures"] = Figures(**kept["figures"])
    return Record(**kept)

"""One record for each finished run of a benchmark, kept as JSON Lines so that a run can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lmclassify.errors import DataError, OutputError

Size = int | Literal["all"]
"""Texts to learn from: a number, or the whole training part."""

_FORMAT = 1
_BEGIN = f'{{"lmclassify_benchmark": {_FORMAT}, '.encode()  # of every line


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One classifier, fitted and tried once."""

    method: str
    size: Size
    seed: int
    fold: int | None
    """From 0; None with a test file."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run gave."""

    accuracy: float
    macro_f1: float
    """Over the labels that are true or predicted in the test part."""
    log_loss: float
    """Nats; probabilities are cut at 2.2e-16, as scikit-learn does."""
    ece: float
    """15 equal-width bins of the top probability."""
    fit_seconds: float
    """Without imports and calibration."""
    calibration_seconds: float
    """Of the rivals' temperature; 0 for a classifier that brings its own probabilities."""
    texts_per_second: float
    """Of `predict_proba` on the test texts."""
    peak_megabytes: float | None
    """Peak resident memory of a process that only fits and predicts; None where it is not told."""
    temperature: float | None
    """Of a rival's calibration."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run: what was run, where, and what came of it."""

    data: str
    """Name of the file."""
    data_sha256: str
    test: str | None
    test_sha256: str | None
    rows_sha256: str
    """Of the texts and labels as read; results with other rows are other results."""
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
    """None where the run failed."""
    error: str | None
    threads: int
    device: str
    versions: Mapping[str, str]
    commit: str | None
    machine: str
    date: str
    """When it ended, ISO 8601, UTC."""

    def key(self) -> str:
        """Return what makes two records the same run."""
        version = self.versions["lmclassify"]
        return run_key(self.rows_sha256, self, self.settings, self.folds, version)

    def to_json(self) -> str:
        """Return one line, without its end."""
        return _BEGIN.decode() + json.dumps(asdict(self))[1:]


def run_key(
    rows_sha256: str, cell: Cell | Record, settings: Mapping[str, Any], folds: int | None, version: str
) -> str:
    """Return what makes two runs the same: a string to compare."""
    same = [rows_sha256, cell.method, dict(settings), cell.size, cell.seed, cell.fold, folds, version]
    return json.dumps(same, sort_keys=True)


class ResultsFile:
    """A file of records that grows as runs finish; may hold those of several data sets.

    Parameters
    ----------
    path : str
        Need not exist. A last line that a crash cut short is removed.

    Attributes
    ----------
    records : list of Record

    Raises
    ------
    DataError
        If the file holds anything else.
    OutputError
        If it cannot be written to.
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
        """Write a record to the disk."""
        self.records.append(record)
        try:
            with open(self._path, "ab") as file:
                file.write(record.to_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error


def read_results(path: str) -> list[Record]:
    """Return a file's records; a last line cut short is left out.

    Raises
    ------
    DataError
        If the file cannot be read or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            return _parse(file.read(), path)[0]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def latest(records: Iterable[Record]) -> list[Record]:
    """Return what is to be shown of a file that has grown over time, in its order.

    Of each method on the same texts, only what was run with the newest settings and version of lmclassify;
    of each run, the last one that did not fail, or else its last failure.
    """
    all_records = list(records)
    newest = {_series(record): (record.settings, record.versions["lmclassify"]) for record in all_records}
    result: dict[str, Record] = {}
    for record in all_records:
        if newest[_series(record)] == (record.settings, record.versions["lmclassify"]):
            key = record.key()
            if record.error is None or key not in result or result[key].error is not None:
                result[key] = record
    return list(result.values())


def _series(record: Record) -> tuple[object, ...]:
    return (record.rows_sha256, record.method, record.size, record.folds)


def _parse(content: bytes, path: str) -> tuple[list[Record], int]:
    """Return the records and how many bytes are whole lines."""
    records: list[Record] = []
    at = 0
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            if not line.startswith(_BEGIN):
                raise ValueError
            records.append(_from_dict(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            torn = at + len(line) == len(content) and not line.endswith(b"\n")
            if torn and (line.startswith(_BEGIN) or _BEGIN.startswith(line)):
                break
            raise DataError(
                f"{path}, line {number:,}: no results of lmclassify benchmark; name another file"
            ) from None
        at += len(line)
    return records, at


def _from_dict(values: dict[str, Any]) -> Record:
    known = {item.name for item in fields(Record)}
    kept = {name: value for name, value in values.items() if name in known}
    if kept["figures"] is not None:
        kept["figures"] = Figures(**kept["figures"])
    return Record(**kept)

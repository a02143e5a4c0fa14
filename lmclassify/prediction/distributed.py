"""Files labelled by the processes of a Ray cluster, chunk by chunk, each chunk into a part file of its own.

One process in some reads the files, as everywhere else, and sends chunks of rows to those that hold the model
and score; these write the parts. What is sent back is counts.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from lmclassify.classify.decisions import Decisions
from lmclassify.classify.model import FittedModel, from_stored
from lmclassify.classify.storage import to_stored
from lmclassify.cluster.streams import stream
from lmclassify.datasets.multiple_files import check_columns
from lmclassify.datasets.sources import InputFormat, open_rows
from lmclassify.errors import DataError, LMClassifyError, LMClassifyWarning, listing
from lmclassify.persistence.layout import StoredModel
from lmclassify.prediction.labelling import TableLabeller
from lmclassify.prediction.part_files import PartFolder
from lmclassify.tables.rows import CHUNK_ROWS, Column, Rows
from lmclassify.tables.urls import is_url

_MOST_ERRORS = 5  # in full

ID_COLUMNS = ("row_file", "row_number")
"""What says where a row stood: the file's name as given, and the number in it, from 1 up."""


@dataclass(frozen=True)
class TableLayout:
    """How the files are read: as the first one is."""

    columns: list[str]
    text_at: int
    label_at: int | None
    format: InputFormat | None = None
    encoding: str | None = None
    fields: Sequence[str] = ("subject",)
    chunk_rows: int = CHUNK_ROWS


@dataclass
class Outcome:
    """What is known of the rows labelled, in parts or in all."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows that have both text and label, by true and by predicted label."""
    rows: int = 0
    without_text: int = 0


@dataclass(frozen=True)
class _File:
    number: int
    name: str
    path: str
    first_name: str


@dataclass(frozen=True)
class _Chunk:
    file: _File
    rows: Rows
    bytes_read: int


@dataclass(frozen=True)
class _Failed:
    file: _File
    error: LMClassifyError


@dataclass(frozen=True)
class _Labelled:
    file: _File
    part: str
    outcome: Outcome
    bytes_read: int
    warnings: list[str]


@dataclass(frozen=True)
class _Job:
    model: StoredModel
    exact: bool
    decisions: Decisions
    reading: TableLayout
    output: PartFolder


def check_id_columns(columns: Sequence[str], name: str) -> None:
    """Raise DataError if one of `ID_COLUMNS` is already there."""
    taken = [column for column in ID_COLUMNS if column in columns]
    if taken:
        raise DataError(
            f"{name} already has {listing(taken)}; rename them, or replace them with --overwrite-columns"
        )


def size_of(files: Sequence[str]) -> int | None:
    """Return the bytes of files in all; None where some have URLs."""
    return None if any(map(is_url, files)) else sum(os.path.getsize(file) for file in files)


def label_files(
    files: Sequence[str],
    reading: TableLayout,
    model: FittedModel,
    decisions: Decisions,
    output: PartFolder,
    processes: int,
    progress: Callable[[int, int], object] = lambda rows, bytes_read: None,
) -> Outcome:
    """Label files on the cluster that `lmclassify.cluster.connection.connect` has connected to.

    Parameters
    ----------
    files : sequence of str
        Paths that all machines of the cluster can read, or URLs.
    reading : TableLayout
    model : FittedModel
        Sent to the cluster.
    decisions : Decisions
    output : PartFolder
        Prepared. It gets the rows of good files, marked as complete if there is no other, with `ID_COLUMNS`
        before what `TableLabeller` adds.
    processes : int
        How many score.
    progress : callable, optional
        Is told the number of rows that are newly done, and the bytes read in all.

    Raises
    ------
    DataError
        After all good files are done, if others could not be read; it names them. They have no part.
    OutputError
        If a part cannot be written.
    """
    first = files[0]
    items = [
        _File(number, name, name if is_url(name) else os.path.abspath(name), first)
        for number, name in enumerate(files)
    ]
    job = _Job(to_stored(model), model.exact, decisions, reading, output)
    total = Outcome()
    parts: dict[int, list[tuple[str, Outcome]]] = {}
    failed: dict[int, _Failed] = {}
    read: dict[int, int] = {}
    said: set[str] = set()
    try:
        for result in stream(items, _Split(reading), _prepare, job, processes):
            if isinstance(result, _Failed):
                if not isinstance(result.error, DataError):
                    raise result.error
                failed.setdefault(result.file.number, result)
                continue
            number = result.file.number
            parts.setdefault(number, []).append((result.part, result.outcome))
            read[number] = max(read.get(number, 0), result.bytes_read)
            progress(result.outcome.rows, sum(read.values()))
            for message in result.warnings:
                if message not in said:
                    said.add(message)
                    warnings.warn(message, LMClassifyWarning, stacklevel=2)
    finally:
        output.remove_temporary_files()
    output.remove(part for number in failed for part, _ in parts.pop(number, []))
    for outcomes in parts.values():
        for _, outcome in outcomes:
            total.counts += outcome.counts
            total.rows += outcome.rows
            total.without_text += outcome.without_text
    if failed:
        in_order = [failed[number] for number in sorted(failed)]
        told = [str(one.error) for one in in_order[:_MOST_ERRORS]]
        if len(in_order) > _MOST_ERRORS:
            told.append(f"and {listing(one.file.name for one in in_order[_MOST_ERRORS:])}")
        raise DataError(
            f"{len(failed):,} of {len(files):,} files cannot be used (the others are done): {'; '.join(told)}"
        )
    output.finish()
    return total


@dataclass(frozen=True)
class _Split:
    """Reads a file chunk by chunk."""

    reading: TableLayout

    def __call__(self, file: _File) -> Iterator[_Chunk | _Failed]:
        how = self.reading
        try:
            source = open_rows(file.path, format=how.format, encoding=how.encoding, fields=how.fields)
            with source:
                check_columns(source, how.columns, file.first_name)
                source.describe(how.text_at, how.label_at)
                for rows in source.chunks(how.chunk_rows):
                    yield _Chunk(file, rows, source.bytes_read)
        except LMClassifyError as error:
            yield _Failed(file, error)


def _prepare(job: _Job) -> Callable[[_Chunk | _Failed], _Labelled | _Failed]:
    """Load the model, and return what labels a chunk and writes its part."""
    threadpool_limits(1)
    model = from_stored(job.model)
    model.n_jobs, model.exact = 1, job.exact

    def label(piece: _Chunk | _Failed) -> _Labelled | _Failed:
        if isinstance(piece, _Failed):
            return piece
        reading, rows = job.reading, piece.rows
        labeller = TableLabeller(model, reading.text_at, reading.label_at, decisions=job.decisions)
        name = job.output.part_name(piece.file.number, rows.first)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                labelled = labeller.label(rows)
            job.output.write(name, _with_ids(labelled, piece.file.name))
        except LMClassifyError as error:
            return _Failed(piece.file, error)
        outcome = Outcome(labeller.counts, len(rows), labeller.without_text)
        messages = [str(one.message) for one in caught if issubclass(one.category, LMClassifyWarning)]
        return _Labelled(piece.file, name, outcome, piece.bytes_read, messages)

    return label


def _with_ids(labelled: Rows, file: str) -> Rows:
    numbers = np.arange(labelled.first, labelled.first + len(labelled), dtype=np.int64)
    ids: dict[str, Column] = dict(zip(ID_COLUMNS, ([file] * len(labelled), numbers), strict=True))
    return labelled.with_columns({**ids, **labelled.added})

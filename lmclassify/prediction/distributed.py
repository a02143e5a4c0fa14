"""Labels files on a Ray cluster: every chunk of rows becomes a part file.

Reader processes split files into chunks of rows. Worker processes hold the model, label the chunks and write
the part files; they send back only counts.
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
from lmclassify.errors import DataError, LMClassifyError, LMClassifyWarning, counted, listing
from lmclassify.persistence.layout import StoredModel
from lmclassify.prediction.labelling import TableLabeller, check_new_columns
from lmclassify.prediction.part_files import PartFolder
from lmclassify.prediction.unlike_texts import TextComparison
from lmclassify.tables.dialect import Dialect
from lmclassify.tables.rows import CHUNK_ROWS, Column, Rows
from lmclassify.tables.urls import is_url

MAX_ERRORS = 5
"""Files whose error is quoted in full, so that the message stays readable; the others are only named."""

ID_COLUMNS = ("row_file", "row_number")
"""Columns that identify the input row: file name as given, and row number in the file, from 1."""


@dataclass(frozen=True)
class TableLayout:
    """Columns of the first file, which all files must have, and how to read them."""

    columns: list[str]
    text_at: Sequence[int]
    label_at: int | None
    format: InputFormat | None = None
    encoding: str | None = None
    sheet: str | None = None
    named_columns: Sequence[str | None] = ()
    fields: Sequence[str] = ("subject",)
    dialect: Dialect | None = None
    chunk_rows: int = CHUNK_ROWS


@dataclass
class LabellingCounts:
    """Counts of labelled rows."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows with text and label, by true and by predicted label."""
    rows: int = 0
    without_text: int = 0
    without_one_label: int = 0
    renamed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows whose label counts as a label of the model; see `TableLabeller`."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of the files."""
    comparison: TextComparison = field(default_factory=TextComparison, compare=False)

    def add(self, other: LabellingCounts) -> None:
        """Add the counts of other rows."""
        self.counts += other.counts
        self.rows += other.rows
        self.without_text += other.without_text
        self.without_one_label += other.without_one_label
        self.renamed += other.renamed
        self.notes += other.notes
        self.comparison.merge(other.comparison)


@dataclass(frozen=True)
class _InputFile:
    number: int
    name: str
    path: str
    first_name: str


@dataclass(frozen=True)
class _Chunk:
    file: _InputFile
    rows: Rows
    bytes_read: int
    notes: Sequence[str] = ()
    """Of the last chunk: what the user should know of the file."""


@dataclass(frozen=True)
class _FailedFile:
    file: _InputFile
    error: LMClassifyError


@dataclass(frozen=True)
class _LabelledChunk:
    file: _InputFile
    part: str
    counts: LabellingCounts
    bytes_read: int
    warnings: list[str]


@dataclass(frozen=True)
class _Job:
    """Everything that a worker needs."""

    model: StoredModel
    exact: bool
    decisions: Decisions
    layout: TableLayout
    output: PartFolder


def check_id_columns(columns: Sequence[str], name: str) -> None:
    """Raise DataError if a table, called `name`, already has one of `ID_COLUMNS`."""
    check_new_columns(ID_COLUMNS, columns, name)


def total_size(files: Sequence[str]) -> int | None:
    """Return the total size of files in bytes; None if there are URLs among them."""
    return None if any(map(is_url, files)) else sum(os.path.getsize(file) for file in files)


def label_files(
    files: Sequence[str],
    layout: TableLayout,
    model: FittedModel,
    decisions: Decisions,
    output: PartFolder,
    processes: int,
    progress: Callable[[int, int], object] = lambda rows, bytes_read: None,
) -> LabellingCounts:
    """Label files on the cluster that `lmclassify.cluster.connection.connect` has connected to.

    Raises DataError if some files cannot be read: after all others are done. Unreadable files have no part.
    Raises OutputError if a part cannot be written.

    Parameters
    ----------
    files : sequence of str
        URLs, or paths that all machines of the cluster can read.
    model : FittedModel
        Sent to the cluster.
    output : PartFolder
        Prepared folder for the rows of readable files. Rows get `ID_COLUMNS` and then the columns of
        `TableLabeller`. The folder is marked as complete if all files were readable.
    processes : int
        Number of worker processes.
    progress : callable, optional
        Called with the number of newly labelled rows and the number of all bytes read so far.

    Returns
    -------
    LabellingCounts
        Of all rows.
    """
    items = [
        _InputFile(number, name, name if is_url(name) else os.path.abspath(name), files[0])
        for number, name in enumerate(files)
    ]
    job = _Job(to_stored(model), model.exact, decisions, layout, output)
    chunks: dict[int, list[_LabelledChunk]] = {}
    failed: dict[int, _FailedFile] = {}
    bytes_read: dict[int, int] = {}
    warned: set[str] = set()
    try:
        for result in stream(items, _Split(layout), _prepare, job, processes):
            number = result.file.number
            if isinstance(result, _FailedFile):
                if not isinstance(result.error, DataError):
                    raise result.error
                failed.setdefault(number, result)
                continue
            chunks.setdefault(number, []).append(result)
            bytes_read[number] = max(bytes_read.get(number, 0), result.bytes_read)
            progress(result.counts.rows, sum(bytes_read.values()))
            for message in result.warnings:
                if message not in warned:
                    warned.add(message)
                    warnings.warn(message, LMClassifyWarning, stacklevel=2)
    finally:
        output.remove_temporary_files()
    output.remove(chunk.part for number in failed for chunk in chunks.pop(number, []))
    if failed:
        raise _unreadable([failed[number] for number in sorted(failed)], len(files))
    output.finish()
    total = LabellingCounts()
    for labelled in chunks.values():
        for chunk in labelled:
            total.add(chunk.counts)
    return total


def _unreadable(failed: Sequence[_FailedFile], files: int) -> DataError:
    errors = [str(failure.error) for failure in failed[:MAX_ERRORS]]
    if len(failed) > MAX_ERRORS:
        errors.append(f"and {listing(failure.file.name for failure in failed[MAX_ERRORS:])}")
    return DataError(
        f"{len(failed):,} of {counted(files, 'file')} cannot be used (the others are done): "
        f"{'; '.join(errors)}"
    )


@dataclass(frozen=True)
class _Split:
    """Reads a file in chunks."""

    layout: TableLayout

    def __call__(self, file: _InputFile) -> Iterator[_Chunk | _FailedFile]:
        layout = self.layout
        try:
            source = open_rows(
                file.path,
                format=layout.format,
                encoding=layout.encoding,
                fields=layout.fields,
                dialect=layout.dialect,
                sheet=layout.sheet,
                named_columns=layout.named_columns,
            )
            with source:
                check_columns(source, layout.columns, file.first_name)
                source.describe(layout.text_at, layout.label_at)
                chunks = source.chunks(layout.chunk_rows)
                rows = next(chunks, None)
                while rows is not None:
                    bytes_read = source.bytes_read
                    following = next(chunks, None)
                    yield _Chunk(file, rows, bytes_read, source.notes if following is None else ())
                    rows = following
        except LMClassifyError as error:
            yield _FailedFile(file, error)


def _prepare(job: _Job) -> Callable[[_Chunk | _FailedFile], _LabelledChunk | _FailedFile]:
    """Load the model; return a function that labels a chunk and writes its part file."""
    threadpool_limits(1)
    model = from_stored(job.model)
    model.n_jobs, model.exact = 1, job.exact

    def label(chunk: _Chunk | _FailedFile) -> _LabelledChunk | _FailedFile:
        if isinstance(chunk, _FailedFile):
            return chunk
        layout, rows = job.layout, chunk.rows
        labeller = TableLabeller(model, layout.text_at, layout.label_at, decisions=job.decisions)
        name = job.output.part_name(chunk.file.number, rows.first)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                labelled = labeller.label(rows)
            job.output.write(name, _with_ids(labelled, chunk.file.name))
        except LMClassifyError as error:
            return _FailedFile(chunk.file, error)
        counts = LabellingCounts(
            labeller.counts,
            len(rows),
            labeller.without_text,
            labeller.without_one_label,
            labeller.renamed,
            list(chunk.notes),
            labeller.comparison,
        )
        messages = [str(item.message) for item in caught if issubclass(item.category, LMClassifyWarning)]
        return _LabelledChunk(chunk.file, name, counts, chunk.bytes_read, messages)

    return label


def _with_ids(labelled: Rows, file: str) -> Rows:
    numbers = np.arange(labelled.first, labelled.first + len(labelled), dtype=np.int64)
    ids: dict[str, Column] = dict(zip(ID_COLUMNS, ([file] * len(labelled), numbers), strict=True))
    return labelled.with_columns({**ids, **labelled.added})

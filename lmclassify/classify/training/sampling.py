"""Samples labelled texts from files that are too large for one process; the rest stay in the files.

A process of a Ray cluster reads each file: once for the sample, and again each time that the n-grams of
the remaining texts are counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lmclassify.classify.training.context import SizeLimits
from lmclassify.classify.training.data import MIN_SAMPLED_PER_LABEL
from lmclassify.classify.training.ngram_counts import LabelledBatch, labelled_batches
from lmclassify.cluster.tasks import RayTasks
from lmclassify.datasets.labelled import LabelledTableReader, LabelledTexts, UsedColumns

Array = npt.NDArray[np.float64]
Say = Callable[[str], object]

_Row = tuple[float, int, int, str, str]
"""Random number, number of the file, position in the file, text, label."""


@dataclass(frozen=True)
class _File:
    number: int
    path: str
    reader: LabelledTableReader
    seed: int
    size: int


@dataclass
class _Survey:
    """Digest, label counts, messages and sample of one file, or of several."""

    digest: bytes = b""
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    sample: list[_Row] = field(default_factory=list)
    columns: UsedColumns | None = None
    """Of the first table."""


@dataclass(frozen=True)
class StreamedRemainder:
    """The texts outside the sample; see `lmclassify.classify.training.ngram_counts.TextShard`."""

    counts: dict[str, int]
    """Number of texts of each label."""
    digest: str
    """SHA-256 of all texts and labels, the sample included."""
    files: Sequence[_File]
    sampled: Sequence[frozenset[int]]
    """Of each file, the positions of the texts in the sample."""

    def shards(self, labels: Sequence[str], weights: Array) -> list[FileShard]:
        """Return the files to count; `weights` are those of each label's texts, (K,)."""
        codes = {label: code for code, label in enumerate(labels)}
        return [
            FileShard(file.path, file.reader, sampled, codes, weights)
            for file, sampled in zip(self.files, self.sampled, strict=True)
        ]


@dataclass(frozen=True)
class FileShard:
    """The texts of a file, without those in the sample."""

    path: str
    reader: LabelledTableReader
    sampled: frozenset[int]
    codes: dict[str, int]
    weights: Array

    def batches(self) -> Iterator[LabelledBatch]:
        """Read the file again, chunk by chunk."""
        position = 0
        for chunk in self.reader.chunks(self.path, Counter(), lambda line: None):
            rest = [row for row in range(len(chunk.texts)) if position + row not in self.sampled]
            position += len(chunk.texts)
            if rest:
                codes = np.array([self.codes[chunk.labels[row]] for row in rest], dtype=np.intp)
                yield from labelled_batches([chunk.texts[row] for row in rest], codes, self.weights[codes])


def sample_tables(
    paths: Sequence[str],
    reader: LabelledTableReader,
    cluster: RayTasks,
    *,
    size: int = SizeLimits.max_texts,
    seed: int = 0,
    say: Say,
) -> tuple[LabelledTexts, StreamedRemainder | None]:
    """Sample texts from tables that the processes of a cluster read.

    Raises DataError as `lmclassify.datasets.labelled.read_tables`.

    Parameters
    ----------
    paths : sequence of str
        Tables that all processes can read, each with its own header.
    size : int, optional
        Number of texts to sample, and a few more of the rarest labels; by default as many as recipe tuned
        fits on. If there are no more texts, the sample is all of them, in order.
    say : callable
        Gets the messages about skipped rows.

    Returns
    -------
    sample : LabelledTexts
    remainder : StreamedRemainder or None
        The other texts; None if there are none.
    """
    files = [_File(number, path, reader, seed, size) for number, path in enumerate(paths)]
    whole = _Survey()
    digest = hashlib.sha256()
    for survey in cluster.map(_survey, files):
        for line in survey.messages:
            say(line)
        digest.update(survey.digest)
        whole.counts += survey.counts
        whole.seen += survey.seen
        whole.columns = whole.columns or survey.columns
        whole.sample = _lowest([*whole.sample, *survey.sample], size)
    reader.check(paths, whole.seen, whole.counts, say)
    rows = sorted(whole.sample, key=lambda row: row[1:3])
    sample = LabelledTexts([row[3] for row in rows], [row[4] for row in rows], columns=whole.columns)
    if len(rows) == whole.counts.total():
        return sample, None
    sampled: list[set[int]] = [set() for _ in files]
    for _, file, position, _, _ in rows:
        sampled[file].add(position)
    counts = whole.counts - Counter(sample.labels)
    return sample, StreamedRemainder(
        dict(counts), digest.hexdigest(), files, [frozenset(positions) for positions in sampled]
    )


def _survey(file: _File) -> _Survey:
    """Read a file, count its labels, and sample its texts."""
    result, digest = _Survey(), hashlib.sha256()
    random = np.random.default_rng([file.seed, file.number])  # the same each time the file is read
    position = 0
    for chunk in file.reader.chunks(file.path, result.seen, result.messages.append):
        result.counts.update(chunk.labels)
        result.columns = result.columns or chunk.columns
        numbers = random.random(len(chunk.texts)).tolist()
        for number, text, label in zip(numbers, chunk.texts, chunk.labels, strict=True):
            digest.update(repr((text, label)).encode("utf-8", "surrogatepass"))
            result.sample.append((number, file.number, position, text, label))
            position += 1
        if len(result.sample) > 2 * file.size:
            result.sample = _lowest(result.sample, file.size)
    result.sample = _lowest(result.sample, file.size)
    result.digest = digest.digest()
    return result


def _lowest(rows: list[_Row], size: int) -> list[_Row]:
    """Return the rows with the lowest random numbers, and a few of each label in any case."""
    if len(rows) <= size:
        return rows
    kept: list[_Row] = []
    label_counts: Counter[str] = Counter()
    for rank, row in enumerate(sorted(rows, key=lambda row: row[:3])):
        label_counts[row[4]] += 1
        if rank < size or label_counts[row[4]] <= MIN_SAMPLED_PER_LABEL:
            kept.append(row)
    return kept

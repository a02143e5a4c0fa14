"""Labelled texts in files that are too many to read into one process: it gets a sample, the rest stay there.

Each file is read where a process of a cluster has time for it: once to draw the sample, and again each time
that the n-grams of the rest are counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lmclassify.classify.training.folds import LEAST_DRAWN, MOST_TEXTS
from lmclassify.classify.training.ngram_counts import LabelledBatch, text_shards
from lmclassify.cluster.tasks import RayTasks
from lmclassify.datasets.labelled import LabelledTableReader, LabelledTexts

Array = npt.NDArray[np.float64]
Say = Callable[[str], object]

_Entry = tuple[float, int, int, str, str]  # a draw, file, place in it, text, label


@dataclass(frozen=True)
class _File:
    number: int
    path: str
    how: LabelledTableReader
    seed: int
    most: int


@dataclass
class _Survey:
    """What is known of a file, or of several."""

    digest: bytes = b""
    counts: Counter[str] = field(default_factory=Counter)
    seen: dict[str, None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    drawn: list[_Entry] = field(default_factory=list)


@dataclass(frozen=True)
class StreamedRemainder:
    """The texts that no process holds; see `lmclassify.classify.training.ngram_counts.TextShard`."""

    counts: dict[str, int]
    """How many of each label."""
    digest: str
    """SHA-256 of all texts, those of the sample too, and of their labels."""
    files: Sequence[_File]
    sampled: Sequence[frozenset[int]]
    """Of each file, the places of the texts that are in the sample."""

    def shards(self, labels: Sequence[str], weights: Array) -> list[FileShard]:
        """Return the files to count; weights are those of each label's texts, (K,)."""
        codes = {label: code for code, label in enumerate(labels)}
        return [
            FileShard(file.path, file.how, sampled, codes, weights)
            for file, sampled in zip(self.files, self.sampled, strict=True)
        ]


@dataclass(frozen=True)
class FileShard:
    """The texts of a file, without those in the sample."""

    path: str
    how: LabelledTableReader
    sampled: frozenset[int]
    codes: dict[str, int]
    weights: Array

    def chunks(self) -> Iterator[LabelledBatch]:
        """Read the file again, a chunk at a time."""
        place = 0
        for chunk in self.how.chunks(self.path, {}, lambda line: None):
            rest = [number for number in range(len(chunk.texts)) if place + number not in self.sampled]
            place += len(chunk.texts)
            if rest:
                codes = np.array([self.codes[chunk.labels[number]] for number in rest], dtype=np.intp)
                yield from text_shards([chunk.texts[number] for number in rest], codes, self.weights[codes])


def sample_tables(
    paths: Sequence[str],
    how: LabelledTableReader,
    cluster: RayTasks,
    *,
    most: int = MOST_TEXTS,
    seed: int = 0,
    say: Say,
) -> tuple[LabelledTexts, StreamedRemainder | None]:
    """Draw a sample of the texts of tables, which are read by a cluster's processes.

    Parameters
    ----------
    paths : sequence of str
        Tables that all processes can read, each with its own header.
    how : LabelledTableReader
    cluster : RayTasks
    most : int, optional
        Texts to draw, and a few of the rarest labels. With no more than these, the sample is all, in order.
        By default as many as recipe "tuned" learns everything from.
    seed : int, default=0
    say : callable

    Returns
    -------
    sample : LabelledTexts
    rest : StreamedRemainder or None
        The others; None if there are none.

    Raises
    ------
    DataError
        As `lmclassify.datasets.labelled.read_tables`.
    """
    files = [_File(number, path, how, seed, most) for number, path in enumerate(paths)]
    whole = _Survey()
    digest = hashlib.sha256()
    for found in cluster.map(_survey, files):
        for line in found.said:
            say(line)
        digest.update(found.digest)
        whole.counts += found.counts
        whole.seen |= found.seen
        whole.drawn = _lowest([*whole.drawn, *found.drawn], most)
    how.check(paths, whole.seen, whole.counts, say)
    drawn = sorted(whole.drawn, key=lambda entry: entry[1:3])
    sample = LabelledTexts([entry[3] for entry in drawn], [entry[4] for entry in drawn])
    if len(drawn) == whole.counts.total():
        return sample, None
    sampled: list[set[int]] = [set() for _ in files]
    for _, file, place, _, _ in drawn:
        sampled[file].add(place)
    counts = whole.counts - Counter(sample.labels)
    return sample, StreamedRemainder(
        dict(counts), digest.hexdigest(), files, [frozenset(of) for of in sampled]
    )


def _survey(file: _File) -> _Survey:
    """Read a file, count its labels, and draw from its texts."""
    result, digest = _Survey(), hashlib.sha256()
    random = np.random.default_rng([file.seed, file.number])  # the same however often the file is read
    place = 0
    for chunk in file.how.chunks(file.path, result.seen, result.said.append):
        result.counts.update(chunk.labels)
        draws = random.random(len(chunk.texts)).tolist()
        for draw, text, label in zip(draws, chunk.texts, chunk.labels, strict=True):
            digest.update(repr((text, label)).encode("utf-8", "surrogatepass"))
            result.drawn.append((draw, file.number, place, text, label))
            place += 1
        if len(result.drawn) > 2 * file.most:
            result.drawn = _lowest(result.drawn, file.most)
    result.drawn = _lowest(result.drawn, file.most)
    result.digest = digest.digest()
    return result


def _lowest(entries: list[_Entry], most: int) -> list[_Entry]:
    """Return the entries with the lowest draws, and of each label a few in any case."""
    if len(entries) <= most:
        return entries
    kept: list[_Entry] = []
    of_label: Counter[str] = Counter()
    for number, entry in enumerate(sorted(entries, key=lambda entry: entry[:3])):
        of_label[entry[4]] += 1
        if number < most or of_label[entry[4]] <= LEAST_DRAWN:
            kept.append(entry)
    return kept

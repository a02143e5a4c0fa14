"""Many distinct texts like given ones, to measure speed and memory with.

``python -m benchmarks.synthetic_texts TRAIN ROWS OUT [--also TEST] [--seed 0]`` samples texts from a word
model of order 3 of each label's texts in TRAIN, none twice, puts those of TEST before them, and writes a CSV
of text and label. Labels are as frequent as in TRAIN.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from lmclassify.datasets.labelled import read_tables
from lmclassify.errors import DataError, LMClassifyError
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

_END = ""
_AT_A_TIME = 8192  # rows written
_ATTEMPTS = 100  # for each text asked for, before the model is taken to hold no more


class WordModel:
    """Words after the two words before them, as often as in the texts it was made from.

    Parameters
    ----------
    texts : sequence of str
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._following: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for text in texts:
            before = (_END, _END)
            for word in [*text.split(), _END]:
                self._following[before].append(word)
                before = (before[1], word)

    def sample(self, rng: np.random.Generator) -> Iterator[str]:
        """Yield texts without end; they may repeat."""
        draws: Iterator[float] = iter(())
        while True:
            words: list[str] = []
            before = (_END, _END)
            while True:
                draw = next(draws, None)
                if draw is None:
                    draws = iter(rng.random(1 << 16).tolist())
                    draw = next(draws)
                following = self._following[before]
                word = following[int(draw * len(following))]
                if word == _END:
                    break
                words.append(word)
                before = (before[1], word)
            yield " ".join(words)


def distinct_texts(
    texts: Sequence[str],
    labels: Sequence[str],
    rows: int,
    *,
    also: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> Iterator[tuple[str, str]]:
    """Yield texts with their labels, no text twice: those of `also` first, then sampled ones.

    Parameters
    ----------
    texts, labels : sequence of str
        What word models are made from, one a label.
    rows : int
        How many texts in all.
    also : sequence of (str, str), optional
    seed : int, default=0

    Raises
    ------
    DataError
        If the models hold too few different texts.
    """
    rng = np.random.default_rng(seed)
    of_label = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        of_label[label].append(text)
    samples = {label: WordModel(own).sample(rng) for label, own in of_label.items()}
    names = sorted(samples)
    shares = np.cumsum([len(of_label[name]) for name in names]) / len(texts)
    said: set[int] = {hash("")}
    left = rows
    for text, label in also:
        if left and hash(text) not in said:
            said.add(hash(text))
            left -= 1
            yield text, label
    attempts = _ATTEMPTS * left
    while left:
        for place in np.searchsorted(shares, rng.random(1 << 14), side="right").tolist():
            text = next(samples[names[place]])
            attempts -= 1
            if hash(text) not in said:
                said.add(hash(text))
                left -= 1
                yield text, names[place]
            if not left:
                return
            if not attempts:
                raise DataError(f"the texts give too few different ones: {left:,} of {rows:,} are missing")


def write_texts(path: str, rows: Iterator[tuple[str, str]]) -> None:
    """Write texts and labels as CSV, whole or not at all."""
    with TableWriter(path, "csv") as writer:
        while some := [list(row) for row in islice(rows, _AT_A_TIME)]:
            writer.write(Rows(["text", "label"], some))


def main() -> None:
    """Write the file that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("train")
    parser.add_argument("rows", type=int)
    parser.add_argument("out")
    parser.add_argument("--also", metavar="TEST", help="real texts to begin with")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        _write(given)
    except (LMClassifyError, OSError) as error:
        sys.exit(f"error: {error}")


def _write(given: argparse.Namespace) -> None:
    train = read_tables([given.train])
    also: list[tuple[str, str]] = []
    if given.also:
        test = read_tables([given.also])
        also = list(zip(test.texts, test.labels, strict=True))
    write_texts(given.out, distinct_texts(train.texts, train.labels, given.rows, also=also, seed=given.seed))


if __name__ == "__main__":
    main()

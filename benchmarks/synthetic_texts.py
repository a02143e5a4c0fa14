"""Many distinct synthetic texts that resemble given ones, to measure speed and memory.

``python -m benchmarks.synthetic_texts TRAIN ROWS OUT [--also TEST] [--seed 0]`` fits a word trigram model
to each label's texts in TRAIN and samples distinct texts from it. It writes a CSV file of texts and labels;
the texts of TEST come first. Labels are as frequent as in TRAIN.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from benchmarks.common import errors_in_one_line, read_table
from lmclassify.errors import DataError
from lmclassify.tables.rows import Rows
from lmclassify.tables.writing import TableWriter

_END = ""
_CHUNK_ROWS = 8192
MAX_ATTEMPTS = 100  # per text asked for; after that many the models hold too few distinct texts


class WordModel:
    """Word trigram model without smoothing: a word follows two others as often as in the texts.

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
        """Yield random texts forever; they may repeat."""
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
    """Yield distinct texts with their labels: those of `also` first, then sampled ones.

    Parameters
    ----------
    texts, labels : sequence of str
        One word model is fitted to each label's texts.
    rows : int
        Number of texts in all.
    also : sequence of (str, str), optional
    seed : int, default=0

    Raises
    ------
    DataError
        If the models hold too few distinct texts.
    """
    rng = np.random.default_rng(seed)
    texts_by_label = defaultdict(list)
    for text, label in zip(texts, labels, strict=True):
        texts_by_label[label].append(text)
    samples = {label: WordModel(own).sample(rng) for label, own in texts_by_label.items()}
    names = sorted(samples)
    shares = np.cumsum([len(texts_by_label[name]) for name in names]) / len(texts)
    seen: set[int] = {hash("")}
    left = rows
    for text, label in also:
        if left and hash(text) not in seen:
            seen.add(hash(text))
            left -= 1
            yield text, label
    attempts = MAX_ATTEMPTS * left
    while left:
        for index in np.searchsorted(shares, rng.random(1 << 14), side="right").tolist():
            text = next(samples[names[index]])
            attempts -= 1
            if hash(text) not in seen:
                seen.add(hash(text))
                left -= 1
                yield text, names[index]
            if not left:
                return
            if not attempts:
                raise DataError(f"the texts give too few different ones: {left:,} of {rows:,} are missing")


def write_texts(path: str, rows: Iterator[tuple[str, str]]) -> None:
    """Write texts and labels as CSV. A failure leaves no partial file."""
    with TableWriter(path, "csv") as writer:
        while some := [list(row) for row in islice(rows, _CHUNK_ROWS)]:
            writer.write(Rows(["text", "label"], some))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Write distinct synthetic texts that resemble given ones.")
    parser.add_argument("train", help="labelled texts to fit word models to")
    parser.add_argument("rows", type=int, help="number of texts")
    parser.add_argument("out", help="CSV file to write")
    parser.add_argument("--also", metavar="TEST", help="labelled texts to begin with")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    options = parser.parse_args()
    with errors_in_one_line():
        _write(options)


def _write(options: argparse.Namespace) -> None:
    train = read_table(options.train)
    also: list[tuple[str, str]] = []
    if options.also:
        test = read_table(options.also)
        also = list(zip(test.texts, test.labels, strict=True))
    write_texts(
        options.out, distinct_texts(train.texts, train.labels, options.rows, also=also, seed=options.seed)
    )


if __name__ == "__main__":
    main()

"""The texts of all files that are labelled together, and the answers in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmclassify.annotation.labelled_file import NONE, RANDOM, SKIPPED, Answer, LabelledFile


@dataclass(frozen=True)
class Made:
    """An answer that was written, and what the row had when the file was read."""

    before: Answer
    after: Answer


class Pool:
    """The rows of several files, numbered through from 0.

    Attributes
    ----------
    texts : list of str
    labels : dict of int to str
        The label of each row that has one.
    excluded : set of int
        Rows that were skipped, have none of the labels, or no text.
    at_random : set of int
        Labelled rows that were drawn at random.
    counts : dict of str to int
        How many rows each label has: those in the files by their number, then new ones in the order in which
        they came.
    num_texts, num_skipped, num_none : int
        Rows with text; those that were skipped; those that have none of the labels.
    """

    def __init__(self, files: Sequence[LabelledFile]) -> None:
        self.files = list(files)
        self.texts: list[str] = []
        self._places: list[tuple[LabelledFile, int]] = []
        for file in files:
            self.texts += file.texts
            self._places += [(file, row) for row in range(len(file.texts))]
        self.labels: dict[int, str] = {}
        self.excluded: set[int] = set()
        self.at_random: set[int] = set()
        self.counts: dict[str, int] = {}
        self.num_skipped = self.num_none = 0
        self._made: dict[int, Made] = {}
        for index, text in enumerate(self.texts):
            self._count(index, self.answer(index))
            if not text.strip():
                self.excluded.add(index)
        self.num_texts = sum(1 for text in self.texts if text.strip())
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        self.counts = dict(ordered)

    def answer(self, index: int) -> Answer:
        """Return the answer of a row."""
        file, row = self._places[index]
        return file.answers[row]

    def place(self, index: int) -> tuple[str, int]:
        """Return the name of a row's file, and the row's number in it, from 1."""
        file, row = self._places[index]
        return file.name, row + 1

    def first_of(self, file: int) -> int:
        """Return the index of the first row of a file."""
        return sum(len(each.texts) for each in self.files[:file])

    def write(self, index: int, answer: Answer) -> None:
        """Write an answer. Raises what `LabelledFile.write` raises."""
        file, row = self._places[index]
        before = file.answers[row]
        file.write({row: answer})
        self._forget(index, before)
        self._count(index, answer)
        first = self._made[index].before if index in self._made else before
        self._made[index] = Made(first, answer)

    def read_again(self) -> tuple[Pool, dict[int, int], int]:
        """Return the files as they are now, each row's new index by its old one, and the lost answers.

        A row is found again by its text. An answer that was made is written again where the row is as it was
        before; if it was changed otherwise, the file's content stays. It is lost if the row is gone.
        """
        new = Pool([file.read_again() for file in self.files])
        new_index: dict[int, int] = {}
        start, new_start, num_lost = 0, 0, 0
        for old_file, file in zip(self.files, new.files, strict=True):
            rows = _matching_rows(old_file.texts, file.texts)
            new_index |= {start + old: new_start + row for old, row in rows.items()}
            start, new_start = start + len(old_file.texts), new_start + len(file.texts)
        changes: defaultdict[int, dict[int, Answer]] = defaultdict(dict)
        for index, made in self._made.items():
            at = new_index.get(index)
            if at is None:
                num_lost += made.after != made.before
                continue
            now = new.answer(at)
            if (now.label, now.source) == (made.before.label, made.before.source) and now != made.after:
                file, row = new._places[at]
                changes[new.files.index(file)][row] = made.after
                new._forget(at, now)
                new._count(at, made.after)
            new._made[at] = made
        for number, answers in changes.items():
            new.files[number].write(answers)
        return new, new_index, num_lost

    def _count(self, index: int, answer: Answer) -> None:
        """Count the answer of a row."""
        if answer.label:
            self.labels[index] = answer.label
            self.counts[answer.label] = self.counts.get(answer.label, 0) + 1
            if answer.source == RANDOM:
                self.at_random.add(index)
        elif answer.source in (SKIPPED, NONE):
            self.excluded.add(index)
            self.num_skipped += answer.source == SKIPPED
            self.num_none += answer.source == NONE

    def _forget(self, index: int, answer: Answer) -> None:
        """Undo `_count`. A label that no row has any more is gone."""
        if answer.label:
            del self.labels[index]
            self.at_random.discard(index)
            self.counts[answer.label] -= 1
            if not self.counts[answer.label]:
                del self.counts[answer.label]
        elif answer.source in (SKIPPED, NONE):
            self.excluded.discard(index)
            self.num_skipped -= answer.source == SKIPPED
            self.num_none -= answer.source == NONE


def _matching_rows(old: Sequence[str], new: Sequence[str]) -> Mapping[int, int]:
    """Return the new number of each row by its old one: equal texts are matched in their order."""
    if old == new:
        return {row: row for row in range(len(old))}
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row in range(len(new) - 1, -1, -1):
        rows[new[row]].append(row)
    return {row: rows[text].pop() for row, text in enumerate(old) if rows[text]}

"""The runs of a benchmark: training sizes, seeds, folds, and the texts of each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lmclassify.comparison.methods import Method
from lmclassify.comparison.results import Cell, Size
from lmclassify.comparison.splits import proportional_sample, stratified_folds
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.errors import DataError, OptionError, counted, listing, plural, shorten

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class DataFile:
    """Labelled texts and the file they come from."""

    name: str
    sha256: str
    """Of the file's bytes."""
    rows: LabelledTexts


def file_sha256(path: str) -> str:
    """Return the SHA-256 of a file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


@dataclass(frozen=True)
class Split:
    """Training and test texts of one run."""

    training: LabelledTexts
    test: LabelledTexts


class Plan:
    """The runs of a benchmark and the texts of each run; equal arguments give equal plans.

    Raises DataError if the data have only one label, or fewer texts than folds. Raises OptionError if a size
    is smaller than the number of labels, or no size is possible.

    Parameters
    ----------
    data : DataFile
        Training texts; test texts too if there is no test file.
    test : DataFile, optional
        Test texts. Without it there is a cross-validation on `data`.
    sizes : sequence of int or "all"
        Numbers of training texts, sampled anew for each seed (and fold).
    seeds : sequence of int
        Repetitions. With folds, each seed makes folds of its own.
    folds : int, optional
        Folds of the cross-validation; required without `test`.

    Attributes
    ----------
    sizes : list of int or "all"
        Possible sizes, ascending.
    notes : list of str
        What a user should know about the plan.
    """

    def __init__(
        self,
        data: DataFile,
        test: DataFile | None,
        methods: Sequence[Method],
        *,
        sizes: Sequence[Size] = ("all",),
        seeds: Sequence[int] = (0,),
        folds: int | None = None,
    ) -> None:
        self.data, self.test, self.methods = data, test, list(methods)
        self.seeds, self.folds = list(seeds), folds
        self.notes: list[str] = []
        self.labels = sorted(set(data.rows.labels))
        if len(self.labels) < 2:
            raise DataError(f"{data.name}: all texts have label {shorten(self.labels[0])}; two are needed")
        self._single_text_labels: set[str] = set()
        if test is None:
            self._check_folds(folds or 0)
        else:
            unknown = sorted(set(test.rows.labels) - set(self.labels))
            if unknown:
                count = sum(label in unknown for label in test.rows.labels)
                self.notes.append(
                    f"{data.name} has no label {listing(map(shorten, unknown))}: "
                    f"{counted(count, 'text')} of {test.name} {plural(count, 'counts', 'count')} as wrong"
                )
        self.sizes = self._possible_sizes(sizes)

    def _check_folds(self, folds: int) -> None:
        rows = self.data.rows
        self._single_text_labels = {label for label in self.labels if rows.labels.count(label) == 1}
        texts = len(rows.texts) - len(self._single_text_labels)
        if texts < folds:
            raise DataError(
                f"{self.data.name}: {counted(texts, 'text')} (of labels with several) "
                f"cannot make {folds} folds; "
                "lower --folds or give --test"
            )
        if self._single_text_labels:
            names = listing(map(shorten, sorted(self._single_text_labels)))
            self.notes.append(f"label {names} has one text: used for training only, never for testing")

    def _possible_sizes(self, sizes: Sequence[Size]) -> list[Size]:
        available = len(self.data.rows.texts)
        if self.test is None:
            fold_of_text = self._fold_of_text(0)
            available -= max(fold_of_text.count(fold) for fold in range(self.folds or 1))
        numbers = sorted({size for size in sizes if size != "all"})
        if numbers and numbers[0] < len(self.labels):
            raise OptionError(
                f"--sizes {numbers[0]}: each of the {counted(len(self.labels), 'label')} needs a text"
            )
        result: list[Size] = [size for size in numbers if size <= available]
        self.notes += [
            f"size {size:,} skipped: "
            f"there {plural(available, 'is', 'are')} only {counted(available, 'training text')}"
            for size in numbers
            if size > available
        ]
        if "all" in sizes:
            result.append("all")
        if not result:
            raise OptionError(
                f"--sizes: there {plural(available, 'is', 'are')} only {counted(available, 'training text')}"
            )
        return result

    def _fold_of_text(self, seed: int) -> list[int]:
        """Return each text's fold; -1 for the only text of a label, which is in every training part."""
        labels = self.data.rows.labels
        rows = [row for row, label in enumerate(labels) if label not in self._single_text_labels]
        generator = np.random.default_rng(seed)
        folds = stratified_folds([labels[row] for row in rows], self.folds or 1, generator)
        result = [-1] * len(labels)
        for row, fold in zip(rows, folds.tolist(), strict=True):
            result[row] = fold
        return result

    @cached_property
    def rows_sha256(self) -> str:
        """SHA-256 of all texts and labels."""
        digest = hashlib.sha256()
        for file in (self.data, self.test):
            rows = LabelledTexts() if file is None else file.rows
            digest.update(json.dumps([rows.texts, rows.labels]).encode())
        return digest.hexdigest()

    def cells(self) -> list[Cell]:
        """Return all runs in order of execution: small sizes first."""
        folds = [None] if self.folds is None else list(range(self.folds))
        cells = [
            Cell(method=method.key, size=size, seed=0 if self._runs_once(method, size) else seed, fold=fold)
            for size in self.sizes
            for seed in self.seeds
            for fold in folds
            for method in self.methods
        ]
        return list(dict.fromkeys(cells))

    def _runs_once(self, method: Method, size: Size) -> bool:
        """Return whether all seeds give the same figures."""
        return method.deterministic and size == "all" and self.test is not None

    def split(self, cell: Cell) -> Split:
        """Return the training and test texts of a run."""
        rows = self.data.rows
        if self.test is not None:
            training, test = rows, self.test.rows
        else:
            fold_of_text = self._fold_of_text(cell.seed)
            training = _take(rows, [row for row, fold in enumerate(fold_of_text) if fold != cell.fold])
            test = _take(rows, [row for row, fold in enumerate(fold_of_text) if fold == cell.fold])
        if cell.size != "all":
            generator = np.random.default_rng([cell.seed, cell.fold or 0, cell.size])
            training = _take(training, proportional_sample(training.labels, cell.size, generator).tolist())
        return Split(training, test)


def _take(rows: LabelledTexts, indices: Sequence[int]) -> LabelledTexts:
    return LabelledTexts([rows.texts[i] for i in indices], [rows.labels[i] for i in indices])

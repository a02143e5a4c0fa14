"""Classifiers side by side on a user's own texts: plans the runs, does each in a process, keeps records."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

import lmclassify
from lmclassify.comparison.baselines import Baseline
from lmclassify.comparison.methods import Classifier, Method, Setup
from lmclassify.comparison.results import Cell, Figures, Record, ResultsFile, Size, run_key
from lmclassify.comparison.splits import stratified_draw, stratified_folds
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.errors import DataError, OptionError, listing, shorten
from lmclassify.evaluation.metrics import expected_calibration_error

_LEAST_TIMED = 0.2  # seconds of prediction, repeated if need be, that texts/s are taken from
_PRELOADED = "lmclassify.comparison.runner"  # brings scikit-learn, not torch


@dataclass(frozen=True)
class Source:
    """Labelled texts and the file that they come from."""

    name: str
    sha256: str
    """Of the file's bytes."""
    rows: LabelledTexts


@dataclass(frozen=True)
class Split:
    """What one run learns from and is tried on."""

    training: LabelledTexts
    test: LabelledTexts


class Plan:
    """Which runs a benchmark consists of, and what each learns from; the same for the same arguments.

    Parameters
    ----------
    data : Source
    test : Source, optional
    methods : sequence of Method
    sizes : sequence of int or "all"
        Texts to learn from, drawn anew for each seed (and fold).
    seeds : sequence of int
        Repetitions. With folds, each seed deals the texts out anew.
    folds : int, optional
        Without `test`: parts of a cross-validation.

    Attributes
    ----------
    sizes : list of int or "all"
        Those that can be had, ascending.
    notes : list of str
        What a user should know.

    Raises
    ------
    DataError
        If the data has one label only, or fewer texts than folds.
    OptionError
        If a size is smaller than the number of labels.
    """

    def __init__(
        self,
        data: Source,
        test: Source | None,
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
        self._single: set[str] = set()
        if test is None:
            self._check_folds(folds or 0)
        else:
            unknown = sorted(set(test.rows.labels) - set(self.labels))
            if unknown:
                count = sum(label in unknown for label in test.rows.labels)
                self.notes.append(
                    f"{data.name} has no label {listing(map(shorten, unknown))}: "
                    f"{count:,} texts of {test.name} count as wrong"
                )
        self.sizes = self._possible_sizes(sizes)

    def _check_folds(self, folds: int) -> None:
        self._single = {label for label in self.labels if self.data.rows.labels.count(label) == 1}
        dealt = len(self.data.rows.texts) - len(self._single)
        if dealt < folds:
            raise DataError(
                f"{self.data.name}: {dealt:,} texts (of labels with several) cannot make {folds} folds; "
                "lower --folds or give --test"
            )
        if self._single:
            names = listing(map(shorten, sorted(self._single)))
            self.notes.append(f"label {names} has one text: always learnt from, never tried")

    def _possible_sizes(self, sizes: Sequence[Size]) -> list[Size]:
        largest = self._smallest_training_part()
        numbers = sorted({size for size in sizes if size != "all"})
        if numbers and numbers[0] < len(self.labels):
            raise OptionError(f"--sizes {numbers[0]}: each of the {len(self.labels):,} labels needs a text")
        result: list[Size] = [size for size in numbers if size <= largest]
        self.notes += [
            f"size {size:,} skipped: there are {largest:,} texts to learn from"
            for size in numbers
            if size > largest
        ]
        if "all" in sizes:
            result.append("all")
        if not result:
            raise OptionError(f"--sizes: there are only {largest:,} texts to learn from")
        return result

    def _smallest_training_part(self) -> int:
        if self.test is not None:
            return len(self.data.rows.texts)
        fold_of = self._fold_of(0)
        return len(fold_of) - max(fold_of.count(fold) for fold in range(self.folds or 1))

    def _fold_of(self, seed: int) -> list[int]:
        """Return each text's fold; -1 for the only text of a label, which is in every training part."""
        labels = self.data.rows.labels
        dealt = [place for place, label in enumerate(labels) if label not in self._single]
        folds = stratified_folds(
            [labels[place] for place in dealt], self.folds or 1, np.random.default_rng(seed)
        )
        result = [-1] * len(labels)
        for place, fold in zip(dealt, folds, strict=True):
            result[place] = int(fold)
        return result

    @cached_property
    def rows_sha256(self) -> str:
        """The digest of all texts and labels."""
        digest = hashlib.sha256()
        for source in (self.data, self.test):
            rows = LabelledTexts() if source is None else source.rows
            digest.update(json.dumps([rows.texts, rows.labels]).encode())
        return digest.hexdigest()

    def cells(self) -> list[Cell]:
        """Return all runs in the order in which they are done: small sizes first."""
        folds = [None] if self.folds is None else list(range(self.folds))
        result = []
        for size in self.sizes:
            for seed in self.seeds:
                for fold in folds:
                    for method in self.methods:
                        once = self._runs_once(method, size)
                        if not once or seed == self.seeds[0]:
                            result.append(
                                Cell(method=method.key, size=size, seed=0 if once else seed, fold=fold)
                            )
        return result

    def _runs_once(self, method: Method, size: Size) -> bool:
        """Return whether every seed would give the same figures."""
        return method.deterministic and size == "all" and self.test is not None

    def split(self, cell: Cell) -> Split:
        """Return what a run learns from and is tried on."""
        rows = self.data.rows
        if self.test is not None:
            training, test = rows, self.test.rows
        else:
            fold_of = self._fold_of(cell.seed)
            training = _take(rows, [place for place, fold in enumerate(fold_of) if fold != cell.fold])
            test = _take(rows, [place for place, fold in enumerate(fold_of) if fold == cell.fold])
        if cell.size != "all":
            generator = np.random.default_rng([cell.seed, cell.fold or 0, cell.size])
            training = _take(training, stratified_draw(training.labels, cell.size, generator).tolist())
        return Split(training, test)


def _take(rows: LabelledTexts, places: Sequence[int]) -> LabelledTexts:
    return LabelledTexts([rows.texts[i] for i in places], [rows.labels[i] for i in places])


class Benchmark:
    """Does a plan's runs one after the other, each in a process of its own.

    Parameters
    ----------
    plan : Plan
    results : ResultsFile, optional
        Runs that it holds are not done again; new ones are added as they finish.
    threads : int
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where lmclassify trains.

    Attributes
    ----------
    records : list of Record
        Of this plan, finished so far.
    waiting : list of Cell
        Runs still to be done.
    """

    def __init__(
        self, plan: Plan, results: ResultsFile | None = None, *, threads: int, device: str = "auto"
    ) -> None:
        self.plan = plan
        self._results = results
        self._threads = threads
        self._device = device
        self._methods = {method.key: method for method in plan.methods}
        self._versions = _versions()
        done = {record.key(): record for record in results.records if record.error is None} if results else {}
        self.records: list[Record] = []
        self.waiting: list[Cell] = []
        for cell in plan.cells():
            key = run_key(
                plan.rows_sha256,
                cell,
                self._methods[cell.method].settings,
                plan.folds,
                self._versions["lmclassify"],
            )
            if key in done:
                self.records.append(done[key])
            else:
                self.waiting.append(cell)

    def run(self, begin: Callable[[Cell], object], end: Callable[[Record], object]) -> None:
        """Do the runs that are waiting. A run that fails is recorded as such.

        Parameters
        ----------
        begin, end : callable
            Told each run before and after.
        """
        while self.waiting:
            cell = self.waiting[0]
            begin(cell)
            record = self._record(cell)
            self.records.append(record)
            if self._results is not None:
                self._results.append(record)
            del self.waiting[0]
            end(record)

    def _record(self, cell: Cell) -> Record:
        method, plan = self._methods[cell.method], self.plan
        split = plan.split(cell)
        setup = Setup(cell.seed, self._threads, self._device)
        figures, error = measure_in_process(method, split, setup)
        return Record(
            data=plan.data.name,
            data_sha256=plan.data.sha256,
            test=plan.test.name if plan.test else None,
            test_sha256=plan.test.sha256 if plan.test else None,
            rows_sha256=plan.rows_sha256,
            labels=len(plan.labels),
            training_texts=len(split.training.texts),
            test_texts=len(split.test.texts),
            method=method.key,
            settings=method.settings,
            size=cell.size,
            seed=cell.seed,
            fold=cell.fold,
            folds=plan.folds,
            figures=figures,
            error=error,
            threads=self._threads,
            device=self._device,
            versions=self._versions,
            commit=_commit(),
            machine=_machine(),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def measure(method: Method, split: Split, setup: Setup) -> Figures:
    """Fit a classifier, calibrate a rival, and compare its predictions with the truth."""
    training, test = split.training, split.test
    classifier = method.build(setup)
    gc.collect()
    # scikit-learn's solvers for sparse data are slower with more: their products are tiny
    blas_threads = 1 if isinstance(classifier, Baseline) else setup.threads
    with threadpool_limits(blas_threads):
        started = time.perf_counter()
        classifier.fit(training.texts, training.labels)
        fit_seconds = time.perf_counter() - started
        probabilities, texts_per_second = _timed_predictions(classifier, test.texts)
        peak = _peak_megabytes()
        calibration_seconds, temperature = 0.0, None
        if isinstance(classifier, Baseline):
            started = time.perf_counter()
            classifier.calibrate(training.texts, training.labels)
            calibration_seconds = time.perf_counter() - started
            temperature = classifier.temperature_
            probabilities = classifier.predict_proba(test.texts)
    classes = np.asarray(classifier.classes_, dtype=object)
    true = np.asarray(test.labels, dtype=object)
    predicted = classes[probabilities.argmax(axis=1)]
    of_true = np.where(classes == true[:, None], probabilities, 0.0).sum(axis=1)
    return Figures(
        accuracy=float(np.mean(predicted == true)),
        macro_f1=float(f1_score(true, predicted, average="macro", zero_division=0.0)),
        log_loss=-float(np.log(np.clip(of_true, np.finfo(float).eps, 1.0)).mean()),
        ece=expected_calibration_error(probabilities.max(axis=1), predicted == true),
        fit_seconds=fit_seconds,
        calibration_seconds=calibration_seconds,
        texts_per_second=texts_per_second,
        peak_megabytes=peak,
        temperature=temperature,
    )


def _timed_predictions(classifier: Classifier, texts: Sequence[str]) -> tuple[np.ndarray, float]:
    started = time.perf_counter()
    times = 0
    while times == 0 or time.perf_counter() - started < _LEAST_TIMED:
        probabilities = np.asarray(classifier.predict_proba(texts), dtype=float)
        times += 1
    return probabilities, times * len(texts) / (time.perf_counter() - started)


def _peak_megabytes() -> float | None:
    if sys.platform == "win32":
        return None
    import resource  # not on every system

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


def measure_in_process(method: Method, split: Split, setup: Setup) -> tuple[Figures | None, str | None]:
    """Measure in a new process, so that memory is this run's own and a crash costs this run only.

    Returns
    -------
    figures : Figures or None
    error : str or None
        One line that says why there are no figures.
    """
    way = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(way)
    context.set_forkserver_preload([_PRELOADED])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_and_send, args=(theirs, method, split, setup))
    with ours:
        try:
            process.start()
            theirs.close()
            figures, error = ours.recv()
        except EOFError:
            figures, error = None, None
        except BaseException:
            if process.pid is not None:
                process.kill()
                process.join()
            raise
    process.join()
    if figures is None and error is None:
        code = process.exitcode or 0
        error = f"killed by signal {-code}" if code < 0 else f"its process ended with status {code}"
        error += " (out of memory?)" if code == -9 else ""
    process.close()
    return figures, error


def _measure_and_send(connection: Connection, method: Method, split: Split, setup: Setup) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what libraries print is no result
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    try:
        connection.send((measure(method, split, setup), None))
    except Exception as error:
        connection.send((None, _one_line(f"{type(error).__name__}: {error}")))


def _one_line(text: str, limit: int = 200) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def file_sha256(path: str) -> str:
    """Return the digest of a file's bytes."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _versions() -> Mapping[str, str]:
    found = {"lmclassify": lmclassify.__version__, "python": platform.python_version()}
    for name in ("torch", "scikit-learn", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version_of(name)
    return found


def _commit() -> str | None:
    """Return the commit of the checkout that this runs from, with ``-dirty`` if files differ from it."""
    root = Path(lmclassify.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _machine() -> str:
    """Return the processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{name}, {os.cpu_count()} cores"

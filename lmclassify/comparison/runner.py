"""Runs a benchmark: each run in a process of its own, its record kept as soon as it finishes."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
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
from lmclassify.comparison.plan import Plan, Split
from lmclassify.comparison.results import Cell, Figures, Record, ResultsFile, run_key
from lmclassify.errors import cut
from lmclassify.evaluation.metrics import expected_calibration_error

MIN_TIMED_SECONDS = 0.2
"""Prediction is repeated for this long: a single pass over a few texts is too short to time."""
MAX_ERROR_LENGTH = 200
"""Characters of a failed run's error message: it is one cell of a table."""
_PRELOADED = "lmclassify.comparison.runner"
"""Module that the fork server imports once for all runs: it brings scikit-learn but not torch."""

Measure = Callable[[Method, Split, Setup], tuple[Figures | None, str | None]]
"""Does a run; returns its figures, or the error if it failed."""


class Benchmark:
    """Does the runs of a plan one after the other, each in a process of its own.

    Parameters
    ----------
    results : ResultsFile, optional
        Runs that it holds are not repeated; new records are appended as runs finish.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Device that lmclassify trains on.
    measure : callable, default=measure_in_process
        Does one run.

    Attributes
    ----------
    records : list of Record
        Records of this plan, finished so far.
    waiting : list of Cell
        Runs still to be done.
    """

    def __init__(
        self,
        plan: Plan,
        results: ResultsFile | None = None,
        *,
        threads: int,
        device: str = "auto",
        measure: Measure | None = None,
    ) -> None:
        self.plan = plan
        self._results = results
        self._threads = threads
        self._device = device
        self._measure = measure or measure_in_process
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
        """Do the waiting runs. A run that fails is recorded with its error.

        Parameters
        ----------
        begin, end : callable
            Called before and after each run.
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
        figures, error = self._measure(method, split, setup)
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
    """Fit a classifier, calibrate a baseline, and return metrics, times and memory."""
    training, test = split.training, split.test
    classifier = method.build(setup)
    gc.collect()
    # scikit-learn's sparse solvers are slower with several threads
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
    true_probabilities = np.where(classes == true[:, None], probabilities, 0.0).sum(axis=1)
    return Figures(
        accuracy=float(np.mean(predicted == true)),
        macro_f1=float(f1_score(true, predicted, average="macro", zero_division=0.0)),
        log_loss=-float(np.log(np.clip(true_probabilities, np.finfo(float).eps, 1.0)).mean()),
        ece=expected_calibration_error(probabilities.max(axis=1), predicted == true),
        fit_seconds=fit_seconds,
        calibration_seconds=calibration_seconds,
        texts_per_second=texts_per_second,
        peak_megabytes=peak,
        temperature=temperature,
    )


def _timed_predictions(classifier: Classifier, texts: Sequence[str]) -> tuple[np.ndarray, float]:
    """Return probabilities and texts per second."""
    started = time.perf_counter()
    passes = 0
    while passes == 0 or time.perf_counter() - started < MIN_TIMED_SECONDS:
        probabilities = np.asarray(classifier.predict_proba(texts), dtype=float)
        passes += 1
    return probabilities, passes * len(texts) / (time.perf_counter() - started)


def _peak_megabytes() -> float | None:
    if sys.platform == "win32":
        return None
    import resource  # POSIX only

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 2**20 if sys.platform == "darwin" else used / 2**10


def measure_in_process(method: Method, split: Split, setup: Setup) -> tuple[Figures | None, str | None]:
    """Measure in a new process, so that memory use is that of one run and a crash ends only that run.

    Returns
    -------
    figures : Figures or None
    error : str or None
        One line that says why there are no figures.
    """
    method_name = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method_name)
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # hide what libraries print
        os.dup2(null, stream)
    warnings.simplefilter("ignore")
    try:
        connection.send((measure(method, split, setup), None))
    except Exception as error:
        connection.send((None, cut(" ".join(f"{type(error).__name__}: {error}".split()), MAX_ERROR_LENGTH)))


def _versions() -> Mapping[str, str]:
    found = {"lmclassify": lmclassify.__version__, "python": platform.python_version()}
    for name in ("torch", "scikit-learn", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version_of(name)
    return found


def _commit() -> str | None:
    """Return the commit of the checkout, with ``-dirty`` if files have changed; None outside a checkout."""
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

"""Speed of training and scoring, compared with the machine's peak rate and with a linear SVM.

``python -m benchmarks.speed TRAIN`` measures several times, in turn: matrix products, a whole fit of recipe
"plain", its bare training step, a straightforward training loop, and scoring. It prints medians and ratios.
With ``--rows FILE`` it also labels that file, with a linear SVM and with ``lmclassify predict``.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import simple_training_loop as plain_loop
from benchmarks.common import errors_in_one_line, print_progress
from benchmarks.flops import PASSES, forward_flops, matrix_peak
from benchmarks.speed_rows import measure_rows, prefix_share
from lmclassify import LMClassifier
from lmclassify.classify.scoring import log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit
from lmclassify.classify.training.language_models import new_trainer
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import LMClassifyError, LMClassifyWarning
from lmclassify.lm.inference.forward import NumpyLanguageModel
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.parallel import number_of_threads
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

_NUM_STEPS = 60  # bare training steps per label; a second or two
_WARM_UP_STEPS = 3  # the first steps allocate what the others reuse

Figures = dict[str, list[float]]
"""Measured values by name, one per repetition."""


class Bench:
    """Measurements on one training table.

    Parameters
    ----------
    data : LabelledTexts
    settings : Settings
        Recipe "plain".
    threads : int
    batches : int
        Number of batches per label of the straightforward loop.
    say : callable
        Receives lines about the progress.

    Attributes
    ----------
    figures : dict of str to list of float
        Rates: GFLOP/s of products, steps and scoring; tokens per second.
    facts : dict of str to int
        Values that are the same in every repetition.
    """

    def __init__(
        self,
        data: LabelledTexts,
        settings: Settings,
        threads: int,
        batches: int,
        say: Callable[[str], object],
    ) -> None:
        self._data, self._settings, self._threads, self._batches = data, settings, threads, batches
        self._say = say
        self.figures: Figures = defaultdict(list)
        self.facts: dict[str, int] = {}
        self.classifier: LMClassifier | None = None

    def repeat(self) -> None:
        """Measure everything once."""
        for threads in {1, self._threads}:
            for library, rate in matrix_peak(threads).items():
                self._note(f"peak {library} {threads}", rate)
        classifier = self._fit()
        labels = np.asarray(self._data.labels, dtype=object)
        sequences = classifier.model_.tokenizer.sequences(self._data.texts)
        by_label = [
            [sequences[index] for index in np.flatnonzero(labels == label)] for label in classifier.classes_
        ]
        self._step(classifier.model_.tokenizer, by_label)
        vocab_size = classifier.model_.tokenizer.vocab_size
        tokens, steps = plain_loop.measure(by_label, vocab_size, self._settings, self._batches)
        self._note("plain loop tokens/s", tokens)
        self._note("plain loop tokens/s, padding counted", steps)
        self._score(classifier, sequences)
        self.classifier = classifier

    def _fit(self) -> LMClassifier:
        own = {name: getattr(self._settings, name) for name in ("recipe", "max_epochs")}
        classifier = LMClassifier(**own, random_state=0, n_jobs=self._threads, device="cpu")
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMClassifyWarning)  # long texts are truncated
            classifier.fit(self._data.texts, self._data.labels)
        seconds = time.perf_counter() - started
        model = classifier.model_
        first = model.models[0]
        assert isinstance(first, NumpyLanguageModel)
        forward = forward_flops(first.arrays)
        epochs = model.training_entries("epoch")
        trained = sum(entry["tokens"] for entry in epochs)
        sequences = model.tokenizer.sequences(self._data.texts)
        total = dict.fromkeys(classifier.classes_.tolist(), 0)
        for label, sequence in zip(self._data.labels, sequences, strict=True):
            total[label] += min(len(sequence), self._settings.max_length) - 1
        validated = sum(total[entry["label"]] - entry["tokens"] for entry in epochs)
        self.facts |= {
            "parameters of a model": first.num_parameters,
            "vocabulary": model.tokenizer.vocab_size,
            "FLOP a token, forward": forward,
            "training tokens": trained,
            "epochs of all labels": len(epochs),
        }
        self._note("fit seconds", seconds)
        self._note("fit tokens/s", trained / seconds)
        self._note("fit", forward * (PASSES * trained + validated) / seconds / 1e9)
        return classifier

    def _step(self, tokenizer: Tokenizer, by_label: list[list[Ids]]) -> None:
        """Train one model per thread at the same time, on batches of texts of median length."""
        context = FitContext(self._settings, "cpu", self._threads)
        jobs: list[tuple[Trainer, npt.NDArray[np.intp]]] = []
        tokens = 0
        for texts in sorted(by_label, key=len)[-self._threads :]:
            lengths = np.array([len(text) for text in texts])
            rows = np.argsort(np.abs(lengths - np.median(lengths)), kind="stable")
            rows = rows[: self._settings.batch_size]
            part = DataSplit("", np.arange(len(texts)), np.arange(0), len(jobs))
            jobs.append((new_trainer(part, texts, None, tokenizer, context), rows))
            jobs[-1][0].model.train()
            tokens += _NUM_STEPS * int((lengths[rows] - 1).sum())

        def train(job: tuple[Trainer, npt.NDArray[np.intp]], steps: int = _NUM_STEPS) -> None:
            for _ in range(steps):
                job[0].step(job[1])

        with ThreadPoolExecutor(len(jobs), initializer=lambda: torch.set_num_threads(1)) as pool:
            list(pool.map(lambda job: train(job, _WARM_UP_STEPS), jobs))
            started = time.perf_counter()
            list(pool.map(train, jobs))
            seconds = time.perf_counter() - started
        self._note("step", PASSES * self.facts["FLOP a token, forward"] * tokens / seconds / 1e9)

    def _score(self, classifier: LMClassifier, sequences: list[Ids]) -> None:
        models = classifier.model_.models
        started = time.perf_counter()
        log_likelihoods(models, sequences, threads=self._threads)
        seconds = time.perf_counter() - started
        tokens = sum(len(sequence) - 1 for sequence in sequences) * len(models)
        self._note("scoring tokens/s", tokens / seconds)
        self._note("scoring", self.facts["FLOP a token, forward"] * tokens / seconds / 1e9)

    def _note(self, name: str, value: float) -> None:
        self.figures[name].append(value)
        self._say(f"{name}: {value:,.1f}")

    def ratios(self) -> Figures:
        """Return shares of the best product's rate, and the fit's speed relative to the plain loop."""
        peak = max(max(values) for name, values in self.figures.items() if name.startswith("peak "))
        shares = {
            f"{name}, share of peak": [v / peak for v in self.figures[name]]
            for name in ("fit", "step", "scoring")
        }
        pairs = zip(self.figures["fit tokens/s"], self.figures["plain loop tokens/s"], strict=True)
        return {**shares, "fit / plain loop, tokens/s": [ours / plain for ours, plain in pairs]}


def table(figures: Figures) -> str:
    """Return one line per figure: median and range."""
    width = max(len(name) for name in figures)
    lines = []
    for name, values in figures.items():
        low, middle, high = map(_number, (min(values), statistics.median(values), max(values)))
        lines.append(f"{name:<{width}} {middle:>10}   ({low} to {high})")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.5g}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description="Speed of training and scoring."
    )
    parser.add_argument("train", help="labelled texts to fit on, CSV")
    parser.add_argument(
        "--rows", type=Path, metavar="FILE", help="CSV file to label, with a column named text"
    )
    parser.add_argument(
        "--model", metavar="FOLDER", help='fitted model of recipe "tuned" to label it with, too'
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="repetitions of everything but --rows (default: 3)"
    )
    parser.add_argument("--row-repeats", type=int, default=2, help="repetitions of --rows (default: 2)")
    parser.add_argument(
        "--epochs", type=int, default=Settings().max_epochs, help="maximum number of epochs of the fit"
    )
    parser.add_argument(
        "--batches", type=int, default=20, help="batches per label of the straightforward loop (default: 20)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    options = parser.parse_args()
    with errors_in_one_line():
        if min(options.repeats, options.row_repeats, options.batches) < 1:
            raise LMClassifyError("--repeats, --row-repeats and --batches must be at least 1")
        if options.model and not options.rows:
            raise LMClassifyError("--model is for labelling: give --rows too")
        result = run(options)
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything, print it, and return it."""
    data = read_tables([options.train], say=print_progress)
    threads = number_of_threads()
    bench = Bench(
        data, Settings(recipe="plain", max_epochs=options.epochs), threads, options.batches, print_progress
    )
    facts: dict[str, Any] = {
        "machine": f"{platform.platform()}, {os.cpu_count()} processors, {threads} threads",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
    }
    for number in range(options.repeats):
        print_progress(f"-- repetition {number + 1} of {options.repeats}")
        bench.repeat()
    figures, ratios = dict(bench.figures), bench.ratios()
    facts |= bench.facts
    if options.rows:
        assert bench.classifier is not None
        with tempfile.TemporaryDirectory() as folder:
            plain = str(Path(folder) / "plain")
            bench.classifier.save(plain)
            models = {"plain": [plain]}
            if options.model:
                models |= {"tuned": [options.model], "tuned exact": [options.model, "--exact"]}
            speeds, labels = measure_rows(data, options.rows, models, options.row_repeats, print_progress)
            for name, (model, *more) in models.items():
                if not more:
                    facts[f"distinct token prefixes, {name}"] = prefix_share(options.rows, model)
            if options.model:
                pairs = list(zip(labels["tuned"], labels["tuned exact"], strict=True))
                facts["same labels, tuned and tuned exact"] = sum(a == b for a, b in pairs) / len(pairs)
        figures |= {f"{name} texts/s": values for name, values in speeds.items()}
        for name in models:
            rates = zip(speeds[name], speeds["svm"], strict=True)
            ratios[f"{name} / svm, texts/s"] = [ours / theirs for ours, theirs in rates]
    for name, value in facts.items():
        print(f"{name}: {_number(value) if isinstance(value, (int, float)) else value}")
    print(f"\nmedians (GFLOP/s unless a unit is given) and ranges\n{table(figures)}")
    print(f"\n{table(ratios)}")
    return {**facts, "figures": figures, "ratios": ratios}


if __name__ == "__main__":
    main()

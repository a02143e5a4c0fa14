"""Time and memory of models with very many labels, simulated by multiplying the labels of a small model.

``python -m benchmarks.simulated_labels MODEL [--labels 100,1000] [--ngrams 2000]`` loads a model of recipe
"tuned", copies the language model of each label with random noise on its layers (the embedding is shared,
as it is in models of 50 labels or more), keeps some n-grams of each analyzer, and prints a Markdown table
of the cost of saving, loading and predicting. The copies cannot be told apart, so every language model
scores every text: the slowest case of prediction. 10,000 labels need 20 GB.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import errors_in_one_line, read_table, table_head
from lmclassify.classify.model import FittedModel, TunedModel, load
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.datasets.bundled import bundled_data
from lmclassify.errors import LMClassifyError
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.ngram.token_ngrams import TokenNgrams

_COLUMNS = ("labels", "save s", "disk MB", "load s", "memory MB", "texts/s")
_TEXTS_PER_LABEL = 10  # as in a sample of 100,000 texts of 10,000 labels
_NUM_SCORES = 20_000  # texts times labels; enough to time, and minutes at most
_SHARED = ("embedding.weight", "output.weight")


def many_labels(
    model: FittedModel, labels: int, ngrams: int, texts: Sequence[str], seed: int = 0
) -> FittedModel:
    """Return a model of many labels, made from one of few.

    Parameters
    ----------
    model : FittedModel
        Of recipe tuned.
    labels : int
        K.
    ngrams : int
        Number of n-grams kept per analyzer.
    texts : sequence of str
        The texts that the token n-grams of every label are counted in.
    seed : int, default=0
    """
    if not isinstance(model, TunedModel) or not isinstance(model.background, NumpyLanguageModel):
        raise LMClassifyError("a model of recipe tuned that reads forward is needed")
    originals = [one for one in model.models if isinstance(one, NumpyLanguageModel)]
    rng = np.random.default_rng(seed)
    codes = np.arange(labels) % len(model.classes_)
    shared = {name: model.background.arrays[name] for name in _SHARED if name in model.background.arrays}
    models: list[AnyLanguageModel] = []
    for code in codes.tolist():
        arrays = {
            name: (array + rng.normal(0, 0.01, array.shape)).astype(np.float32)
            for name, array in originals[code].arrays.items()
            if name not in shared
        }
        models.append(NumpyLanguageModel(round_to_16_bits(arrays) | shared))
    sequences = model.tokenizer.sequences(texts)
    log_priors = np.full(labels, -np.log(labels))
    held_out = model.held_out
    return replace(
        model,
        classes_=np.array([f"label {number:06d}" for number in range(labels)]),
        log_priors=log_priors,
        label_weights=np.ones(labels),
        models=models,
        tuned=models,
        token_ngrams=[TokenNgrams.fit(sequences, model.tokenizer.vocab_size) for _ in range(labels)],
        ngrams=[_truncate(one, codes, ngrams) for one in model.ngrams],
        combination=replace(model.combination, bias=model.combination.bias[codes]),
        held_out=replace(held_out, joint=held_out.joint[:, codes]),
    )


def _truncate(model: NgramModel, codes: np.ndarray[tuple[int], np.dtype[np.intp]], size: int) -> NgramModel:
    """Return a model of the first n-grams, with the given labels as columns."""
    return NgramModel(
        model.analyzer,
        model.keys[:size],
        model.idf[:size],
        model.svm_weights[:size, codes],
        model.svm_bias[codes],
        model.counts[:size, codes],
        None if model.contexts is None else np.where(model.contexts[:size] < size, model.contexts[:size], -1),
    )


def measure(path: str, labels: int, ngrams: int, texts: Sequence[str]) -> str:
    """Return one row of the table."""
    made = many_labels(load(path), labels, ngrams, texts[:_TEXTS_PER_LABEL])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        started = time.perf_counter()
        made.save(folder)
        saved = time.perf_counter() - started
        disk = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        del made
        command = [sys.executable, "-m", __spec__.name, str(folder), "--use"]
        lines = "\n".join(texts[: max(2, _NUM_SCORES // labels)])
        done = subprocess.run(command, input=lines, text=True, stdout=subprocess.PIPE, check=True)
    return f"| {labels:,} | {saved:.1f} | {disk:,.1f} | {done.stdout.strip()} |"


def use(path: str, texts: list[str]) -> str:
    """Return the cells of seconds to load a model, peak memory in MB, and texts per second.

    Called in a process of its own.
    """
    started = time.perf_counter()
    model = load(path)
    cells = [f"{time.perf_counter() - started:.1f}"]
    model.n_jobs, model.exact = 1, True
    started = time.perf_counter()
    model.predict_joint_log_proba(texts)
    rate = f"{len(texts) / (time.perf_counter() - started):,.2f}"
    cells.append(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}")
    return " | ".join([*cells, rate])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description="Time and memory of models with very many labels, simulated."
    )
    parser.add_argument("model", help='folder of a fitted model of recipe "tuned"')
    parser.add_argument("--labels", default="100,1000", help="numbers of labels, separated by commas")
    parser.add_argument("--ngrams", type=int, default=2000, help="n-grams per analyzer (default: 2000)")
    parser.add_argument("--use", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.use:
        print(use(options.model, sys.stdin.read().splitlines()))
        return
    with errors_in_one_line():
        texts = read_table(bundled_data("emails.csv")).texts
        print(*table_head(*_COLUMNS), sep="\n", flush=True)
        for labels in map(int, options.labels.split(",")):
            print(measure(options.model, labels, options.ngrams, texts), flush=True)


if __name__ == "__main__":
    main()

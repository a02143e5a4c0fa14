"""What a model of very many labels takes, without learning one: a small model's labels are multiplied.

``python -m benchmarks.simulated_labels MODEL [--labels 100,1000] [--ngrams 2000]``
loads a model of recipe "tuned", gives each label more copies of its language model, whose layers are moved
at random (the embedding is one for all, as it is from 50 labels on), keeps some n-grams of each view, and
prints a Markdown table of what saving, loading and labelling take. Copies cannot be told apart, so every
language model is asked about every text: the slowest that labelling can be. 10,000 labels take 20 GB.
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

from lmclassify.classify.model import FittedModel, TunedModel, load
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.datasets.bundled import bundled_data
from lmclassify.datasets.labelled import read_tables
from lmclassify.errors import LMClassifyError
from lmclassify.lm.inference.directions import AnyLanguageModel
from lmclassify.lm.inference.forward import NumpyLanguageModel, rounded
from lmclassify.lm.ngram.token_ngrams import TokenNgrams

_HEADER = "| labels | save s | disk MB | load s | memory MB | texts/s |"
_TEXTS_A_LABEL = 10  # as a sample of 100,000 has of 10,000 labels
_LABELS_ASKED = 20_000  # over all texts
_SHARED = ("embedding.weight", "output.weight")


def many_labels(
    model: FittedModel, labels: int, ngrams: int, texts: Sequence[str], seed: int = 0
) -> FittedModel:
    """Return a model of as many labels, made from one of a few.

    Parameters
    ----------
    model : FittedModel
        Of recipe tuned.
    labels : int
        K.
    ngrams : int
        How many of each view's are kept.
    texts : sequence of str
        Those of one label, of which its n-grams of tokens are learnt.
    seed : int, default=0
    """
    if not isinstance(model, TunedModel) or not isinstance(model.background, NumpyLanguageModel):
        raise LMClassifyError("a model of recipe tuned that reads forward is needed")
    first = [one for one in model.models if isinstance(one, NumpyLanguageModel)]
    rng = np.random.default_rng(seed)
    of = np.arange(labels) % len(model.classes_)
    shared = {name: model.background.arrays[name] for name in _SHARED if name in model.background.arrays}
    models: list[AnyLanguageModel] = []
    for code in of.tolist():
        arrays = {
            name: (array + rng.normal(0, 0.01, array.shape)).astype(np.float32)
            for name, array in first[code].arrays.items()
            if name not in shared
        }
        models.append(NumpyLanguageModel(rounded(arrays) | shared))
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
        ngrams=[_some(one, of, ngrams) for one in model.ngrams],
        combination=replace(model.combination, bias=model.combination.bias[of]),
        held_out=replace(held_out, joint=held_out.joint[:, of]),
    )


def _some(model: NgramModel, of: np.ndarray[tuple[int], np.dtype[np.intp]], size: int) -> NgramModel:
    """Return a model of the first n-grams, with the columns of some labels."""
    return NgramModel(
        model.analyzer,
        model.keys[:size],
        model.idf[:size],
        model.svm_weights[:size, of],
        model.svm_bias[of],
        model.counts[:size, of],
        None if model.contexts is None else np.where(model.contexts[:size] < size, model.contexts[:size], -1),
    )


def measure(path: str, labels: int, ngrams: int, texts: Sequence[str]) -> str:
    """Return one row of the table; to be called in a process of its own."""
    made = many_labels(load(path), labels, ngrams, texts[:_TEXTS_A_LABEL])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        started = time.perf_counter()
        made.save(folder)
        saved = time.perf_counter() - started
        disk = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        del made
        command = [sys.executable, "-m", __spec__.name, str(folder), "--use"]
        asked = "\n".join(texts[: max(2, _LABELS_ASKED // labels)])
        done = subprocess.run(command, input=asked, text=True, stdout=subprocess.PIPE, check=True)
    return f"| {labels:,} | {saved:.1f} | {disk:,.1f} | {done.stdout.strip()} |"


def use(path: str, texts: list[str]) -> str:
    """Return seconds to load a model, peak memory in MB, and texts labelled a second, in cells."""
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
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("--labels", default="100,1000", help="how many, separated by commas")
    parser.add_argument("--ngrams", type=int, default=2000, help="of each view")
    parser.add_argument("--use", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.use:
        print(use(given.model, sys.stdin.read().splitlines()))
        return
    try:
        texts = read_tables([str(bundled_data("emails.csv"))], say=lambda line: None).texts
        print(f"{_HEADER}\n|{'---|' * (_HEADER.count('|') - 1)}", flush=True)
        for labels in map(int, given.labels.split(",")):
            print(measure(given.model, labels, given.ngrams, texts), flush=True)
    except (LMClassifyError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

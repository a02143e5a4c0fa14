"""Cells, directions, layers and a Transformer side by side, each with recipe plain and the same settings.

``python -m benchmarks.cells SET... --data FOLDER --results FILE`` reads ``<set>.train.csv`` and
``<set>.test.csv``, appends a JSON line for each set, model and seed (those there already are not
repeated) and prints a Markdown table.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.transformer import TransformerLanguageModel
from lmclassify import __version__
from lmclassify.classify.scoring import Scorer, log_likelihoods
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.language_models import train
from lmclassify.classify.training.plain import fit_plain, split_labels
from lmclassify.classify.training.vocabulary import train_tokenizer
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import DataError, listing
from lmclassify.lm.inference.directions import DirectedLanguageModel
from lmclassify.lm.inference.forward import perplexity
from lmclassify.lm.neural.model import BaseLanguageModel
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

TRANSFORMER = "Transformer"
MODELS: dict[str, dict[str, Any]] = {
    "LSTM": {},
    "GRU": {"cell": "gru"},
    "LSTM with peepholes": {"cell": "peephole"},
    "LSTM with coupled gates": {"cell": "coupled"},
    "LSTM, 2 layers": {"num_lstm_layers": 2},
    "LSTM, backward": {"direction": "backward"},
    "LSTM, both directions": {"direction": "both"},
    TRANSFORMER: {"learning_rate": 0.01, "dropout": 0.1},
}
"""What is compared: settings other than the defaults."""

FIGURES = ("accuracy", "perplexity", "fit_seconds", "texts_per_second")


class _InTorch:
    """A torch model that scores."""

    def __init__(self, model: BaseLanguageModel) -> None:
        self._model = model.eval()

    @torch.no_grad()
    def token_nll(self, inputs: Ids, targets: Ids, state: Any = None) -> tuple[npt.NDArray[np.float64], Any]:
        """Return the negative log-probability of each target; see `Scorer`."""
        if state is not None:
            raise DataError("a text is too long to be read at once, which the Transformer must")
        nll = self._model.token_nll(torch.from_numpy(inputs), torch.from_numpy(targets))
        return nll.double().numpy(), ()


def _fit_transformers(
    data: TrainingData, context: FitContext
) -> tuple[Tokenizer, list[TransformerLanguageModel]]:
    """Train a Transformer per label as recipe plain trains LSTMs."""
    settings = context.settings
    assert settings.embedding_dim is not None
    splits = split_labels(data, settings.validation_fraction)
    training = np.sort(np.concatenate([split.training for split in splits]))
    tokenizer = train_tokenizer("subword", [data.texts[index] for index in training], settings)
    sequences = tokenizer.sequences(data.texts)
    models = [
        TransformerLanguageModel(
            tokenizer.vocab_size,
            settings.max_length,
            settings.embedding_dim,
            dropout=settings.dropout,
            tie_weights=settings.tie_weights,
            seed=split.seed,
        )
        for split in splits
    ]
    trainers = [
        Trainer(
            model,
            [sequences[index] for index in split.training],
            [sequences[index] for index in split.validation],
            settings,
            seed=split.seed,
        )
        for model, split in zip(models, splits, strict=True)
    ]
    train(list(zip(data.classes, trainers, strict=True)), context)
    return tokenizer, models


def measure(
    training: LabelledTexts, test: LabelledTexts, name: str, epochs: int, seed: int
) -> Mapping[str, float]:
    """Return one model's figures on one thread.

    Parameters
    ----------
    training, test : LabelledTexts
    name : str
        Of `MODELS`.
    epochs : int
        At most.
    seed : int

    Returns
    -------
    mapping of str to float
        `FIGURES`; perplexity is per token of the test texts, each under its own label's model; seconds are
        the processor's, so that other work on the machine counts little.
    """
    data = TrainingData.from_labels(training.texts, training.labels, seed)
    unknown = sorted(set(test.labels) - set(training.labels))
    if unknown:
        raise DataError(f"no training texts of {listing(unknown)}: a label of test texts only")
    codes = np.searchsorted(data.classes, np.asarray(test.labels, dtype=object))
    settings = replace(Settings(recipe="plain", max_epochs=epochs), **MODELS[name])
    context = FitContext(settings, "cpu", threads=1)
    models: Sequence[Scorer | DirectedLanguageModel]
    started = time.process_time()
    if name == TRANSFORMER:
        tokenizer, transformers = _fit_transformers(data, context)
        models = [_InTorch(model) for model in transformers]
    else:
        model = fit_plain(data, context).model
        tokenizer, models = model.tokenizer, model.models
    fitted = time.process_time()
    sequences = tokenizer.sequences(test.texts)
    nats = log_likelihoods(models, sequences)
    scored = time.process_time()
    own = nats[np.arange(len(codes)), codes].sum()
    return {
        "accuracy": float(((nats + data.log_priors).argmax(axis=1) == codes).mean()),
        "perplexity": perplexity(-float(own), sum(len(sequence) - 1 for sequence in sequences)),
        "fit_seconds": fitted - started,
        "texts_per_second": len(codes) / (scored - fitted),
    }


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a Markdown table, means over seeds."""
    sets = list(dict.fromkeys(record["set"] for record in records))
    lines = [f"| | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for name in dict.fromkeys(record["model"] for record in records):
        cells = []
        for data_set in sets:
            found = [r["figures"] for r in records if (r["set"], r["model"]) == (data_set, name)]
            mean = (
                {key: statistics.mean(figures[key] for figures in found) for key in FIGURES}
                if found
                else None
            )
            cells.append("" if mean is None else _cell(**mean))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(accuracy: float, perplexity: float, fit_seconds: float, texts_per_second: float) -> str:
    return f"{accuracy:.4f} / {perplexity:.1f} / {fit_seconds:.0f} / {texts_per_second:,.0f}"


def main() -> None:
    """Run what the results file lacks, and print the table."""
    parser = argparse.ArgumentParser(description="Cells, directions, layers and a Transformer side by side.")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    records = []
    if options.results.exists():
        records = [json.loads(line) for line in options.results.read_text().splitlines()]
    records = [r for r in records if (r["version"], r["epochs"]) == (__version__, options.epochs)]
    done = {(record["set"], record["model"], record["seed"]) for record in records}
    for data_set in options.sets:
        training, test = (
            read_tables([str(options.data / f"{data_set}.{part}.csv")], say=lambda line: None)
            for part in ("train", "test")
        )
        for seed in range(options.seeds):
            for name in options.models:
                if (data_set, name, seed) in done:
                    continue
                print(f"{data_set}, {name}, seed {seed}", file=sys.stderr)
                figures = measure(training, test, name, options.epochs, seed)
                key = {"set": data_set, "model": name, "seed": seed, "epochs": options.epochs}
                records.append({**key, "version": __version__, "figures": figures})
                with open(options.results, "a", encoding="utf-8") as file:
                    file.write(json.dumps(records[-1]) + "\n")
    wanted = [record for record in records if record["set"] in options.sets]
    in_order = sorted(wanted, key=lambda r: (options.sets.index(r["set"]), list(MODELS).index(r["model"])))
    print(table(in_order))


if __name__ == "__main__":
    main()

"""What each part of recipe tuned adds: fits it, leaves parts out, and compares on a test file.

``python -m benchmarks.ablation SET... --data FOLDER --results FILE`` reads ``<set>.train.csv`` and
``<set>.test.csv``, appends a JSON line for each set and seed (those there already are not repeated) and
prints a Markdown table. Variants that leave out experts share one fit: their combination is fitted again
on the same held-out scores. Variants that train differently have a fit of their own.

Shapes: n texts, K labels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmclassify import __version__
from lmclassify.classify.ensemble import LSTMS, log_softmax
from lmclassify.classify.scoring import log_likelihoods, ngram_scores
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import DataSplit, TrainingData
from lmclassify.classify.training.ensemble import add_experts, best_scale, fit_combination, spread
from lmclassify.classify.training.language_models import new_trainer
from lmclassify.classify.training.lstm_experts import TrainedModels, TunedTrainer
from lmclassify.classify.training.ngrams import fit_ngram_experts
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import DataError, listing
from lmclassify.lm.inference.forward import NumpyLanguageModel, round_to_16_bits
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.parallel import number_of_threads

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Figures = dict[str, float]

_ML, _TUNED = LSTMS

WITHOUT: dict[str, Callable[[str], bool]] = {
    "the whole recipe": lambda expert: False,
    "without the LSTMs": lambda expert: expert in LSTMS,
    "without the tuned LSTMs": lambda expert: expert == _TUNED,
    "without the maximum-likelihood LSTMs": lambda expert: expert == _ML,
    "without tuned n-grams": lambda expert: expert.startswith("tuned of"),
    "without n-gram language models": lambda expert: expert.startswith("language model of"),
    "without the bag of words": lambda expert: expert.startswith("bag of"),
    "without characters": lambda expert: expert.endswith("characters"),
    "without subwords": lambda expert: expert.endswith("subwords"),
    "without n-grams of words": lambda expert: expert.endswith("words") and not expert.endswith("subwords"),
    "the LSTMs alone": lambda expert: expert not in LSTMS,
    "the tuned LSTMs alone": lambda expert: expert != _TUNED,
    "the maximum-likelihood LSTMs alone": lambda expert: expert != _ML,
}
"""The variants that leave experts out: which ones."""


class NoBackground(TunedTrainer):
    """Trains each label's language model from scratch, as recipe plain does."""

    def adapt(self, split: DataSplit, trained: TrainedModels, epochs: int) -> Trainer:
        """Return a trainer of a label's language model."""
        settings = self.context.settings
        if not len(trained.validation):  # the final models train as many epochs as were best before
            settings = replace(settings, max_epochs=epochs)
        return new_trainer(
            split, trained.sequences, self.data.weights, trained.tokenizer, self.context, settings=settings
        )


OTHER_TRAINERS: dict[str, type[TunedTrainer]] = {"without the background model": NoBackground}
"""The variants with a fit of their own."""


@dataclass(frozen=True)
class Experts:
    """The experts of one fit: held-out scores, and scores of the test texts.

    s texts of the sample, m of them with scores of the LSTMs.
    """

    names: list[str]
    """In the order of the scores; the LSTMs come last."""
    codes: Codes
    """(s,) the index of each text's label."""
    log_priors: Array
    ngrams: list[Array]
    """(s, K) each: held-out scores of the n-gram experts."""
    lstms: list[Array]
    """(m, K) each: held-out scores of the LSTM experts."""
    rows: Codes
    """(m,) which of the s texts the LSTM experts' scores are of."""
    test: list[Array]
    """(n, K) each."""

    def joint(self, left_out: Callable[[str], bool]) -> Array:
        """Return joint log-probabilities of the test texts, (n, K), by the experts that are left."""
        names = [name for name in self.names if not left_out(name)]
        test = [scores for name, scores in zip(self.names, self.test, strict=True) if name in names]
        ngrams = dict(zip(self.names, self.ngrams, strict=False))
        lstms = dict(zip(LSTMS, self.lstms, strict=True))
        ngram_names, lstm_names = [name for name in names if name in ngrams], [n for n in names if n in lstms]
        codes, rows = self.codes, self.rows
        lstm_scores = [lstms[name] for name in lstm_names]
        if not ngram_names:
            combination = fit_combination(lstm_names, lstm_scores, codes[rows], self.log_priors)
        else:
            held_out = [ngrams[name] for name in ngram_names]
            combination = fit_combination(ngram_names, held_out, codes, self.log_priors)
            if lstm_names:
                joint = combination.joint(held_out)[rows]
                combination = add_experts(combination, joint, lstm_names, lstm_scores, codes[rows])
        return combination.joint(test)

    def product(self) -> Array:
        """Return joint log-probabilities by all experts with equal weights and one temperature, (n, K)."""
        held_out = [*(scores[self.rows] for scores in self.ngrams), *self.lstms]
        spreads = [spread(scores) for scores in held_out]
        pooled = [
            np.sum([scores / by for scores, by in zip(experts, spreads, strict=True)], axis=0)
            for experts in (held_out, self.test)
        ]
        scale = best_scale(pooled[0], self.log_priors, self.codes[self.rows])
        joint: Array = scale * pooled[1] + self.log_priors
        return joint


def fit_experts(
    data: TrainingData,
    context: FitContext,
    texts: list[str],
    trainer_type: type[TunedTrainer] = TunedTrainer,
) -> Experts:
    """Fit the experts as recipe tuned does, in one reading direction, and score test texts."""
    rng = np.random.default_rng([data.seed, len(data.classes)])
    ngrams = fit_ngram_experts(data, context, rng)
    sample = data.select(ngrams.sample, context.limits.max_texts)
    lstms = trainer_type(sample, context, ngrams.joint).fit(rng)
    trained = lstms.trained
    scores = lstms.scores
    if trained.tuned is trained.models:
        scores = [scores[0], np.zeros_like(scores[1])]
    test = ngram_scores(ngrams.models, texts, ngrams.subwords.sequences(texts), threads=context.threads)
    sequences = trained.tokenizer.sequences(texts)
    for weights in (trained.models, trained.tuned):
        models = [NumpyLanguageModel(round_to_16_bits(arrays)) for arrays in weights]
        test.append(log_likelihoods(models, sequences, threads=context.threads))
    names = [name for model in ngrams.models for name in model.score_names]
    return Experts(
        [*names, *LSTMS], sample.codes, sample.log_frequencies, ngrams.held_out, scores, lstms.rows, test
    )


def ablate(training: LabelledTexts, test: LabelledTexts, seed: int, threads: int) -> dict[str, Figures]:
    """Return accuracy and log-loss on the test texts of every variant."""
    data = TrainingData.from_labels(training.texts, training.labels, seed)
    unknown = sorted(set(test.labels) - set(training.labels))
    if unknown:
        raise DataError(f"no training texts of {listing(unknown)}: a label of test texts only")
    codes = np.searchsorted(data.classes, np.asarray(test.labels, dtype=object))

    def experts(trainer_type: type[TunedTrainer]) -> Experts:
        return fit_experts(data, FitContext(Settings(), "cpu", threads), test.texts, trainer_type)

    def figures(joint: Array) -> Figures:
        log_p = log_softmax(joint)
        return {
            "accuracy": float((log_p.argmax(axis=1) == codes).mean()),
            "log_loss": -float(log_p[np.arange(len(codes)), codes].mean()),
        }

    whole = experts(TunedTrainer)
    result = {name: figures(whole.joint(left_out)) for name, left_out in WITHOUT.items()}
    result["equal weights and one temperature"] = figures(whole.product())
    for name, trainer_type in OTHER_TRAINERS.items():
        result[name] = figures(experts(trainer_type).joint(lambda expert: False))
    return result


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a Markdown table: accuracy / log-loss, mean and its spread over seeds."""
    sets = list(dict.fromkeys(record["set"] for record in records))
    lines = [f"| | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for name in records[0]["figures"]:
        cells = [
            " / ".join(
                _mean([record["figures"][name][figure] for record in records if record["set"] == data_set])
                for figure in ("accuracy", "log_loss")
            )
            for data_set in sets
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"


def main() -> None:
    """Run the sets and seeds that the results file lacks, and print the table."""
    parser = argparse.ArgumentParser(description="What each part of recipe tuned adds.")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    records = []
    if options.results.exists():
        records = [json.loads(line) for line in options.results.read_text().splitlines()]
    records = [record for record in records if record["version"] == __version__]
    done = {(record["set"], record["seed"]) for record in records}
    for data_set in options.sets:
        training, test = (
            read_tables([str(options.data / f"{data_set}.{part}.csv")], say=lambda line: None)
            for part in ("train", "test")
        )
        for seed in range(options.seeds):
            if (data_set, seed) in done:
                continue
            print(f"{data_set}, seed {seed}", file=sys.stderr)
            figures = ablate(training, test, seed, number_of_threads(options.threads))
            records.append({"set": data_set, "seed": seed, "version": __version__, "figures": figures})
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(records[-1]) + "\n")
    print(table([record for record in records if record["set"] in options.sets]))


if __name__ == "__main__":
    main()

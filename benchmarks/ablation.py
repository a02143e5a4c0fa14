"""What each part of recipe "tuned" adds: fits it, leaves parts out, and compares on a test file.

``python -m benchmarks.ablation SET... --data FOLDER --results FILE`` reads ``<set>.train.csv`` and
``<set>.test.csv``, appends a JSON line for each set and seed (what is there already is not done again) and
prints a Markdown table. Variants that leave out experts share one fit: their combination is learnt anew
from the same held-out scores. Variants that teach otherwise have a fit of their own.

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
from lmclassify.classify.training.ensemble import add_experts, best_scale, learn_combination, spread
from lmclassify.classify.training.language_models import DataSplit, FitContext, new_trainer
from lmclassify.classify.training.recipes import (
    FitResult,
    TrainedModels,
    TrainingData,
    TunedTrainer,
    learn_tuned,
)
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import DataError, listing
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
    """Trains each label's language model from nothing, as recipe "plain" does."""

    def adapt(self, part: DataSplit, class_: TrainedModels, epochs: int) -> Trainer:
        """Return what trains a label's language model."""
        settings = self.course.settings
        if not len(class_.validation):  # the last time, epochs are those that were best before
            settings = replace(settings, max_epochs=epochs)
        return new_trainer(
            part, class_.sequences, self.lesson.weights, class_.tokenizer, self.course, settings=settings
        )


TAUGHT_OTHERWISE: dict[str, type[TunedTrainer]] = {"without the background model": NoBackground}
"""The variants with a fit of their own."""


@dataclass(frozen=True)
class _Scores:
    """All experts' scores of the test texts, and what their combinations are learnt from."""

    lesson: TrainingData
    learnt: FitResult
    names: list[str]
    test: list[Array]
    """(n, K) each, in the order of the names."""

    @classmethod
    def of(cls, lesson: TrainingData, learnt: FitResult, texts: Sequence[str], threads: int) -> _Scores:
        tuned = learnt.tuned
        assert tuned is not None
        test = ngram_scores(tuned.ngrams, texts, tuned.subwords.sequences(list(texts)), threads=threads)
        sequences = learnt.tokenizer.sequences(list(texts))
        for models in (learnt.models, tuned.tuned):
            test.append(log_likelihoods(models, sequences, threads=threads))
        names = [name for model in tuned.ngrams for name in model.score_names]
        return cls(lesson, learnt, [*names, *LSTMS], test)

    def joint(self, left_out: Callable[[str], bool]) -> Array:
        """Return joint log-probabilities of the test texts, (n, K), by the experts that are left."""
        evidence = self.learnt.evidence
        assert evidence is not None
        codes = evidence.codes
        names = [name for name in self.names if not left_out(name)]
        test = [scores for name, scores in zip(self.names, self.test, strict=True) if name in names]
        ngrams = dict(zip(self.names, evidence.ngrams, strict=False))
        lstms = dict(zip(LSTMS, evidence.lstms, strict=True))
        ngram_names, lstm_names = [name for name in names if name in ngrams], [n for n in names if n in lstms]
        scored, log_priors = evidence.scored, self.lesson.log_frequencies
        of_lstms = [lstms[name] for name in lstm_names]
        if not ngram_names:
            combination = learn_combination(lstm_names, of_lstms, codes[scored], log_priors)
        else:
            held_out = [ngrams[name] for name in ngram_names]
            combination = learn_combination(ngram_names, held_out, codes, log_priors)
            if lstm_names:
                joint = combination.joint(held_out)[scored]
                combination = add_experts(combination, joint, lstm_names, of_lstms, codes[scored])
        return combination.joint(test)

    def product(self) -> Array:
        """Return joint log-probabilities by all experts with equal weights and one temperature, (n, K)."""
        evidence = self.learnt.evidence
        assert evidence is not None
        codes = evidence.codes
        scored, log_priors = evidence.scored, self.lesson.log_frequencies
        held_out = [*(scores[scored] for scores in evidence.ngrams), *evidence.lstms]
        spreads = [spread(scores) for scores in held_out]
        pooled = [
            np.sum([scores / by for scores, by in zip(of, spreads, strict=True)], axis=0)
            for of in (held_out, self.test)
        ]
        joint: Array = best_scale(pooled[0], log_priors, codes[scored]) * pooled[1] + log_priors
        return joint


def ablate(training: LabelledTexts, test: LabelledTexts, seed: int, threads: int) -> dict[str, Figures]:
    """Return accuracy and log-loss on the test texts of every variant."""
    lesson = TrainingData.of(training.texts, training.labels, seed)
    unknown = sorted(set(test.labels) - set(training.labels))
    if unknown:
        raise DataError(f"nothing to learn {listing(unknown)} from: a label of test texts only")
    codes = np.searchsorted(lesson.classes, np.asarray(test.labels, dtype=object))

    def scores(school: type[TunedTrainer]) -> _Scores:
        learnt = learn_tuned(lesson, FitContext(Settings(), "cpu", threads), school)
        return _Scores.of(lesson, learnt, test.texts, threads)

    def figures(joint: Array) -> Figures:
        log_p = log_softmax(joint)
        return {
            "accuracy": float((log_p.argmax(axis=1) == codes).mean()),
            "log_loss": -float(log_p[np.arange(len(codes)), codes].mean()),
        }

    whole = scores(TunedTrainer)
    result = {name: figures(whole.joint(left_out)) for name, left_out in WITHOUT.items()}
    result["equal weights and one temperature"] = figures(whole.product())
    for name, school in TAUGHT_OTHERWISE.items():
        result[name] = figures(scores(school).joint(lambda expert: False))
    return result


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return the figures as a Markdown table: accuracy / log-loss, mean and its spread over seeds."""
    sets = list(dict.fromkeys(record["set"] for record in records))
    lines = [f"| | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for name in records[0]["figures"]:
        cells = [
            " / ".join(
                _mean([record["figures"][name][figure] for record in records if record["set"] == of_set])
                for figure in ("accuracy", "log_loss")
            )
            for of_set in sets
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
    for of_set in options.sets:
        training, test = (
            read_tables([str(options.data / f"{of_set}.{part}.csv")], say=lambda line: None)
            for part in ("train", "test")
        )
        for seed in range(options.seeds):
            if (of_set, seed) in done:
                continue
            print(f"{of_set}, seed {seed}", file=sys.stderr)
            figures = ablate(training, test, seed, number_of_threads(options.threads))
            records.append({"set": of_set, "seed": seed, "version": __version__, "figures": figures})
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(records[-1]) + "\n")
    print(table([record for record in records if record["set"] in options.sets]))


if __name__ == "__main__":
    main()

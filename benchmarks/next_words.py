"""Next-word prediction: the models behind `suggest`, compared with a 5-gram Kneser-Ney model of the same
tokens.

``python -m benchmarks.next_words SET... --data FOLDER --models FOLDER`` reads ``<set>.train.csv`` and
``<set>.test.csv``, loads the model ``<set>`` from the folder of models (or fits one with the defaults and
saves it there), and prints a Markdown table with a row for each label and language model.

All models of a label are fitted on its training texts and predict its test texts, over the same vocabulary.
The unknown token, if there is one, counts as an ordinary token. With ``--kenlm FOLDER`` (with KenLM's
programs ``lmplz`` and ``query``) KenLM's own 5-gram model is added.
"""

from __future__ import annotations

import argparse
import math
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import fit_or_load, read_set, table_head, texts_of
from benchmarks.kneser_ney import KneserNey
from lmclassify.classify.model import FittedModel, TunedModel
from lmclassify.classify.next_words import forward_models, next_token_model
from lmclassify.classify.scoring import token_log_probs
from lmclassify.errors import LMClassifyError
from lmclassify.lm.inference.forward import perplexity
from lmclassify.lm.inference.generation import next_words
from lmclassify.lm.inference.interpolation import NextTokenModel, take
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]

_BATCH_TEXTS = 256
_NUM_SUGGESTIONS = 3


@dataclass(frozen=True)
class NextWordScores:
    """How well a language model predicts the words of some texts."""

    top_1: float
    """Share of words that are the likeliest suggestion. Unknown words never are. NaN: not measured."""
    top_3: float
    """Share of words among the three likeliest suggestions."""
    perplexity: float
    """exp(nats / (words + texts)): per word, ends of texts included."""


@dataclass(frozen=True)
class KenLM:
    """KenLM's programs (Heafield et al. 2013)."""

    folder: Path

    def nats(self, training: Sequence[Ids], test: Sequence[Ids], vocab_size: int) -> float:
        """Return minus the log-likelihood of test texts under a 5-gram model of training texts.

        KenLM's vocabulary is padded to the size of the other models' (all tokens but padding and
        beginning-of-text).
        """
        options = ["--interpolate_unigrams", "1", "--vocab_pad", str(vocab_size - 2), "--discount_fallback"]
        with tempfile.TemporaryDirectory() as folder:
            train: list[str | Path] = [self.folder / "lmplz", "-o", "5", "-S", "100M", "-T", folder, *options]
            model = Path(folder, "model.arpa")
            model.write_bytes(self._run(train, training))
            report = self._run([self.folder / "query", "-v", "summary", model], test).decode()
        found = {name: float(value) for name, value in re.findall(r"^(.+):\s+(\S+)$", report, re.MULTILINE)}
        return math.log(found["Perplexity including OOVs"]) * found["Tokens"]

    def _run(self, command: Sequence[str | Path], sequences: Sequence[Ids]) -> bytes:
        lines = "".join(" ".join(map(str, sequence[1:-1])) + "\n" for sequence in sequences)
        done = subprocess.run(command, input=lines.encode(), capture_output=True, check=False)
        if done.returncode:
            raise LMClassifyError(f"{command[0]} failed: {done.stderr.decode().strip().splitlines()[-1]}")
        return done.stdout


@dataclass(frozen=True)
class _Mixture:
    """Language models that predict together, with weights that depend on the token."""

    models: Sequence[NextTokenModel]
    log_weights: Sequence[Array]
    """For each text an array (tokens scored, models): the weight of each model before each token."""


def compare(
    model: FittedModel,
    label: int,
    training: Sequence[str],
    test: Sequence[str],
    words: int,
    kenlm: KenLM | None = None,
) -> dict[str, NextWordScores]:
    """Return how well each language model predicts test texts of a label, by name of the model.

    Parameters
    ----------
    model : FittedModel
    label : int
        Index of the label.
    training, test : sequence of str
        Texts of that label. `model` has been fitted on the training texts, among others.
    words : int
        Hits are counted on at most so many random words of the test texts.
    kenlm : KenLM, optional
        KenLM's programs; adds KenLM's model.
    """
    tokenizer = model.tokenizer
    training_sequences, sequences = tokenizer.sequences(list(training)), tokenizer.sequences(list(test))
    single: dict[str, NextTokenModel] = {"suggest, this label": next_token_model(model, label)}
    if isinstance(model, TunedModel):
        lstm = forward_models(model, "suggest")[label]
        single |= {"its LSTM alone": lstm, "its n-grams alone": model.token_ngrams[label]}
    single["5-gram Kneser-Ney"] = KneserNey.fit(training_sequences, tokenizer.vocab_size)
    candidates = {
        name: _Mixture([one], [np.zeros((len(sequence) - 1, 1)) for sequence in sequences])
        for name, one in single.items()
    }
    everything = [next_token_model(model, index) for index in range(len(model.classes_))]
    candidates["suggest, all labels"] = _Mixture(everything, _posteriors(model, sequences))
    begins = _word_begins(tokenizer, sequences)
    chosen = np.random.default_rng(0).permutation(len(begins))[:words]
    result = {}
    for name, candidate in candidates.items():
        nats = -sum(log_probs.sum() for log_probs in _log_probs(candidate, sequences))
        hits = [_rank(candidate, tokenizer, sequences, *begins[index]) for index in np.sort(chosen)]
        result[name] = NextWordScores(
            float(np.mean([hit < 1 for hit in hits])),
            float(np.mean([hit < _NUM_SUGGESTIONS for hit in hits])),
            perplexity(nats, len(begins) + len(sequences)),
        )
    if kenlm is not None:
        nats = kenlm.nats(training_sequences, sequences, tokenizer.vocab_size)
        result["5-gram Kneser-Ney, KenLM"] = NextWordScores(
            math.nan, math.nan, perplexity(nats, len(begins) + len(sequences))
        )
    return result


def _posteriors(model: FittedModel, sequences: Sequence[Ids]) -> list[Array]:
    """Return the labels' log-probabilities before each token, as `FittedModel.suggest` has them."""
    result = []
    for scores in token_log_probs(model.models, sequences):
        joint = model.log_priors + np.cumsum(scores, axis=0) - scores
        result.append(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    return result


def _word_begins(tokenizer: Tokenizer, sequences: Sequence[Ids]) -> list[tuple[int, int]]:
    """Return text and place of each token that begins a word."""
    begins = tokenizer.starts_word.copy()
    if tokenizer.unknown_id is not None:
        begins[tokenizer.unknown_id] = True
    return [
        (text, int(place))
        for text, sequence in enumerate(sequences)
        for place in np.flatnonzero(begins[sequence])
    ]


def _rank(
    candidate: _Mixture, tokenizer: Tokenizer, sequences: Sequence[Ids], text: int, position: int
) -> int:
    """Return a word's rank among the suggestions there, from 0; the number of suggestions if none."""
    sequence = sequences[text]
    following = sequence[position + 1 :]
    within = ~tokenizer.starts_word[following] & (following != tokenizer.end_id)
    length = int(np.argmin(within))  # the end of text is not within
    word = b"".join(tokenizer.token_bytes(int(token)) for token in sequence[position : position + 1 + length])
    log_weights = candidate.log_weights[text][position - 1]
    suggested = next_words(candidate.models, log_weights, tokenizer, sequence[:position], _NUM_SUGGESTIONS)
    found = [suggestion.encode() for suggestion, _ in suggested]
    return found.index(word) if word in found else _NUM_SUGGESTIONS


def _log_probs(candidate: _Mixture, sequences: Sequence[Ids]) -> Iterator[Array]:
    """Yield the log-probabilities of the texts' tokens, batch by batch and step by step."""
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    for start in range(0, len(order), _BATCH_TEXTS):
        some = order[start : start + _BATCH_TEXTS]
        lengths = np.array([len(sequences[index]) - 1 for index in some])
        states: list[object] = [None] * len(candidate.models)
        for step in range(int(lengths[0])):
            alive = int((lengths > step).sum())
            ids = np.array([sequences[index][step : step + 2] for index in some[:alive]])
            total = np.full(alive, -np.inf)
            for number, model in enumerate(candidate.models):
                before = None if step == 0 else take(states[number], np.arange(alive))
                log_p, states[number] = model.read(ids[:, :1], before)
                weights = np.array([candidate.log_weights[index][step, number] for index in some[:alive]])
                total = np.logaddexp(total, weights + log_p[np.arange(alive), ids[:, 1]])
            yield total


def table(figures: Mapping[tuple[str, str], Mapping[str, NextWordScores]]) -> str:
    """Return a Markdown table of figures by set and label, and by language model."""
    lines = table_head("set, label", "language model", "top-1", "top-3", "perplexity per word")
    for (name, label), by_model in figures.items():
        for model, found in by_model.items():
            hits = (" " if math.isnan(hit) else f"{hit:.3f}" for hit in (found.top_1, found.top_3))
            cells = f"{' | '.join(hits)} | {found.perplexity:.2f}"
            lines.append(f"| {name}, {label} | {model} | {cells} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None, **parameters: Any) -> None:
    """Print the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.
    **parameters
        Of the classifiers that are fitted, other than the defaults.
    """
    parser = argparse.ArgumentParser(description="Next-word prediction of the models behind suggest.")
    parser.add_argument("sets", nargs="+", help="names of data sets")
    parser.add_argument("--data", type=Path, required=True, help="folder with <set>.train.csv and .test.csv")
    parser.add_argument("--models", type=Path, required=True, help="folder of models, one per data set")
    parser.add_argument(
        "--words", type=int, default=2000, help="words per label to count hits on (default: 2000)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of models that are fitted (default: 0)"
    )
    parser.add_argument("--kenlm", type=Path, help="folder with KenLM's programs lmplz and query")
    options = parser.parse_args(arguments)
    kenlm = None if options.kenlm is None else KenLM(options.kenlm)
    figures = {}
    for name in options.sets:
        training, test = read_set(options.data, name)
        classifier = fit_or_load(options.models / name, training, random_state=options.seed, **parameters)
        model = classifier.model_
        tokenizer = model.tokenizer
        print(f"{name}: tokens are {tokenizer.kind}s, {tokenizer.vocab_size:,} including special ones")
        for index, label in enumerate(model.label_names):
            own, held_out = texts_of(training, label), texts_of(test, label)
            sequences = tokenizer.sequences(held_out)
            words, unknown = len(_word_begins(tokenizer, sequences)), tokenizer.unknown_id
            share = np.mean(np.concatenate([sequence[1:-1] for sequence in sequences]) == unknown)
            print(f"{name}, {label}: {len(held_out):,} texts, {words:,} words, {share:.1%} of them unknown")
            figures[name, label] = compare(model, index, own, held_out, options.words, kenlm)
    print(f"{platform.platform()}, Python {platform.python_version()}\n\n{table(figures)}")


if __name__ == "__main__":
    main()

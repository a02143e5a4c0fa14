"""How well next words are foretold: `suggest`'s models beside a 5-gram Kneser-Ney model of the same tokens.

``python -m benchmarks.next_words SET... --data FOLDER --models FOLDER`` reads ``<set>.train.csv`` and
``<set>.test.csv``, takes the model ``<set>`` in the folder of models (or fits one with the defaults and puts
it there), and prints a Markdown table with a row for each label and language model.

All models of a label learn from its training texts and foretell its test texts, over one vocabulary; the
unknown token, where there is one, is a token like others to all of them. With ``--kenlm FOLDER`` (of KenLM's
programs ``lmplz`` and ``query``) KenLM's own 5-gram model stands beside.
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

import numpy as np
import numpy.typing as npt

from benchmarks.kneser_ney import KneserNey
from lmclassify.classify.estimator import LMClassifier
from lmclassify.classify.model import FittedModel, TunedModel, load
from lmclassify.classify.next_words import forward_models, next_token_model
from lmclassify.classify.scoring import token_log_probs
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import LMClassifyError
from lmclassify.lm.inference.forward import perplexity
from lmclassify.lm.inference.generation import next_words
from lmclassify.lm.inference.interpolation import NextTokenModel, take
from lmclassify.text.sequences import Ids
from lmclassify.text.tokenizer import Tokenizer

Array = npt.NDArray[np.float64]

_TEXTS_AT_A_TIME = 256
_SHOWN = 3  # suggestions


@dataclass(frozen=True)
class Foretold:
    """How well a language model foretells some texts."""

    top_1: float
    """Share of words that are the likeliest suggestion; unknown words never are. NaN: not counted."""
    top_3: float
    """Share of words among the three likeliest."""
    perplexity: float
    """exp(nats / (words + texts)), all words and ends of texts counted."""


@dataclass(frozen=True)
class KenLM:
    """KenLM's programs (Heafield et al. 2013)."""

    folder: Path

    def nats(self, training: Sequence[Ids], test: Sequence[Ids], vocab_size: int) -> float:
        """Return minus the log-likelihood of test texts under a 5-gram model of training texts.

        The vocabulary is padded to that of the other models: all but padding and beginning-of-text.
        """
        options = ["--interpolate_unigrams", "1", "--vocab_pad", str(vocab_size - 2), "--discount_fallback"]
        with tempfile.TemporaryDirectory() as folder:
            learn: list[str | Path] = [self.folder / "lmplz", "-o", "5", "-S", "100M", "-T", folder, *options]
            model = Path(folder, "model.arpa")
            model.write_bytes(self._run(learn, training))
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
class _Models:
    """Language models that foretell together, (n, tokens, models) weighted by token."""

    models: Sequence[NextTokenModel]
    log_weights: Sequence[Array]
    """For each text (tokens scored, models): of each model before each token."""


def compare(
    model: FittedModel,
    label: int,
    training: Sequence[str],
    test: Sequence[str],
    words: int,
    kenlm: KenLM | None = None,
) -> dict[str, Foretold]:
    """Return how well test texts of a label are foretold, by name of the language model.

    Parameters
    ----------
    model : FittedModel
    label : int
        Index of the label.
    training, test : sequence of str
        Texts of that label. `model` has been fitted on the former, among others.
    words : int
        Hits are counted on so many words of the test texts at most, drawn at random.
    kenlm : KenLM, optional
        Ask KenLM, too.
    """
    tokenizer = model.tokenizer
    learnt_from, sequences = tokenizer.sequences(list(training)), tokenizer.sequences(list(test))
    alone: dict[str, NextTokenModel] = {"suggest, this label": next_token_model(model, label)}
    if isinstance(model, TunedModel):
        lstm = forward_models(model, "suggest")[label]
        alone |= {"its LSTM alone": lstm, "its n-grams alone": model.token_ngrams[label]}
    alone["5-gram Kneser-Ney"] = KneserNey.fit(learnt_from, tokenizer.vocab_size)
    candidates = {
        name: _Models([one], [np.zeros((len(sequence) - 1, 1)) for sequence in sequences])
        for name, one in alone.items()
    }
    everything = [next_token_model(model, index) for index in range(len(model.classes_))]
    candidates["suggest, all labels"] = _Models(everything, _posteriors(model, sequences))
    begins = _word_begins(tokenizer, sequences)
    chosen = np.random.default_rng(0).permutation(len(begins))[:words]
    result = {}
    for name, candidate in candidates.items():
        nats = -sum(of_text.sum() for of_text in _log_probs(candidate, sequences))
        hits = [_place(candidate, tokenizer, sequences, *begins[index]) for index in np.sort(chosen)]
        result[name] = Foretold(
            float(np.mean([hit < 1 for hit in hits])),
            float(np.mean([hit < _SHOWN for hit in hits])),
            perplexity(nats, len(begins) + len(sequences)),
        )
    if kenlm is not None:
        nats = kenlm.nats(learnt_from, sequences, tokenizer.vocab_size)
        result["5-gram Kneser-Ney, KenLM"] = Foretold(
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


def _place(candidate: _Models, tokenizer: Tokenizer, sequences: Sequence[Ids], text: int, place: int) -> int:
    """Return a word's place among the suggestions for it, from 0; their number if it has none."""
    sequence = sequences[text]
    following = sequence[place + 1 :]
    within = ~tokenizer.starts_word[following] & (following != tokenizer.end_id)
    length = int(np.argmin(within))  # the end of text is not within
    word = b"".join(tokenizer.token_bytes(int(token)) for token in sequence[place : place + 1 + length])
    log_weights = candidate.log_weights[text][place - 1]
    suggested = next_words(candidate.models, log_weights, tokenizer, sequence[:place], _SHOWN)
    found = [suggestion.encode() for suggestion, _ in suggested]
    return found.index(word) if word in found else _SHOWN


def _log_probs(candidate: _Models, sequences: Sequence[Ids]) -> Iterator[Array]:
    """Yield the log-probabilities of each text's tokens, in no particular order of texts."""
    order = sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))
    for start in range(0, len(order), _TEXTS_AT_A_TIME):
        some = order[start : start + _TEXTS_AT_A_TIME]
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


def table(figures: Mapping[tuple[str, str], Mapping[str, Foretold]]) -> str:
    """Return a Markdown table of figures by set and label, and by language model."""
    lines = ["| set, label | language model | top-1 | top-3 | perplexity per word |", "|---|---|---|---|---|"]
    for (of_set, label), by_model in figures.items():
        for name, found in by_model.items():
            hits = (" " if math.isnan(hit) else f"{hit:.3f}" for hit in (found.top_1, found.top_3))
            cells = f"{' | '.join(hits)} | {found.perplexity:.2f}"
            lines.append(f"| {of_set}, {label} | {name} | {cells} |")
    return "\n".join(lines)


def _fitted(folder: Path, training: LabelledTexts, seed: int) -> FittedModel:
    if not folder.exists():
        LMClassifier(random_state=seed).fit(training.texts, training.labels).save(folder)
    return load(folder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How well next words are foretold; prints Markdown.")
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--data", type=Path, required=True, help="folder with <set>.train.csv and .test.csv")
    parser.add_argument("--models", type=Path, required=True, help="folder of models, by set")
    parser.add_argument("--words", type=int, default=2000, help="words a label to count hits on")
    parser.add_argument("--seed", type=int, default=0, help="of models that are fitted")
    parser.add_argument("--kenlm", type=Path, help="folder with KenLM's programs lmplz and query")
    options = parser.parse_args()
    kenlm = None if options.kenlm is None else KenLM(options.kenlm)
    figures = {}
    for of_set in options.sets:
        training, test = (
            read_tables([str(options.data / f"{of_set}.{part}.csv")], say=lambda line: None)
            for part in ("train", "test")
        )
        model = _fitted(options.models / of_set, training, options.seed)
        tokenizer = model.tokenizer
        print(f"{of_set}: tokens are {tokenizer.kind}s, {tokenizer.vocab_size:,} with special ones")
        for label, name in enumerate(model.label_names):
            learnt_from, held_out = (
                [text for text, of_text in zip(part.texts, part.labels, strict=True) if of_text == name]
                for part in (training, test)
            )
            sequences = tokenizer.sequences(held_out)
            words, unknown = len(_word_begins(tokenizer, sequences)), tokenizer.unknown_id
            share = np.mean(np.concatenate([sequence[1:-1] for sequence in sequences]) == unknown)
            print(f"{of_set}, {name}: {len(held_out):,} texts, {words:,} words, {share:.1%} of them unknown")
            figures[of_set, name] = compare(model, label, learnt_from, held_out, options.words, kenlm)
    print(f"{platform.platform()}, Python {platform.python_version()}\n\n{table(figures)}")


if __name__ == "__main__":
    main()

"""Texts without label are learned with guessed labels, and held-out scores stay honest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

from lmclassify import LMClassifier
from lmclassify.classify.training.ngram_counts import LabelCounts, count_ngrams, labelled_batches
from lmclassify.classify.training.self_training import WEIGHT, guess_labels
from lmclassify.text.ngrams import NgramAnalyzer

WORDS = {"spam": ["prize", "lottery", "jackpot", "winner"], "ham": ["agenda", "minutes", "meeting", "chair"]}


def texts_of(label, number, words, rng):
    return [" ".join([*rng.choice(WORDS[label][:words], 3), f"n{rng.integers(1000)}"]) for _ in range(number)]


@pytest.fixture(scope="module")
def data():
    """Labelled texts with two words of each label; in unlabelled ones these occur beside two others."""
    rng = np.random.default_rng(0)
    labelled = [(text, label) for label in WORDS for text in texts_of(label, 15, 2, rng)]
    unlabelled = [text for label in WORDS for text in texts_of(label, 150, 4, rng)]
    return *map(list, zip(*labelled, strict=True)), unlabelled


def fit(data, **parameters):
    texts, labels, unlabelled = data
    return LMClassifier(recipe="ngram", random_state=0, **parameters).fit(
        texts, labels, unlabelled=unlabelled
    )


def test_words_of_unlabelled_texts_only(data):
    texts, labels, _ = data
    new = [" ".join(pair) for label in WORDS for pair in itertools.product(WORDS[label][2:], repeat=2)]
    expected = np.repeat(list(WORDS), 4)
    alone = LMClassifier(recipe="ngram", random_state=0).fit(texts, labels)
    assert np.mean(alone.predict(new) == expected) < 0.8
    assert (fit(data).predict(new) == expected).all()


def test_the_model_depends_on_the_seed_only(data):
    one, two = (fit(data, n_jobs=threads).predict_joint_log_proba(data[2]) for threads in (1, 2))
    assert (one == two).all()


def test_guesses_for_a_fold_come_from_models_that_have_not_seen_it():
    folds = np.arange(40) % 10
    seen = []

    def posteriors(rows):
        seen.append(set(rows.tolist()))
        share = len(seen) / 10  # tells the models apart
        return np.array([[share, 1 - share], [0.97, 0.03]])

    guessed = guess_labels(["a", "b"], folds, posteriors)
    assert len(guessed.weights) == 11
    for fold, weights in enumerate(guessed.weights[:-1]):
        number = round(weights[0, 0] / WEIGHT * 10)
        assert not seen[number - 1] & set(np.flatnonzero(folds == fold))
        assert len(seen[number - 1]) == 32
        assert weights[1].toarray() == pytest.approx(
            np.array([[0.97 * WEIGHT, 0]])
        )  # improbable: not counted
    assert seen[-1] == set(range(40))
    assert round(guessed.weights[-1][0, 0] / WEIGHT * 10) == len(seen)


def test_fewer_folds_than_models():
    folds = np.array([0, 1, 0, 1])
    assert len(guess_labels(["a"], folds, lambda rows: np.array([[0.5, 0.5]])).weights) == 3


def test_texts_count_in_part():
    counts = LabelCounts(sparse.csr_matrix([[1.0, 0], [0, 2]]), np.array([1.0, 1]), np.array([1.0, 1]))
    more = counts.plus(sparse.csr_matrix([[3, 0], [0, 1]]), sparse.csr_matrix([[0.5, 0.5], [0, 1.0]]))
    assert more.counts.toarray().tolist() == [[2.5, 1.5], [0, 3]]
    assert more.texts.tolist() == [1.5, 2.5]
    assert more.weights.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("analyzer", [NgramAnalyzer("character", 3), NgramAnalyzer("marked-word", 2)])
def test_counts_of_the_first_texts(analyzer):
    texts = ["one two", "two three", "three four five", "one"]
    batches = labelled_batches(texts, np.zeros(4, dtype=np.intp), None, max_characters=12)
    first, others = count_ngrams(analyzer, True, batches, [], None).split(2)
    whole = first.counts.sum(axis=0) + others.sum(axis=0)
    assert first.counts.shape == (2, len(first.keys))
    assert others.shape == (2, len(first.keys))
    assert (first.remainder_texts == (others.toarray() > 0).sum(axis=0)).all()
    assert (np.asarray(whole) > 0).all()
    assert first.columns.shape[1] == first.lengths.sum()
    columns, text_index, _, number = first.select(np.array([False, True]))
    assert number == 2 - 1
    assert set(text_index) == {0}
    assert set(columns[columns >= 0]) == set(first.counts[1].indices)

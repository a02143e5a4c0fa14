"""The n-gram model of words that have vectors: its formula, and what a classifier gains from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

import lmclassify
from lmclassify import LMClassifier, LMClassifyWarning, OptionError
from lmclassify.classify.training.vector_words import RIDGE, VECTOR_WORDS, fit_ridge, word_features

_LETTERS = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (100, 6))
WORDS = ["".join(letters) for letters in _LETTERS]  # whose letters say nothing about their kind
GOOD, BAD = WORDS[:50], WORDS[50:]
KNOWN = 35
"""Words of each kind that training texts have, each once."""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """A file of vectors in which words of one kind are alike, and a few words that are neither."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("vectors") / "v.vec"
    lines = [
        f"{word} {kind + rng.normal(0, 0.2):.3f} {rng.normal():.3f} {rng.normal():.3f}"
        for words, kind in ((GOOD, 1), (BAD, -1), (["film", "the", "a", "day"], 0))
        for word in words
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def data():
    """Texts with most words of each kind, and texts with the other ones."""
    texts, new_texts = (
        [f"the {word} film" for word in words]
        for words in (GOOD[:KNOWN] + BAD[:KNOWN], GOOD[KNOWN:] + BAD[KNOWN:])
    )
    return (
        texts,
        ["pos"] * KNOWN + ["neg"] * KNOWN,
        new_texts,
        ["pos"] * (50 - KNOWN) + ["neg"] * (50 - KNOWN),
    )


@pytest.fixture(scope="module")
def fitted(vectors, data):
    return LMClassifier(recipe="ngram", vectors=vectors, random_state=0).fit(*data[:2])


def test_ridge_is_scikit_learns():
    rng = np.random.default_rng(1)
    counts = sparse.csr_matrix(rng.poisson(0.5, (30, 12)).astype(np.float32))
    vectors = rng.normal(size=(12, 4)).astype(np.float32)
    vectors[5] = 0  # a word without a vector
    codes, weights, folds = rng.integers(3, size=30), rng.uniform(0.5, 2, 30), np.arange(30) % 3
    features = word_features(counts, vectors)
    assert features.idf.tolist() == [float(index != 5) for index in range(12)]
    texts = features.rows @ features.vectors
    assert np.square(texts).sum(axis=1).mean() == pytest.approx(1)
    results = [*fit_ridge(features, codes, 3, weights, folds)]
    assert [inside.sum() for inside, _, _ in results] == [0, 10, 10, 10]
    for inside, word_weights, bias in results:
        targets = 2.0 * (codes[:, None] == np.arange(3)) - 1
        ridge = Ridge(alpha=RIDGE).fit(texts[~inside], targets[~inside], sample_weight=weights[~inside])
        assert features.rows @ word_weights + bias == pytest.approx(ridge.predict(texts), abs=1e-4)


def test_a_text_of_one_word_is_its_vector():
    # log(1) + 1 = 1 and norm 1, so each row is the word's vector; their root mean square is sqrt((25 + 1) / 2).
    features = word_features(
        sparse.csr_matrix(np.eye(2, dtype=np.float32)), np.array([[3, 4], [0, 1]], np.float32)
    )
    assert features.rows.toarray().tolist() == [[1, 0], [0, 1]]
    assert features.vectors == pytest.approx(np.array([[3, 4], [0, 1]]) / np.sqrt(13))


def test_words_that_no_training_text_has_are_told_apart(fitted, vectors, data):
    texts, labels, new_texts, new_labels = data
    without = LMClassifier(recipe="ngram", vectors="none", random_state=0).fit(texts, labels)
    assert fitted.score(new_texts, new_labels) == 1.0
    assert without.score(new_texts, new_labels) < 0.8
    assert fitted.model_.settings.vectors == vectors
    word = GOOD[KNOWN]
    words = fitted.explain(f"the {word} film")["words"]
    assert (
        max(words, key=lambda found: found["contributions"]["pos"] - found["contributions"]["neg"])["word"]
        == word
    )


def test_contributions_sum_to_the_decision(fitted, data):
    for text in data[2]:
        explanation, joint = fitted.explain(text), fitted.predict_joint_log_proba([text])[0]
        pieces = [explanation["prior"], explanation["end_of_text"], *explanation["words"]]
        sums = [sum(piece["contributions"][label] for piece in pieces) for label in fitted.classes_]
        assert sums == pytest.approx(joint, abs=1e-5)


def test_a_saved_model_needs_no_vectors(fitted, data, tmp_path):
    fitted.save(tmp_path / "model")
    model = lmclassify.load(tmp_path / "model")
    assert (model.predict_proba(data[2]) == fitted.predict_proba(data[2])).all()
    assert model.ngrams[-1].analyzer == VECTOR_WORDS
    names = [name for ngrams in model.ngrams for name in ngrams.score_names]
    assert len(set(names)) == len(names)


def test_labels_can_be_changed(fitted, data, tmp_path):
    fitted.save(tmp_path / "model")
    classifier = LMClassifier.load(tmp_path / "model")
    classifier.add_label("verb", ["to run and jump", "to walk or swim", "they ran and swam", "we jump"])
    text = data[2][0]
    assert classifier.predict(["to swim or jump", text]).tolist() == ["verb", "pos"]
    classifier.update([text], ["neg"])
    assert classifier.predict([text]).tolist() == ["neg"]
    classifier.remove_label("verb")
    assert classifier.classes_.tolist() == ["neg", "pos"]


def test_the_settings_say_whether_vectors_are_used(data):
    texts, labels = data[:2]
    model = LMClassifier(recipe="ngram", vectors="auto").fit(texts[::8], labels[::8]).model_
    assert model.settings.vectors in ("none", "wordllama")
    assert (model.settings.vectors == "none") == (len(model.ngrams) == 3)


def test_a_missing_file_is_refused_before_anything_is_fitted():
    with pytest.raises(OptionError, match="vectors: absent.vec: No such file"):
        LMClassifier(recipe="ngram", vectors="absent.vec").fit(["a", "b"], ["x", "y"])


def test_recipe_plain_says_that_vectors_change_nothing():
    classifier = LMClassifier(
        recipe="plain", vectors="absent.vec", max_epochs=1, embedding_dim=4, num_lstm_units=4
    )
    with pytest.warns(LMClassifyWarning, match="vectors changes nothing"):
        classifier.fit(["a b", "b a", "c d", "d c"], ["x", "x", "y", "y"])

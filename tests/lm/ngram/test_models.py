import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from lmclassify.lm.ngram.models import SMOOTHING, NgramModel, log_probabilities
from lmclassify.text.ngrams import NgramAnalyzer

WORDS = NgramAnalyzer("word", 2)
TEXTS = ["win a prize", "win money now win", "lunch at noon", "see you at lunch then"]
LABELS = np.array([1, 1, 0, 0])


def model(longest=2):
    view = NgramAnalyzer("word", longest)
    windows = view.occurrences(TEXTS, [])
    keys = windows.keys[windows.complete]
    known = np.unique(keys)
    rng = np.random.default_rng(0)
    of_labels = np.zeros((len(known), 2), np.float32)
    owner = np.broadcast_to(windows.text_index, windows.complete.shape)[windows.complete]
    np.add.at(of_labels, (np.searchsorted(known, keys), LABELS[owner]), 1)
    return NgramModel(
        view,
        known,
        rng.uniform(1, 3, len(known)).astype(np.float32),
        rng.normal(size=(len(known), 2)).astype(np.float32),
        np.array([0.5, -0.5], np.float32),
        of_labels,
    )


def test_likelihood_is_that_of_multinomial_naive_bayes():
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")
    bayes = MultinomialNB(alpha=SMOOTHING, fit_prior=False)
    bayes.fit(vectorizer.fit_transform(TEXTS), LABELS)
    new = ["win lunch", "see a prize at noon", "unheard of"]
    _, likelihood = model().scores(new, [])
    expected = vectorizer.transform(new) @ bayes.feature_log_prob_.T
    np.testing.assert_allclose(likelihood, expected, rtol=1e-5)


def test_tuned_score_of_a_worked_example():
    one = model(longest=1)
    place = {word: one.look_up(one.analyzer.occurrences([word], []))[0, 0] for word in ("win", "a")}
    values = {"win": (1 + math.log(2)) * one.idf[place["win"]], "a": one.idf[place["a"]]}
    length = math.hypot(*values.values())
    expected = sum(values[word] / length * one.svm_weights[place[word]] for word in values) + one.svm_bias
    tuned, _ = one.scores(["win a win zzz"], [])
    np.testing.assert_allclose(tuned[0], expected, rtol=1e-6)


def test_unknown_text_has_the_bias_alone():
    tuned, likelihood = model().scores(["", "zzz"], [])
    np.testing.assert_array_equal(tuned, [[0.5, -0.5]] * 2)
    np.testing.assert_array_equal(likelihood, np.zeros((2, 2)))


def test_probabilities_sum_to_one_over_the_known():
    counts = np.array([[3, 0], [0, 0], [1, 2]], np.float32)
    log_p = log_probabilities(counts)
    assert log_p[1].tolist() == [0, 0]  # no label has it: unknown
    np.testing.assert_allclose(np.exp(log_p[[0, 2]]).sum(axis=0), 1, rtol=1e-6)


def test_scores_do_not_depend_on_the_size_of_chunks(tuned):
    texts = ["Free prize, waiting for you! " * 4, "x" * 50, "lunch"]
    sequences = tuned.model_.subwords.sequences(texts)
    for ngrams in tuned.model_.ngrams:
        for whole, chunked in zip(
            ngrams.scores(texts, sequences), ngrams.scores(texts, sequences, 7), strict=True
        ):
            np.testing.assert_allclose(chunked, whole, rtol=1e-9)
    (characters,) = (ngrams for ngrams in tuned.model_.ngrams if ngrams.analyzer.symbols == "character")
    np.testing.assert_allclose(characters.background_scores(texts, 7), characters.background_scores(texts))


def test_a_score_does_not_depend_on_company():
    some = model()
    together = some.scores(TEXTS, [])
    for index, text in enumerate(TEXTS):
        for of_all, alone in zip(together, some.scores([text], []), strict=True):
            np.testing.assert_array_equal(of_all[index], alone[0])


def test_no_ngrams_at_all():
    none = np.zeros(0, np.float32)
    weights = np.zeros((0, 2), np.float32)
    for contexts in (None, np.zeros(0, np.int32)):
        empty = NgramModel(
            WORDS, np.zeros(0, np.uint64), none, weights, weights.sum(axis=0), weights, contexts
        )
        assert [scores.tolist() for scores in empty.scores(["a b"], [])] == [[[0, 0]]] * 2


@pytest.mark.parametrize("change", ["order", "shape", "nan", "negative", "context"])
def test_arrays_that_do_not_fit(change):
    good = model()
    keys, tuned, counts, contexts = good.keys, good.svm_weights.copy(), good.counts.copy(), None
    if change == "order":
        keys = keys[::-1]
    elif change == "shape":
        tuned = tuned[1:]
    elif change == "nan":
        tuned[0, 0] = np.nan
    elif change == "negative":
        counts[0, 0] = -1
    else:
        contexts = np.full(len(keys), len(keys), np.int32)
    with pytest.raises(ValueError, match="n-gram"):
        NgramModel(WORDS, keys, good.idf, tuned, good.svm_bias, counts, contexts)

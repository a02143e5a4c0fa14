import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from lmclassify.classify.linear_ngrams import SMOOTHING
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.text.ngrams import NgramAnalyzer

WORDS = NgramAnalyzer("word", 2)
TEXTS = ["win a prize", "win money now win", "lunch at noon", "see you at lunch then"]
LABELS = np.array([1, 1, 0, 0])


def model(longest=2):
    analyzer = NgramAnalyzer("word", longest)
    occurrences = analyzer.occurrences(TEXTS, [])
    complete = occurrences.complete
    keys = occurrences.keys[complete]
    known = np.unique(keys)
    rng = np.random.default_rng(0)
    counts = np.zeros((len(known), 2), np.float32)
    text_index = np.broadcast_to(occurrences.text_index, complete.shape)[complete]
    np.add.at(counts, (np.searchsorted(known, keys), LABELS[text_index]), 1)
    return NgramModel(
        analyzer,
        known,
        rng.uniform(1, 3, len(known)).astype(np.float32),
        rng.normal(size=(len(known), 2)).astype(np.float32),
        np.array([0.5, -0.5], np.float32),
        counts,
    )


def test_likelihood_is_that_of_multinomial_naive_bayes():
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")
    bayes = MultinomialNB(alpha=SMOOTHING, fit_prior=False)
    bayes.fit(vectorizer.fit_transform(TEXTS), LABELS)
    new = ["win lunch", "see a prize at noon", "unheard of"]
    _, likelihood = model().scores(new, [])
    expected = vectorizer.transform(new) @ bayes.feature_log_prob_.T
    np.testing.assert_allclose(likelihood, expected, rtol=1e-5)


def test_svm_score_of_a_worked_example():
    ngrams = model(longest=1)
    index = {word: ngrams.look_up(ngrams.analyzer.occurrences([word], []))[0, 0] for word in ("win", "a")}
    values = {"win": (1 + math.log(2)) * ngrams.idf[index["win"]], "a": ngrams.idf[index["a"]]}
    length = math.hypot(*values.values())
    expected = (
        sum(values[word] / length * ngrams.svm_weights[index[word]] for word in values) + ngrams.svm_bias
    )
    svm, _ = ngrams.scores(["win a win zzz"], [])
    np.testing.assert_allclose(svm[0], expected, rtol=1e-6)


def test_unknown_text_has_the_bias_alone():
    svm, likelihood = model().scores(["", "zzz"], [])
    np.testing.assert_array_equal(svm, [[0.5, -0.5]] * 2)
    np.testing.assert_array_equal(likelihood, np.zeros((2, 2)))


def test_scores_do_not_depend_on_the_size_of_chunks(golden_tuned):
    texts = ["Free prize, waiting for you! " * 4, "x" * 50, "lunch"]
    sequences = golden_tuned.subwords.sequences(texts)
    for ngrams in golden_tuned.ngrams:
        for whole, chunked in zip(
            ngrams.scores(texts, sequences), ngrams.scores(texts, sequences, 7), strict=True
        ):
            np.testing.assert_allclose(chunked, whole, rtol=1e-9)
    (characters,) = (ngrams for ngrams in golden_tuned.ngrams if ngrams.analyzer.symbols == "character")
    np.testing.assert_allclose(characters.background_scores(texts, 7), characters.background_scores(texts))


def test_a_score_does_not_depend_on_the_other_texts():
    ngrams = model()
    together = ngrams.scores(TEXTS, [])
    for index, text in enumerate(TEXTS):
        for scores, alone in zip(together, ngrams.scores([text], []), strict=True):
            np.testing.assert_array_equal(scores[index], alone[0])


def test_no_ngrams_at_all():
    none = np.zeros(0, np.float32)
    zeros = np.zeros((0, 2), np.float32)
    for contexts in (None, np.zeros(0, np.int32)):
        empty = NgramModel(WORDS, np.zeros(0, np.uint64), none, zeros, zeros.sum(axis=0), zeros, contexts)
        assert [scores.tolist() for scores in empty.scores(["a b"], [])] == [[[0, 0]]] * 2


@pytest.mark.parametrize("change", ["order", "shape", "nan", "negative", "context"])
def test_arrays_that_do_not_fit_are_refused(change):
    good = model()
    keys, weights, counts, contexts = good.keys, good.svm_weights.copy(), good.counts.copy(), None
    if change == "order":
        keys = keys[::-1]
    elif change == "shape":
        weights = weights[1:]
    elif change == "nan":
        weights[0, 0] = np.nan
    elif change == "negative":
        counts[0, 0] = -1
    else:
        contexts = np.full(len(keys), len(keys), np.int32)
    with pytest.raises(ValueError, match="n-gram"):
        NgramModel(WORDS, keys, good.idf, weights, good.svm_bias, counts, contexts)

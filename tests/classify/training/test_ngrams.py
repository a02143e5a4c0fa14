"""N-gram models and their cross-fitted scores."""

import numpy as np

from lmclassify.classify.training.ngram_counts import labelled_batches
from lmclassify.classify.training.ngrams import cross_fit_ngrams
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import bundled

TEXTS, LABELS = bundled(limit=60)
CODES = np.array([label == "spam" for label in LABELS], dtype=np.intp)
SUBWORDS = Tokenizer.train("subword", TEXTS, 200)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
EVERYTHING = np.arange(len(TEXTS))
SOME = np.arange(0, len(TEXTS), 2)
REST = np.setdiff1d(EVERYTHING, SOME)


def batches(rows, weights=WEIGHTS):
    return labelled_batches([TEXTS[row] for row in rows], CODES[rows], weights[rows], max_characters=100)


def fit(rows, remainder, folds, weights=WEIGHTS):
    rest = batches(remainder, weights)
    return cross_fit_ngrams(batches(rows, weights), lambda: SUBWORDS, 2, folds, remainder=rest)


def scores_of(models, rows):
    texts = [TEXTS[row] for row in rows]
    return [scores for model in models for scores in model.scores(texts, SUBWORDS.sequences(texts))]


def test_held_out_scores_are_those_of_models_that_have_not_seen_the_text():
    for rows, remainder in ((EVERYTHING, EVERYTHING[:0]), (SOME, REST)):
        folds = np.arange(len(rows)) % 3
        _, held_out, _ = fit(rows, remainder, folds)
        models, _, _ = fit(rows[folds != 1], remainder, folds[folds != 1])
        expected = scores_of(models, rows[folds == 1])
        for number, (fold_scores, model_scores) in enumerate(zip(held_out, expected, strict=True)):
            # The folds' SVMs share the inverse document frequencies of all texts.
            tolerance = 0.03 if number % 2 == 0 else 1e-3
            np.testing.assert_allclose(fold_scores[folds == 1], model_scores, rtol=1e-3, atol=tolerance)


def test_only_the_likelihoods_are_fitted_on_the_remainder():
    folds = np.arange(len(SOME)) % 3
    alone, _, _ = fit(SOME, REST[:0], folds)
    beside, held_out, background = fit(SOME, REST, folds)
    whole, _, _ = fit(EVERYTHING, EVERYTHING[:0], EVERYTHING % 3)
    for one, more, every in zip(alone, beside, whole, strict=True):
        np.testing.assert_array_equal(more.keys, every.keys)
        np.testing.assert_allclose(more.counts, every.counts, rtol=1e-5)
        known = np.isin(more.keys, one.keys)
        np.testing.assert_array_equal(more.idf[known], one.idf)
        assert not more.idf[~known].any()
        assert not more.svm_weights[~known].any()
    assert background.shape == (2, len(SOME))
    assert {scores.shape for scores in held_out} == {(len(SOME), 2)}


def test_a_labels_likelihood_does_not_depend_on_how_heavy_all_its_texts_are():
    light, heavy = (
        fit(EVERYTHING, EVERYTHING[:0], EVERYTHING % 3, WEIGHTS * factors)[0]
        for factors in (np.ones(60), np.where(CODES == 1, 20.0, 0.1))
    )
    sequences = SUBWORDS.sequences(TEXTS)
    for before, after in zip(light, heavy, strict=True):
        likelihoods = [model.scores(TEXTS, sequences)[1] for model in (before, after)]
        np.testing.assert_allclose(*likelihoods, rtol=1e-4)

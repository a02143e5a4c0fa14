"""N-grams counted chunk by chunk, and recipe "tuned" of more texts than it learns everything from."""

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify import scoring
from lmclassify.classify.training.folds import stratified_sample
from lmclassify.classify.training.ngram_counts import count_ngrams, label_counts, text_shards
from lmclassify.classify.training.ngrams import VIEWS, learn_ngram_models
from lmclassify.errors import LMClassifyWarning
from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import TUNED, bundled

TEXTS, LABELS = bundled(limit=120)
CODES = np.array([label == "spam" for label in LABELS], dtype=np.intp)
SUBWORDS = Tokenizer.train("subword", TEXTS, 200)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
SOME = np.arange(0, len(TEXTS), 3)
REST = np.setdiff1d(np.arange(len(TEXTS)), SOME)


def texts_of(chosen):
    return [TEXTS[index] for index in chosen]


def shards(chosen):
    return text_shards(texts_of(chosen), CODES[chosen], WEIGHTS[chosen])


def learnt(sample, others, folds):
    return learn_ngram_models(
        texts_of(sample),
        SUBWORDS,
        CODES[sample],
        2,
        folds,
        weights=WEIGHTS[sample],
        others=shards(others),
    )


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(scoring, "MAX_CHUNK_CHARACTERS", 100)
    assert len(scoring.chunks_of(TEXTS)) > 20


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("texts", [TEXTS, TEXTS * 10])
def test_chunks_and_threads_change_nothing(view, texts, small_chunks):
    counted = count_ngrams(view, VIEWS[view], texts, [], SUBWORDS, threads=3)
    windows = view.occurrences(texts, SUBWORDS.sequences(texts))
    columns, owner, place, count = counted.known(np.ones(len(texts), dtype=bool))
    np.testing.assert_array_equal(counted.keys, np.unique(windows.keys[windows.complete]))
    np.testing.assert_array_equal(columns, NgramIndex(counted.keys).look_up(windows))
    np.testing.assert_array_equal(owner, windows.text_index)
    np.testing.assert_array_equal(place, windows.position)
    assert count == len(texts)
    assert counted.counts.sum() == windows.complete.sum()
    assert not counted.elsewhere.any()


def test_characters_that_one_of_many_texts_has_are_left_out(small_chunks):
    texts = [*["abc"] * 999, "abd"]
    (view,) = (view for view in VIEWS if view.symbols == "character")
    counted = count_ngrams(view, True, texts, [], SUBWORDS)
    windows = view.occurrences(["abc"], [])
    np.testing.assert_array_equal(counted.keys, np.unique(windows.keys[windows.complete]))


@pytest.mark.parametrize("view", VIEWS)
def test_n_grams_of_other_texts_are_known_and_counted_by_label(view, small_chunks):
    whole = count_ngrams(view, VIEWS[view], TEXTS, [], SUBWORDS)
    counted = count_ngrams(view, VIEWS[view], texts_of(SOME), shards(REST), SUBWORDS)
    np.testing.assert_array_equal(counted.keys, whole.keys)
    assert (counted.counts != whole.counts[SOME]).nnz == 0
    np.testing.assert_array_equal(counted.elsewhere, (whole.counts[REST] > 0).sum(axis=0).A1)
    found = label_counts(counted, shards(REST), SUBWORDS, 3, threads=3)
    for label in range(3):
        of_label = REST[CODES[REST] == label]
        expected = WEIGHTS[of_label] @ whole.counts[of_label].toarray()
        np.testing.assert_allclose(found.counts[:, label], expected, rtol=1e-6)
        assert found.texts[label] == len(of_label)
        assert found.weights[label] == pytest.approx(WEIGHTS[of_label].sum())
    if whole.contexts is not None:
        np.testing.assert_array_equal(counted.contexts, whole.contexts)


@pytest.mark.parametrize("view", VIEWS)
def test_with_other_texts_no_more_n_grams_are_known_than_can_be_kept(view, monkeypatch):
    monkeypatch.setattr("lmclassify.classify.training.ngram_counts._MOST_NGRAMS", 100)
    counted = count_ngrams(view, VIEWS[view], texts_of(SOME), shards(REST), SUBWORDS)
    label_counts(counted, shards(REST), SUBWORDS, 2)
    assert 0 < len(counted.keys) <= 100
    if counted.contexts is not None:  # an n-gram's context is kept as long as itself
        longer = view.occurrences(TEXTS, SUBWORDS.sequences(TEXTS)).keys[1:]
        assert (counted.contexts[np.isin(counted.keys, longer)] >= 0).all()


def test_of_other_texts_only_the_likelihoods_learn():
    folds = np.arange(len(SOME)) % 3
    alone, _, _ = learnt(SOME, REST[:0], folds)
    beside, held_out, background = learnt(SOME, REST, folds)
    whole, _, _ = learnt(np.arange(len(TEXTS)), REST[:0], np.arange(len(TEXTS)) % 3)
    for one, more, every in zip(alone, beside, whole, strict=True):
        np.testing.assert_array_equal(more.keys, every.keys)
        np.testing.assert_allclose(more.counts, every.counts, rtol=1e-5)
        known = np.isin(more.keys, one.keys)
        np.testing.assert_array_equal(more.idf[known], one.idf)
        assert not more.idf[~known].any()
        assert not more.svm_weights[~known].any()
    assert background.shape == (2, len(SOME))
    assert {scores.shape for scores in held_out} == {(len(SOME), 2)}


def test_held_out_scores_beside_other_texts_are_those_of_models_that_have_not_seen_the_text():
    folds = np.arange(len(SOME)) % 3
    _, held_out, _ = learnt(SOME, REST, folds)
    models, _, _ = learnt(SOME[folds != 1], REST, folds[folds != 1])
    texts = texts_of(SOME[folds == 1])
    expected = [part for model in models for part in model.scores(texts, SUBWORDS.sequences(texts))]
    for of_fold, of_model in zip(held_out, expected, strict=True):
        np.testing.assert_allclose(of_fold[folds == 1], of_model, rtol=1e-3, atol=1e-3)


def test_a_sample_has_each_label_by_its_share_and_some_of_the_rarest():
    codes = np.repeat([0, 1, 2, 3], [60_000, 30_000, 30, 1])
    rng = np.random.default_rng(0)
    sample = stratified_sample(codes, 9000, rng)
    assert (np.diff(sample) > 0).all()
    assert np.bincount(codes[sample]).tolist() == [5998, 2999, 10, 1]
    assert stratified_sample(codes, len(codes), rng).tolist() == list(range(len(codes)))


def test_of_very_many_texts_a_sample_is_learnt_from(monkeypatch, tmp_path):
    monkeypatch.setattr("lmclassify.classify.training.recipes.MOST_TEXTS", 60)
    more = ["an altogether different subject"] * 70
    fitted = []
    for threads in (1, 2):
        with pytest.warns(LMClassifyWarning) as notes:
            fitted.append(LMClassifier(**TUNED, n_jobs=threads).fit(TEXTS, LABELS, unlabelled=more))
        told = [str(note.message) for note in notes]
        assert any("120 texts: n-grams are counted in all" in note and "from 60 " in note for note in told)
        assert any("70 unlabelled texts" in note and "from 60 " in note for note in told)
    alone, together = (one.predict_joint_log_proba(TEXTS) for one in fitted)
    np.testing.assert_array_equal(alone, together)
    assert fitted[0].score(TEXTS, LABELS) > 0.75
    (entry,) = fitted[0].model_.training_entries("background")
    assert entry["training_texts"] == 60 + 60
    fitted[0].save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_joint_log_proba(TEXTS), alone)

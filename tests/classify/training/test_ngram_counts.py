"""N-grams counted batch by batch, in texts at hand and in shards."""

import numpy as np
import pytest

from lmclassify.classify.training.ngram_counts import count_by_label, count_ngrams, labelled_batches
from lmclassify.classify.training.ngrams import ANALYZERS
from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import bundled

TEXTS, LABELS = bundled(limit=60)
CODES = np.array([label == "spam" for label in LABELS], dtype=np.intp)
SUBWORDS = Tokenizer.train("subword", TEXTS, 200)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
SOME = np.arange(0, len(TEXTS), 3)
REST = np.setdiff1d(np.arange(len(TEXTS)), SOME)


def batches(chosen=None, texts=TEXTS):
    """Return small batches of some of the texts."""
    if chosen is None:
        return labelled_batches(texts, np.zeros(len(texts), np.intp), None, max_characters=100)
    chosen_texts = [TEXTS[index] for index in chosen]
    return labelled_batches(chosen_texts, CODES[chosen], WEIGHTS[chosen], max_characters=100)


@pytest.mark.parametrize("analyzer", ANALYZERS)
@pytest.mark.parametrize("texts", [TEXTS, TEXTS * 18])
def test_batches_and_threads_change_nothing(analyzer, texts):
    assert len(batches(texts=texts)) > 10
    counted = count_ngrams(analyzer, ANALYZERS[analyzer], batches(texts=texts), [], SUBWORDS, threads=3)
    occurrences = analyzer.occurrences(texts, SUBWORDS.sequences(texts))
    columns, text_index, position, count = counted.select(np.ones(len(texts), dtype=bool))
    np.testing.assert_array_equal(counted.keys, np.unique(occurrences.keys[occurrences.complete]))
    np.testing.assert_array_equal(columns, NgramIndex(counted.keys).look_up(occurrences))
    np.testing.assert_array_equal(text_index, occurrences.text_index)
    np.testing.assert_array_equal(position, occurrences.position)
    assert count == len(texts)
    assert counted.counts.sum() == occurrences.complete.sum()
    assert not counted.remainder_texts.any()


def test_characters_of_a_single_text_among_many_are_left_out():
    texts = [*["abc"] * 999, "abd"]
    (analyzer,) = (analyzer for analyzer in ANALYZERS if analyzer.symbols == "character")
    counted = count_ngrams(analyzer, True, batches(texts=texts), [], SUBWORDS)
    occurrences = analyzer.occurrences(["abc"], [])
    np.testing.assert_array_equal(counted.keys, np.unique(occurrences.keys[occurrences.complete]))


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_n_grams_of_the_remainder_are_known_and_counted_by_label(analyzer):
    ordered = ANALYZERS[analyzer]
    whole = count_ngrams(analyzer, ordered, batches(), [], SUBWORDS)
    counted = count_ngrams(analyzer, ordered, batches(SOME), batches(REST), SUBWORDS)
    np.testing.assert_array_equal(counted.keys, whole.keys)
    assert (counted.counts != whole.counts[SOME]).nnz == 0
    np.testing.assert_array_equal(counted.remainder_texts, (whole.counts[REST] > 0).sum(axis=0).A1)
    found = count_by_label(counted, batches(REST), SUBWORDS, 3, threads=3)
    for label in range(3):
        rows = REST[CODES[REST] == label]
        expected = WEIGHTS[rows] @ whole.counts[rows].toarray()
        np.testing.assert_allclose(found.counts[:, [label]].toarray()[:, 0], expected, rtol=1e-6)
        assert found.texts[label] == len(rows)
        assert found.weights[label] == pytest.approx(WEIGHTS[rows].sum())
    if whole.contexts is not None:
        np.testing.assert_array_equal(counted.contexts, whole.contexts)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_with_a_remainder_the_rarest_n_grams_are_left_out(analyzer):
    ordered = ANALYZERS[analyzer]
    counted = count_ngrams(analyzer, ordered, batches(SOME), batches(REST), SUBWORDS, max_ngrams=100)
    count_by_label(counted, batches(REST), SUBWORDS, 2)
    assert 0 < len(counted.keys) <= 100
    if counted.contexts is not None:  # an n-gram's context is kept as long as itself
        longer = analyzer.occurrences(TEXTS, SUBWORDS.sequences(TEXTS)).keys[1:]
        assert (counted.contexts[np.isin(counted.keys, longer)] >= 0).all()

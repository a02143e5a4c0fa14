import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.lm.ngram.witten_bell import WittenBell
from lmclassify.text.ngrams import NgramAnalyzer

CHARACTERS = st.text("abc", min_size=1, max_size=8)


def fit(texts, labels, longest):
    """Return the known n-grams' keys and the language models of two labels."""
    analyzer = NgramAnalyzer("character", longest)
    occurrences = analyzer.occurrences(texts, [])
    keys = np.unique(occurrences.keys[occurrences.complete])
    columns = NgramIndex(keys).look_up(occurrences)
    counts, contexts = np.zeros((len(keys), 2), np.float32), np.full(len(keys), -1, np.int32)
    for columns_of_length in columns:
        known = columns_of_length >= 0
        np.add.at(counts, (columns_of_length[known], np.array(labels)[occurrences.text_index[known]]), 1)
    for shorter, longer in pairwise(columns):
        ends = np.flatnonzero(longer >= 0)
        contexts[longer[ends]] = shorter[ends - 1]
    return analyzer, keys, WittenBell(counts, contexts)


def score(fitted, texts):
    analyzer, keys, models = fitted
    occurrences = analyzer.occurrences(texts, [])
    return models.log_likelihoods(
        NgramIndex(keys).look_up(occurrences), occurrences.text_index, occurrences.position, len(texts)
    )


def test_a_worked_example():
    # " aab ", " a b " for label 0: after any symbol, of 10 symbols: " " 5 times, "a" 3, "b" 2; three kinds.
    scores = score(fit(["aab", "a b", "ccc"], [0, 0, 1], longest=2), ["ab"])
    a, b, space = ((count + 3 * 1 / 4) / (10 + 3) for count in (3, 2, 5))  # one of 4 symbols, as "c" is known
    after_space = (2 + 2 * a) / (3 + 2)  # "a" twice and "b" once
    after_a = (1 + 3 * b) / (3 + 3)  # "a", "b", " "
    after_b = (2 + 1 * space) / (2 + 1)
    assert scores[0, 0] == pytest.approx(math.log(after_space * after_a * after_b), rel=1e-6)


@settings(max_examples=25)
@given(st.lists(CHARACTERS, min_size=2, max_size=6), CHARACTERS, st.integers(1, 4))
def test_probabilities_of_what_can_follow_sum_to_one(texts, beginning, longest):
    fitted = fit([*texts, "abc"], [number % 2 for number in range(len(texts) + 1)], longest)
    before = score(fitted, [beginning])  # with the space after it
    analyzer, keys, models = fitted

    def log_likelihood(text):
        """Return the log-likelihood without the space at the end."""
        occurrences = analyzer.occurrences([text], [])
        columns = NgramIndex(keys).look_up(occurrences)[:, :-1]
        return models.log_likelihoods(columns, occurrences.text_index[:-1], occurrences.position[:-1], 1)

    start = log_likelihood(beginning)
    total = np.exp(before - start) + sum(
        np.exp(log_likelihood(f"{beginning}{letter}") - start) for letter in "abc"
    )
    np.testing.assert_allclose(total, 1, rtol=1e-5)


def test_unknown_symbols_have_the_probability_of_new_ones():
    # " aab ", " ab " for label 0: " " 4 times, "a" 3, "b" 2; " ccc " for label 1: " " twice, "c" 3 times.
    scores = score(fit(["aab", "ab", "ccc"], [0, 0, 1], longest=2), ["zz"])
    new = [kinds / (count + kinds) / 4 for count, kinds in ((9, 3), (5, 2))]  # of four symbols known
    after_space = [1 / (2 + 1), 1 / (1 + 1)]  # "a" twice; "c" once
    space = [(4 + 3 * 1 / 4) / (9 + 3), (2 + 2 * 1 / 4) / (5 + 2)]  # after what is not known
    expected = [math.log(a * p * p * s) for a, p, s in zip(after_space, new, space, strict=True)]
    np.testing.assert_allclose(scores[0], expected, rtol=1e-6)


def test_a_score_does_not_depend_on_the_other_texts():
    texts = ["aab", "", "ab cab", "b", "ccc"]
    fitted = fit(texts, [0, 0, 1, 1, 0], longest=3)
    together = score(fitted, texts)
    np.testing.assert_array_equal(together, np.concatenate([score(fitted, [text]) for text in texts]))

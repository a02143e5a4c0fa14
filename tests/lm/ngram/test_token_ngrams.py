import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.kneser_ney import KneserNey, discounts
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.text.sequences import make_batch

VOCABULARY = 7  # padding, the tokens 1 to 4, beginning (5) and end (6) of text
BEGIN, END = 5, 6
TEXTS = st.lists(st.lists(st.integers(1, 4), max_size=8), min_size=1, max_size=8)


def to_sequences(texts):
    return [np.array([BEGIN, *text, END]) for text in texts]


def test_a_worked_example():
    model = TokenNgrams.fit(to_sequences([[1, 1, 2], [1, 2]]), VOCABULARY, longest=2)
    # Different tokens before each: 1 after begin and 1; 2 after 1; the end after 2. Three kinds, four in all.
    lowest = 1 / 5
    one, two, end = ((count + 3 * lowest) / (4 + 3) for count in (2, 1, 1))
    log_p, _ = model.read(np.array([[BEGIN, 1]]))
    # After 1: once 1, twice 2.
    assert math.exp(log_p[0, 1]) == pytest.approx((1 + 2 * one) / (3 + 2))
    assert math.exp(log_p[0, 2]) == pytest.approx((2 + 2 * two) / (3 + 2))
    assert math.exp(log_p[0, END]) == pytest.approx(2 * end / (3 + 2))
    after_unseen, _ = model.read(np.array([[BEGIN, 4]]))
    assert math.exp(after_unseen[0, 1]) == pytest.approx(one)


def test_ngrams_at_the_beginning_count_by_occurrence():
    model = TokenNgrams.fit(to_sequences([[1, 2], [1, 3], [1, 4]]), VOCABULARY, longest=3)
    after_begin, _ = model.read(np.array([[BEGIN]]))
    one = (1 + 5 / 5) / (7 + 5)  # before the end stand 2, 3 and 4: 7 in all
    assert math.exp(after_begin[0, 1]) == pytest.approx((3 + one) / (3 + 1))


@pytest.mark.parametrize("kind", [TokenNgrams, KneserNey])
@settings(max_examples=25)
@given(texts=TEXTS, context=st.lists(st.integers(1, 4), max_size=5), longest=st.integers(2, 5))
def test_probabilities_sum_to_one_and_everything_is_possible(kind, texts, context, longest):
    log_p, _ = kind.fit(to_sequences(texts), VOCABULARY, longest).read(np.array([[BEGIN, *context]]))
    assert np.exp(log_p).sum() == pytest.approx(1)
    assert np.isneginf(log_p[0]).tolist() == [True, False, False, False, False, True, False]


@settings(max_examples=25)
@given(texts=TEXTS, context=st.lists(st.integers(1, 4), min_size=1, max_size=6), cut=st.integers(1, 6))
def test_reading_resumes_from_a_state_in_any_batch(texts, context, cut):
    model = TokenNgrams.fit(to_sequences(texts), VOCABULARY, 4)
    ids = np.array([[BEGIN, *context], [BEGIN, *context[::-1]]])
    whole, after = model.read(ids[:1])
    _, state = model.read(ids[:, :cut])
    if cut < ids.shape[1]:
        rest, state = model.read(ids[:, cut:], state)
        np.testing.assert_array_equal(rest[:1], whole)
    np.testing.assert_array_equal(state[:1], after)


def test_discounts_of_chen_and_goodman():
    counts = np.repeat([1, 2, 3, 4, 9], [10, 5, 3, 2, 1])
    y = 10 / (10 + 2 * 5)
    expected = [0, 1 - 2 * y * 5 / 10, 2 - 3 * y * 3 / 5, 3 - 4 * y * 2 / 3]
    np.testing.assert_allclose(discounts(counts), expected)
    np.testing.assert_array_equal(discounts(np.array([1, 1, 2])), [0, 0.5, 1, 1.5])


@settings(max_examples=25)
@given(texts=TEXTS)
def test_missing_or_invalid_arrays_are_refused(texts):
    arrays = TokenNgrams.fit(to_sequences(texts), VOCABULARY, 2).arrays
    TokenNgrams(arrays, VOCABULARY, BEGIN)
    for name, array in arrays.items():
        wrong = [np.append(array, array[-1:]), array.astype(np.float64), array[np.newaxis]]
        if name.endswith("tokens"):
            wrong.append(np.full_like(array, VOCABULARY))
        if name.endswith(("counts", "starts")):
            wrong.append(np.zeros_like(array))
        for other in wrong:
            with pytest.raises(ValueError, match="language model"):
                TokenNgrams({**arrays, name: other}, VOCABULARY, BEGIN)
        with pytest.raises(ValueError, match="not the n-grams"):
            TokenNgrams({key: value for key, value in arrays.items() if key != name}, VOCABULARY, BEGIN)


@given(texts=TEXTS, new=TEXTS, cut=st.integers(1, 9))
@settings(max_examples=30)
def test_tokens_of_a_batch_score_as_when_read_one_by_one(texts, new, cut):
    model = TokenNgrams.fit(to_sequences(texts), VOCABULARY)
    sequences = to_sequences(new)
    batch = make_batch(sequences)
    nll, _ = model.token_nll(batch.inputs, batch.targets)
    for row, ids in enumerate(sequences):
        state = None
        for step in range(len(ids) - 1):
            log_p, state = model.read(ids[np.newaxis, step : step + 1], state)
            assert nll[row, step] == pytest.approx(-log_p[0, ids[step + 1]], abs=1e-9)
        assert (nll[row, len(ids) - 1 :] == 0).all()
    first, state = model.token_nll(batch.inputs[:, :cut], batch.targets[:, :cut])
    second, _ = model.token_nll(batch.inputs[:, cut:], batch.targets[:, cut:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), nll, atol=1e-12)

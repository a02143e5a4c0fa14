import numpy as np
import pytest

from lmclassify.lm.ngram.sums import sum_by_text, text_batches

TEXT_INDEX = np.array([1, 1, 2, 4, 4, 4, 4, 5])
TEXTS = 7  # 0, 3 and 6 have no rows


@pytest.mark.parametrize("max_numbers", [1, 4, 6, 14, 1000])
def test_sums_do_not_depend_on_the_size_of_batches(max_numbers):
    rows = np.random.default_rng(0).normal(size=(len(TEXT_INDEX), 2)).astype(np.float32)
    result = np.zeros((TEXTS, 2), np.float32)
    batches = list(text_batches(TEXT_INDEX, TEXTS, 2, max_numbers))
    for first, last, part in batches:
        sum_by_text(result, rows[part], TEXT_INDEX[part], first, last)
        assert last == first + 1 or (part.stop - part.start) * 2 <= max(2, max_numbers)
    assert [text for first, last, _ in batches for text in range(first, last)] == list(range(TEXTS))
    expected = [rows[text == TEXT_INDEX].sum(axis=0) for text in range(TEXTS)]
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    whole = np.zeros_like(result)
    sum_by_text(whole, rows, TEXT_INDEX, 0, TEXTS)
    np.testing.assert_array_equal(result, whole)

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmclassify.lm.ngram.index import NgramIndex, count_known, merge_counts
from lmclassify.text.ngrams import NgramOccurrences

KEYS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 40), st.integers(2**64 - 40, 2**64 - 1)
)  # spread, and crowded into the first and the last bucket


@settings(max_examples=25)
@given(st.sets(KEYS), st.data())
def test_it_finds_what_a_binary_search_finds(known, data):
    keys = np.array(sorted(known), dtype=np.uint64)
    some = KEYS if not known else st.one_of(KEYS, st.sampled_from(sorted(known)))
    wanted = data.draw(arrays(np.uint64, (2, 5), elements=some))
    position = np.array([0, 1, 2, 0, 1])
    columns = NgramIndex(keys).look_up(NgramOccurrences(np.array([0, 0, 0, 1, 1]), position, wanted))
    for row, wanted_row in enumerate(wanted.tolist()):
        for symbol, key in enumerate(wanted_row):
            complete = position[symbol] >= row
            expected = sorted(known).index(key) if key in known and complete else -1
            assert columns[row, symbol] == expected


def test_counts_of_chunks_are_merged():
    columns = np.array([[2, 0, 2, 1], [-1, 3, -1, 3]], np.int32)
    text_index = np.array([0, 0, 1, 1])
    whole = count_known(columns, text_index, 3)
    assert whole.text_index.tolist() == [0, 0, 0, 1, 1, 1]
    assert whole.column.tolist() == [0, 2, 3, 1, 2, 3]
    parts = [count_known(columns[:, part], text_index[part], 3) for part in (slice(0, 3), slice(3, 4))]
    merged = merge_counts(parts)
    for name in ("text_index", "column", "count"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))

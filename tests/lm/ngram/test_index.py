import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lmclassify.lm.ngram.index import NgramIndex
from lmclassify.text.ngrams import NgramOccurrences

KEYS = st.one_of(
    st.integers(0, 2**64 - 1), st.integers(0, 40), st.integers(2**64 - 40, 2**64 - 1)
)  # spread, and crowded into the first and the last bucket


@given(st.sets(KEYS), st.data())
def test_it_finds_what_a_binary_search_finds(known, data):
    keys = np.array(sorted(known), dtype=np.uint64)
    some = KEYS if not known else st.one_of(KEYS, st.sampled_from(sorted(known)))
    asked = data.draw(arrays(np.uint64, (2, 5), elements=some))
    place = np.array([0, 1, 2, 0, 1])
    found = NgramIndex(keys).look_up(NgramOccurrences(np.array([0, 0, 0, 1, 1]), place, asked))
    for row, of_row in enumerate(asked.tolist()):
        for column, key in enumerate(of_row):
            whole = place[column] >= row
            assert found[row, column] == (sorted(known).index(key) if key in known and whole else -1)

"""How texts are cut into pieces for the training of LSTMs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.settings import Settings
from lmclassify.classify.training.lstm_experts import pieces, within


def test_a_long_text_is_cut_into_pieces_that_overlap_by_one_token():
    cut, rows = pieces([np.array([1, 2]), np.array([1, 5, 6, 7, 8, 9, 2])], Settings(max_length=4))
    assert [piece.tolist() for piece in cut] == [[1, 2], [1, 5, 6, 7], [7, 8, 9, 2]]
    assert rows.tolist() == [0, 1, 1]


def test_truncated_texts_are_read_from_the_beginning_only():
    cut, rows = pieces([np.array([1, 5, 6, 7, 2])], Settings(max_length=3, long_texts="truncate"))
    assert [piece.tolist() for piece in cut] == [[1, 5, 6]]
    assert rows.tolist() == [0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=1), st.integers(2, 9))
def test_every_token_is_a_target_once(lengths, max_length):
    sequences = [np.arange(1, length + 1) for length in lengths]
    cut, rows = pieces(sequences, Settings(max_length=max_length))
    for number, sequence in enumerate(sequences):
        own = [cut[index][1:] for index in np.flatnonzero(rows == number)]
        assert np.concatenate(own).tolist() == sequence[1:].tolist()
    assert max(map(len, cut)) <= max_length


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 9)), st.integers(1, 40))
def test_a_sample_stays_within_the_tokens(lengths, max_tokens):
    sequences = [np.zeros(length, dtype=int) for length in lengths]
    kept = within(sequences, max_tokens, np.random.default_rng(0))
    assert sorted(set(kept.tolist())) == kept.tolist()
    if sum(lengths) <= max_tokens:
        assert len(kept) == len(lengths)
    else:
        assert len(kept) == 1 or sum(lengths[index] for index in kept) <= max_tokens

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.text.sequences import SequenceStore, batches_by_length, make_batch, pad


def test_a_sequence_that_is_too_long_to_pad_is_refused():
    with pytest.raises(ValueError, match="3 ids does not fit into 2"):
        pad([1, 2, 3], 2)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 300), max_size=80),
    st.integers(1, 20),
    st.booleans(),
    st.none() | st.integers(1, 400),
)
def test_batches_hold_every_text_once(lengths, size, shuffled, max_tokens):
    rng = np.random.default_rng(0) if shuffled else None
    batches = batches_by_length(lengths, size, rng, max_tokens=max_tokens)
    seen = [index for batch in batches for index in batch]
    assert sorted(seen) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= size
        longest = max(lengths[index] for index in batch)
        assert max_tokens is None or len(batch) == 1 or longest * len(batch) <= max_tokens


@settings(max_examples=25)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_batches_have_similar_lengths(lengths):
    batches = batches_by_length(lengths, 8)
    padded = sum(max(lengths[index] for index in batch) * len(batch) for batch in batches)
    best = sum(max(part) * len(part) for part in _cut(sorted(lengths, reverse=True), 8))
    assert padded == best


def _cut(items: list[int], size: int) -> list[list[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def test_shuffled_batches_differ_between_epochs_and_repeat_with_the_seed():
    lengths = [5] * 64
    rng = np.random.default_rng(1)
    first, second = (np.concatenate(batches_by_length(lengths, 8, rng)).tolist() for _ in range(2))
    again = np.concatenate(batches_by_length(lengths, 8, np.random.default_rng(1))).tolist()
    assert first != second
    assert first == again


def test_a_batch_of_the_shortest_sequences():
    batch = make_batch([[7], [7, 8]])
    assert batch.inputs.tolist() == [[0], [7]]
    assert batch.targets.tolist() == [[0], [8]]


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(2, 9)
)
def test_stored_batches_hold_every_token_once(sequences, max_length):
    store = SequenceStore(sequences, max_length)
    assert store.lengths.tolist() == [min(len(ids), max_length) for ids in sequences]
    targets = [number for ids in sequences for number in ids[1:max_length]]
    assert store.targets().tolist() == targets
    order = np.random.default_rng(0).permutation(len(sequences))
    seen = []
    for rows in np.array_split(order, 2):
        inputs, predicted = store.batch(rows)
        assert inputs.shape == predicted.shape == (len(rows), max(store.lengths[rows] - 1, default=0))
        for row, read, then in zip(rows, inputs.tolist(), predicted.tolist(), strict=True):
            cut = sequences[row][:max_length]
            padding = [0] * (len(read) - len(cut) + 1)
            assert read == cut[:-1] + padding
            assert then == cut[1:] + padding
            seen += cut[1:]
    assert sorted(seen) == sorted(targets)

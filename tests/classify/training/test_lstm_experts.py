"""How texts are cut into pieces for the training of LSTMs."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.classify.settings import Settings
from lmclassify.classify.training import lstm_experts
from lmclassify.classify.training.context import FitContext, SizeLimits
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.lstm_experts import LstmTrainer, fit_lstm_experts, pieces, within
from tests.conftest import bundled

TINY = Settings(max_epochs=1, num_lstm_units=4, embedding_dim=4, batch_size=16)


def a_trainer(settings: Settings = TINY, **options) -> LstmTrainer:
    texts, labels = bundled(limit=40)
    data = TrainingData.from_labels(texts, labels, 0)
    return LstmTrainer(data, FitContext(settings, "cpu", 1, **options), np.zeros((40, 2)))


def test_both_directions_score_the_same_texts(monkeypatch):
    """Even if one of them does not help and the other does."""
    settings = replace(TINY, direction="both")
    monkeypatch.setattr(LstmTrainer, "_share_read", lambda self, trained: 0.7)
    monkeypatch.setattr(LstmTrainer, "_helps", lambda self, trained: not self._backward)
    trainer = a_trainer(settings)
    forward, backward = fit_lstm_experts(
        trainer.data, trainer.context, np.zeros((40, 2)), np.random.default_rng(0)
    )
    assert forward.rows.tolist() == backward.rows.tolist() == list(range(40))


def test_single_texts_are_not_held_out():
    data = TrainingData.from_labels(["a b c", "d e f", "g h i"], ["x", "y", "z"], 0)
    context = FitContext(TINY, "cpu", 1, limits=SizeLimits(min_texts_to_hold_out=0))
    found = LstmTrainer(data, context, np.zeros((3, 3))).fit(np.random.default_rng(0))
    assert len(found.rows) == len(found.scores) > 0


def test_without_time_to_cross_fit_texts_are_held_out():
    settings = replace(TINY, validation_fraction=0.0)
    trainer = a_trainer(settings, limits=SizeLimits(min_texts_to_hold_out=0))
    assert len(trainer.fit(np.random.default_rng(0)).rows) == 4
    assert len(a_trainer(settings).fit(np.random.default_rng(0)).rows) == 40


def test_models_that_do_not_help_are_not_trained_again(monkeypatch):
    """If they have read most of the text that there is time for."""
    monkeypatch.setattr(LstmTrainer, "_helps", lambda self, trained: False)
    assert len(a_trainer().fit(np.random.default_rng(0)).rows) == 40
    monkeypatch.setattr(LstmTrainer, "_share_read", lambda self, trained: 0.7)
    assert len(a_trainer().fit(np.random.default_rng(0)).rows) == 20


def test_models_that_have_read_all_that_there_is_time_for_are_not_trained_again(monkeypatch):
    monkeypatch.setattr(LstmTrainer, "_helps", lambda self, trained: True)
    monkeypatch.setattr(lstm_experts, "BACKGROUND_TOKENS", 100)
    found = a_trainer().fit(np.random.default_rng(0))
    assert len(found.rows) == len(found.scores) == 20
    assert len(found.trained.training) == 20


def test_only_some_validation_tokens_are_scored(monkeypatch):
    monkeypatch.setattr(lstm_experts, "SCORED_TOKENS", 100)
    found = a_trainer().fit(np.random.default_rng(0))
    assert 0 < len(found.rows) < 40
    assert found.scores.shape == (len(found.rows), 2)
    assert sorted(set(found.rows.tolist())) == found.rows.tolist()


def test_labels_with_little_text_differ_in_their_output_biases_only(monkeypatch):
    monkeypatch.setattr(lstm_experts, "MIN_TOKENS_PER_LABEL", 10_000)
    trained = a_trainer().fit(np.random.default_rng(0)).trained
    first, second = trained.models
    assert first["embedding.weight"] is second["embedding.weight"]
    assert not np.array_equal(first["output.bias"], second["output.bias"])
    assert trained.records[-1] == {"kind": "tuning", "epochs": 0, "best_epoch": 0, "validation_losses": []}


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

from __future__ import annotations

from threading import Event

import numpy as np
import pytest
import torch

from lmclassify.lm import LanguageModel
from lmclassify.lm.neural.loss import summed_nll
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.lm.settings import LanguageModelSettings

V = 20
SETTINGS = LanguageModelSettings(max_epochs=12, batch_size=8, learning_rate=0.02)


def cycles(n: int, seed: int = 0) -> list[np.ndarray]:
    """Sequences in which each token is followed by the next higher one: a model can learn this."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(1, V, size=n)
    return [(start + np.arange(rng.integers(3, 12)) - 1) % (V - 1) + 1 for start in starts]


def new_trainer(**options) -> Trainer:
    settings = options.pop("settings", SETTINGS)
    model = LanguageModel(V, settings.max_length, 16, embedding_dim=8, dropout=0.1, seed=0)
    return Trainer(model, cycles(64), options.pop("validation", cycles(16, 1)), settings, **options)


def finish(trainer: Trainer) -> Trainer:
    while trainer.run_epoch():
        pass
    return trainer


def test_training_lowers_the_loss():
    trainer = finish(new_trainer())
    first, best = trainer.records[0], trainer.records[trainer.best_epoch - 1]
    assert best.validation_loss < 0.5 < first.validation_loss
    assert len(trainer.records) <= 12
    assert trainer.records[-1].finished
    assert all(not record.finished for record in trainer.records[:-1])
    assert trainer.records[0].tokens == trainer.tokens_per_epoch == sum(len(s) - 1 for s in cycles(64))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, same = finish(new_trainer(seed=3)), finish(new_trainer(seed=3))
    other = finish(new_trainer(seed=4))
    for name, array in first.model.arrays().items():
        assert np.array_equal(array, same.model.arrays()[name])
    assert any(not np.array_equal(a, other.model.arrays()[n]) for n, a in first.model.arrays().items())


def test_the_best_weights_are_kept_and_training_stops_early():
    noise = [np.random.default_rng(9).integers(1, V, size=8) for _ in range(8)]
    settings = LanguageModelSettings(max_epochs=40, patience=2, batch_size=8, learning_rate=0.02)
    trainer = finish(new_trainer(settings=settings, validation=noise))
    assert len(trainer.records) == trainer.best_epoch + 2 < 40
    losses = [record.validation_loss for record in trainer.records]
    assert losses[trainer.best_epoch - 1] == min(losses)
    assert trainer._validation_loss() == pytest.approx(min(losses), abs=1e-6)


def test_without_validation_texts_the_training_loss_decides():
    trainer = finish(new_trainer(validation=[]))
    assert all(record.validation_loss is None for record in trainer.records)
    losses = [record.training_loss for record in trainer.records]
    assert losses[trainer.best_epoch - 1] == min(losses)


def test_an_interrupted_epoch_leaves_the_best_weights():
    stop = Event()
    trainer = new_trainer(stop=stop)
    trainer.run_epoch()
    after_one = trainer.model.arrays()
    stop.set()
    assert trainer.run_epoch() is False
    assert trainer.interrupted
    assert len(trainer.records) == 1
    for name, array in trainer.model.arrays().items():
        assert np.array_equal(array, after_one[name])


def test_interrupted_before_the_first_batch_there_is_no_record():
    stop = Event()
    stop.set()
    trainer = new_trainer(stop=stop)
    assert trainer.run_epoch() is False
    assert trainer.records == []


def test_learning_rate_rises_and_falls():
    trainer = new_trainer(settings=LanguageModelSettings(max_epochs=10, batch_size=8, warmup=0.1))
    rates = [trainer._relative_rate(step) for step in range(80)]
    assert rates[0] == pytest.approx(1 / 8)
    assert rates[7] == 1.0
    assert rates[8:] == sorted(rates[8:], reverse=True)
    assert rates[-1] < 0.01


def test_heavier_texts_count_more():
    """Of two contradicting halves, the heavier one wins."""
    rising, falling = cycles(32), [sequence[::-1].copy() for sequence in cycles(32)]
    weights = np.array([10.0] * 32 + [0.1] * 32)
    model = LanguageModel(V, 64, 16, embedding_dim=8, dropout=0.0, seed=0)
    trainer = finish(Trainer(model, rising + falling, [], SETTINGS, weights=weights))
    trainer.model.eval()
    ids = torch.tensor([[3]])
    assert trainer.model.predict_next(ids).item() == 4


def test_equal_weights_change_little():
    plain = new_trainer()
    weighted = new_trainer(weights=np.full(64, 2.0))
    plain.run_epoch()
    weighted.run_epoch()
    assert weighted.records[0].training_loss == pytest.approx(plain.records[0].training_loss, rel=1e-3)


def test_long_sequences_are_cut():
    settings = LanguageModelSettings(max_epochs=1, max_length=4)
    trainer = new_trainer(settings=settings)
    assert trainer.tokens_per_epoch == sum(min(len(sequence), 4) - 1 for sequence in cycles(64))


def test_sums_are_divided_once():
    nll = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    mask = nll > 0
    nats, tokens = summed_nll(nll, mask)
    assert (nats / tokens).item() == pytest.approx(10 / 4)
    nats, tokens = summed_nll(nll, mask, torch.tensor([1.0, 3.0]))
    weighted = (nats / tokens).item()
    assert weighted == pytest.approx((6 + 3 * 4) / (3 + 3))

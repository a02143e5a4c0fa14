"""Several processes that train one model do what one process does with all sequences."""

import multiprocessing

import numpy as np
import pytest
from torch import distributed

from lmclassify.lm.neural.data_parallel import train_together
from lmclassify.lm.neural.model import LanguageModel
from lmclassify.lm.neural.trainer import Trainer
from lmclassify.lm.neural.training_state import TrainingState
from lmclassify.lm.settings import LanguageModelSettings

RNG = np.random.default_rng(0)
SEQUENCES = [np.r_[1, RNG.integers(3, 20, RNG.integers(1, 12)), 2] for _ in range(31)]
VALIDATION = SEQUENCES[:5]
WEIGHTS = {"equal": None, "weighted": RNG.uniform(0.5, 2, len(SEQUENCES))}
WHOLE = LanguageModelSettings(
    max_length=10, num_lstm_units=6, embedding_dim=4, dropout=0.0, batch_size=64, max_epochs=3
)


def new_trainer(weights, **options):
    model = LanguageModel(20, 10, 6, embedding_dim=4, dropout=0.0, seed=1)
    return Trainer(
        model,
        SEQUENCES,
        VALIDATION,
        WHOLE,
        weights=weights,
        validation_weights=None if weights is None else weights[: len(VALIDATION)],
        seed=3,
        min_batches=1,  # all texts make one batch
        **options,
    )


def test_processes_share_all_sequences():
    weights = WEIGHTS["weighted"]
    parts = new_trainer(weights).split(3)
    for rank, arguments in enumerate(parts):
        assert len(arguments["sequences"]) in (10, 11)
        for found, expected in zip(arguments["sequences"], SEQUENCES[rank::3], strict=True):
            np.testing.assert_array_equal(found, expected[:10])
        np.testing.assert_array_equal(arguments["weights"], weights[rank::3])
    assert sum(len(arguments["validation"]) for arguments in parts) == len(VALIDATION)


def _work(rank, size, folder):
    """Train as one of several processes, without and with weights; states after each epoch go into files."""
    distributed.init_process_group(
        "gloo", init_method=(folder / "group").as_uri(), rank=rank, world_size=size
    )
    for name, weights in WEIGHTS.items():
        for number, state in enumerate(train_together(new_trainer(weights).split(size)[rank], None)):
            (folder / f"{name} {rank} {number}").write_bytes(state)
    distributed.destroy_process_group()


@pytest.mark.long
def test_each_epoch_is_that_of_one_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(rank, 2, tmp_path)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    for name, weights in WEIGHTS.items():
        alone = new_trainer(weights)
        for number in range(3):
            alone.run_epoch()
            states = [(tmp_path / f"{name} {rank} {number}").read_bytes() for rank in range(2)]
            _is_the_same(*map(TrainingState.from_bytes, states), alone.state())
        assert alone.finished


def _is_the_same(found, other, expected):
    assert found.arrays.keys() == expected.arrays.keys()
    for name, array in found.arrays.items():
        if name != "generator":
            np.testing.assert_array_equal(array, other.arrays[name])
            # AdamW divides by the gradient's size, which makes much of rounding where it is all but zero.
            tolerance = 1e-7 if name.startswith("moments") else 1e-5
            np.testing.assert_allclose(array, expected.arrays[name], atol=tolerance, err_msg=name)
    for name in ("training_loss", "validation_loss", "tokens"):
        there = found.plain["records"][-1][name]
        assert there == pytest.approx(expected.plain["records"][-1][name], rel=1e-6)

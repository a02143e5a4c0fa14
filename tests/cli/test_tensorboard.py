"""`lmclassify fit --tensorboard`, beside a stand-in for the package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lmclassify.cli.main import build_program
from lmclassify.cli.tensorboard import TensorBoardWriter
from lmclassify.extras import install_package
from lmclassify.lm.neural.trainer import EpochRecord
from tests.cli.helpers import QUICK


class Writer:
    written: list[tuple[str, float, int]]

    def __init__(self, folder: str) -> None:
        assert Path(folder).is_dir()
        self.closed = False
        Writer.written = []
        Writer.last = self

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        assert not self.closed
        self.written.append((tag, value, step))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))


def fit(*arguments: object) -> int:
    with pytest.raises(SystemExit) as status:
        build_program(["fit"])(["fit", *map(str, arguments)], prog_name="lmclassify")
    return status.value.code


def test_losses_by_label_and_epoch(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{'win a prize' if number % 2 else 'lunch'} {number},{number % 2}" for number in range(20)]
    (tmp_path / "a.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    options = *QUICK, "--max-epochs", 2, "--tensorboard", "inner/events", "-q"
    assert fit("a.csv", *options) == 0
    assert Writer.last.closed
    tags = {(tag, step) for tag, _, step in Writer.written}
    assert {(f"{label}/training_loss", epoch) for label in "01" for epoch in (1, 2)} <= tags
    assert ("0/validation_loss", 1) in tags


def test_a_second_training_has_a_name_of_its_own(package, tmp_path):
    record = {
        "max_epochs": 1,
        "validation_loss": None,
        "best": True,
        "finished": True,
        "tokens": 6,
        "seconds": 2.0,
    }
    with TensorBoardWriter(str(tmp_path / "x")) as scalars:
        for loss in (3.0, 2.0):
            scalars.update("a", EpochRecord(epoch=1, training_loss=loss, **record))
    assert Writer.written == [
        ("a/training_loss", 3.0, 1), ("a/tokens_per_second", 3.0, 1),
        ("a (2)/training_loss", 2.0, 1), ("a (2)/tokens_per_second", 3.0, 1),
    ]  # fmt: skip


def test_without_the_package(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert fit("--tensorboard", "events") == 1
    assert capsys.readouterr().err == (
        f"lmclassify: error: --tensorboard needs tensorboard: {install_package('tensorboard')}\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(package, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events").touch()
    assert fit("--tensorboard", "events") == 1
    assert "cannot write events: " in capsys.readouterr().err

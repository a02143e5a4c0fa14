"""Progress of what takes long, where standard error is no terminal."""

from __future__ import annotations

import time

import pytest

from lmclassify.cli import common
from lmclassify.cli.common import Counter, Display, Run
from lmclassify.cli.main import _program
from tests.cli.test_cli import EMAILS, QUICK


def test_lines_come_without_news_too(capsys, monkeypatch):
    monkeypatch.setattr(common, "SECONDS_BETWEEN_LINES", 0.01)
    with Display(Run(), "work", 4) as display:
        time.sleep(0.2)
        display.show(1, "one\x1b")
        time.sleep(0.2)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "work (0 s so far)"
    assert said[-1].startswith("work: one\\x1b (25%, 0 s so far, ")
    with Counter(Run(), None) as counter:
        counter.add(3, 50)
        time.sleep(0.2)
    assert capsys.readouterr().err.splitlines()[-1].startswith("rows: 3 done, ")
    with Display(Run(quiet=True), "work"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str, float | None]]:
    """What the displays are told: done, state, total."""
    told: list[tuple[float, str, float | None]] = []
    real = Display.show

    def show(self: Display, done: float, state: str, total: float | None = None) -> None:
        real(self, done, state, total)
        told.append((done, state, self._total))

    monkeypatch.setattr(Display, "show", show)
    return told


def run(*arguments: object) -> None:
    command = list(map(str, arguments))
    with pytest.raises(SystemExit) as status:
        _program(command)(command, prog_name="lmclassify")
    assert status.value.code == 0


def test_adding_and_updating_count_epochs(tuned, tmp_path, monkeypatch, shown):
    monkeypatch.chdir(tmp_path)
    tuned.save("tuned")
    (tmp_path / "parcels.txt").write_text("Your parcel has left\nParcel at the depot\nWhere is it\n" * 4)
    run("add-label", "parcel", "parcels.txt", "-m", "tuned", "-o", "three", "-q")
    trainings = shown[0][2]
    assert trainings in (1, 6)
    assert shown[0][1].startswith(f"language model 1 of {trainings}, epoch 1 of ")
    assert shown[-1][0] == trainings
    assert [done for done, _, _ in shown] == sorted(done for done, _, _ in shown)
    shown.clear()
    (tmp_path / "rows.csv").write_text("text,label\nwin a parcel,spam\nlunch,ham\n")
    run("update", "rows.csv", "-m", "three", "-q")
    assert shown == [
        (1, "language model 1 of 2, epoch 1 of 1", 2), (2, "language model 2 of 2, epoch 1 of 1", 2),
    ]  # fmt: skip


def test_texts_are_counted(saved, tmp_path, monkeypatch, shown):
    monkeypatch.chdir(tmp_path)
    run("explain", "--texts", EMAILS, "-m", saved, "-q")
    assert shown[-1] == (200, "200 of 200 texts", 200)
    shown.clear()
    run("evaluate", EMAILS, "-m", saved, "-q")
    assert shown[-1] == (200, "200 of 200 texts", 200)
    assert any("200 done" in state for _, state, _ in shown)
    shown.clear()
    run("fit", *QUICK, "-q", "-o", "m")
    assert {state.split(",")[0] for _, state, _ in shown} == {"ham: epoch 1 of 1", "spam: epoch 1 of 1"}

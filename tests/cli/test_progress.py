"""Progress of long commands where standard error is no terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from lmclassify.cli.command import Run
from lmclassify.cli.main import build_program
from lmclassify.cli.progress import ProgressDisplay, RowProgress
from tests.cli.helpers import EMAILS
from tests.conftest import GOLDEN, run_cli_on_terminal


class RecordedRun(Run):
    """Keeps the messages of a run, printed by a thread, until a test has seen what it waits for."""

    def wait_for(self, wanted: Callable[[str], bool], capsys: pytest.CaptureFixture[str]) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for line in capsys.readouterr().err.splitlines():
                if wanted(line):
                    return line
            threading.Event().wait(0.001)
        raise AssertionError("no such line")


def test_lines_are_printed_now_and_then(capsys):
    run = RecordedRun()
    with ProgressDisplay(run, "work", 4, seconds_between_lines=0.001) as display:
        assert " s so far)" in run.wait_for(lambda line: line.startswith("work ("), capsys)
        display.show(1, "one\x1b")
        assert run.wait_for(lambda line: line.startswith("work: one\\x1b (25%, "), capsys).endswith(
            " s left)"
        )
    with RowProgress(run, None, seconds_between_lines=0.001) as progress:
        progress.add(3, 50)
        run.wait_for(lambda line: line.startswith("rows: 3 done, "), capsys)


def test_a_quiet_run_starts_no_thread(capsys):
    threads = threading.active_count()
    with ProgressDisplay(Run(quiet=True), "work", seconds_between_lines=0.001):
        assert threading.active_count() <= threads
    assert capsys.readouterr().err == ""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str, float | None]]:
    """What the displays are told: done, state, total."""
    told: list[tuple[float, str, float | None]] = []
    real = ProgressDisplay.show

    def show(self: ProgressDisplay, done: float, state: str, total: float | None = None) -> None:
        real(self, done, state, total)
        told.append((done, state, self._total))

    monkeypatch.setattr(ProgressDisplay, "show", show)
    return told


def run(*arguments: object) -> None:
    command = list(map(str, arguments))
    with pytest.raises(SystemExit) as status:
        build_program(command)(command, prog_name="lmclassify")
    assert status.value.code == 0


@pytest.mark.parametrize(
    ("recipe", "trainings"),
    [("plain", 1), pytest.param("tuned", 1, marks=pytest.mark.long)],  # this model's LSTMs have no weight
)
def test_adding_counts_epochs_and_updating_counts_texts(
    request, recipe, trainings, tmp_path, monkeypatch, shown
):
    monkeypatch.chdir(tmp_path)
    request.getfixturevalue({"plain": "classifier", "tuned": "tuned"}[recipe]).save("model")
    (tmp_path / "parcels.txt").write_text("Your parcel has left\nParcel at the depot\nWhere is it\n" * 4)
    run("add-label", "parcel", "parcels.txt", "-m", "model", "-o", "three", "-q")
    assert shown[0][2] == trainings
    assert shown[0][1].startswith(f"language model 1 of {trainings}, epoch 1 of ")
    assert shown[-1][0] == trainings
    assert [done for done, _, _ in shown] == sorted(done for done, _, _ in shown)
    shown.clear()
    (tmp_path / "rows.csv").write_text("text,label\nwin a parcel,spam\nlunch,ham\n")
    run("update", "rows.csv", "-m", "three", "-q")
    assert shown == [(1, "1 of 2 texts", 2), (2, "2 of 2 texts", 2)]


def test_texts_are_counted(saved, tmp_path, monkeypatch, shown):
    monkeypatch.chdir(tmp_path)
    run("explain", "--texts", EMAILS, "-m", saved, "-q")
    assert shown[-1] == (200, "200 of 200 texts", 200)
    shown.clear()
    run("evaluate", EMAILS, "-m", saved, "-q")
    assert shown[-1] == (200, "200 of 200 texts", 200)
    assert any("200 done" in state for _, state, _ in shown)


def test_no_bar_where_rows_go_to_the_same_terminal(tmp_path):
    command = ["predict", EMAILS, "-m", GOLDEN / "tuned" / "model"]
    _, mixed = run_cli_on_terminal(*command, cwd=tmp_path)
    assert "━" not in mixed
    assert mixed.count("\n") > 200
    _, apart = run_cli_on_terminal(*command, "-o", "out.csv", cwd=tmp_path)
    assert "━" in apart

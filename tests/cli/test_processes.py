"""What only a process shows: signals, closed pipes and full disks."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, QUICK, rows_of
from tests.conftest import PROGRAM, run_cli_process


def test_closed_pipe_ends_the_program_quietly(saved, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("text\n" + "hello world\n" * 30_000)
    command = [*PROGRAM, "predict", str(path), "-m", str(saved)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"text,predicted_label,p_ham,p_spam\n"
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait(300) == 141
    assert "error" not in said.lower()
    assert "Traceback" not in said


def interrupt(arguments: list[object], cwd: Path, after: str) -> tuple[int, str]:
    """Run the program on a terminal, press Ctrl-C after some output; return its status and what is shown."""
    master, slave = pty.openpty()
    command = [*PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        shown, interrupted = "", False
        with contextlib.suppress(OSError):  # the program has closed the other end
            while piece := os.read(master, 4096):
                shown += piece.decode(errors="replace")
                if after in shown and not interrupted:
                    process.send_signal(signal.SIGINT)
                    interrupted = True
        os.close(master)
        process.communicate(timeout=300)
    return process.returncode, shown


@pytest.mark.long
def test_ctrl_c_keeps_the_best_so_far_and_says_so(tmp_path):
    # the spam bar shows an epoch after the ham one has: both have a model by the second
    arguments = ["fit", *QUICK, "--max-epochs", 5000, "--patience", 5000]
    status, shown = interrupt(arguments, tmp_path, after="epoch 5")
    assert status == 0, shown
    assert "interrupted: the best weights so far are kept (ham: epoch" in shown
    model = lmclassify.load(tmp_path / "lmclassify-model")
    assert all(1 <= entry["best_epoch"] < 5000 for entry in model.training_entries("label"))


@pytest.mark.long
def test_ctrl_c_before_there_is_a_model_writes_nothing(tmp_path):
    arguments = ["fit", "--num-lstm-units", 512, "--num-lstm-layers", 3]
    status, shown = interrupt(arguments, tmp_path, after="label column")
    assert status == 130, shown
    assert "lmclassify: error: interrupted" in shown
    assert "Traceback" not in shown
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams(saved, data, closed):
    program = f"{sys.executable} -m lmclassify predict data.csv -m {saved} -o out.csv {closed}"
    done = subprocess.run(["bash", "-c", program], cwd=data.parent, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    assert len(rows_of((data.parent / "out.csv").read_bytes())) == 6


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["predict", "evaluate", "info", "suggest", "generate", "explain"])
def test_full_disk_is_one_line(saved, command):
    arguments = {
        "predict": EMAILS,
        "evaluate": EMAILS,
        "suggest": "a",
        "generate": "--label ham",
        "explain": "a",
    }
    argument = arguments.get(command, "")
    program = f"{sys.executable} -m lmclassify {command} {argument} -m {saved} -q > /dev/full"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "bug" not in done.stderr


def test_sigterm_leaves_no_temporary_file(saved, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("text\n" + "hello world\n" * 400_000)
    command = [*PROGRAM, "predict", "many.csv", "-m", str(saved), "-o", "out.csv"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while len(os.listdir(tmp_path)) == 1 and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(300) == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == ["many.csv"]


def fit_until(signum: signal.Signals, after: str, cwd: Path, *arguments: object) -> tuple[int, list[str]]:
    """Run fit on the bundled texts, send a signal after a line of messages; return status and later lines."""
    command = [*PROGRAM, "fit", *map(str, arguments)]
    later: list[str] = []
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        sent = False
        for line in process.stderr:
            if sent:
                later.append(line)
            elif after in line:
                process.send_signal(signum)
                sent = True
        status = process.wait(300)
    return status, later


@pytest.mark.long
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_the_model_of_the_stage_that_is_over(signum, tmp_path):
    kept = "lmclassify: error: interrupted: no model was written\n"
    assert fit_until(signum, "n-gram experts of", tmp_path) == (128 + signum, [kept])
    assert os.listdir(tmp_path) == []
    kept = "lmclassify: error: interrupted: the model of stage 1 is in ./lmclassify-model\n"
    assert fit_until(signum, "stage 2 of 2: LSTM", tmp_path) == (128 + signum, [kept])
    model = tmp_path / "lmclassify-model"
    config = (model / "config.json").read_bytes()
    assert lmclassify.load(model).settings.recipe == "ngram"
    kept = "lmclassify: error: interrupted: the model in ./lmclassify-model stays as it was\n"
    assert fit_until(signum, "n-gram experts of", tmp_path, "--force") == (128 + signum, [kept])
    assert (model / "config.json").read_bytes() == config


@pytest.mark.long
def test_too_short_a_time_leaves_the_old_model(saved, tmp_path):
    model = Path(shutil.copytree(saved, tmp_path / "lmclassify-model"))
    config = (model / "config.json").read_bytes()
    done = run_cli_process("fit", EMAILS, "--time", "0.01", "-q", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "give more time" in line
    assert (model / "config.json").read_bytes() == config


@pytest.mark.long
def test_enough_time_is_not_used_up(tmp_path):
    options = ["--recipe", "ngram", "--time", "1h"]
    done = run_cli_process("fit", EMAILS, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert b"too short" not in done.stderr

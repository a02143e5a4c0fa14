"""`lmclassify label`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from lmclassify.annotation.file_lock import locked
from tests.cli.helpers import one_line
from tests.conftest import run_cli

TEXTS = [f"{kind} {number}" for number in range(30) for kind in ("win a free prize", "lunch on Friday")]


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    return path


class Labelling:
    """A running `lmclassify label`, and requests to it."""

    def __init__(self, process):
        self.process = process
        self.said = []
        for line in process.stderr:
            self.said.append(line)
            if found := re.search(r"label at (http://127\.0\.0\.1:\d+)/\?token=(\S+)", line):
                self.address, self.token = found[1], found[2]
                return
        raise AssertionError("".join(self.said))

    def __call__(self, path, body=None):
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Client": "a",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


@contextlib.contextmanager
def labelling(path, *options):
    command = [sys.executable, "-m", "lmclassify", "label", path.name, "--no-browser", *options]
    with subprocess.Popen(command, cwd=path.parent, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Labelling(process)
        finally:
            process.kill()


@pytest.mark.long
def test_a_browser_that_runs_in_the_terminal_gets_the_page(texts, tmp_path):
    """It is not waited for: the page is answered while it runs."""
    browser, status = tmp_path / "browser", tmp_path / "status.new"
    fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=60).status)"
    browser.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{fetch}" "$1" > "{status}"\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "lmclassify", "label", texts.name]
    environment = {**os.environ, "BROWSER": str(browser)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 120
            while not (status.exists() and status.read_text()):
                assert time.monotonic() < end
                time.sleep(0.05)
            assert status.read_text() == "200\n"
        finally:
            process.kill()


def answer(ask, item):
    label = "spam" if item["text"].startswith("win") else "ham"
    return ask("answer", {"id": item["id"], "action": "label", "label": label})


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        (["none.csv"], 1, "none.csv"),
        (["texts.csv", "texts.csv"], 2, "texts.csv is given twice"),
        (["texts.csv", "--labels", "a,,b"], 2, "--labels holds an empty name"),
        (["texts.csv", "--labels", "a,b,a"], 2, "--labels names a twice"),
        (["texts.csv", "--text-column", "body"], 1, "body"),
        (["texts.csv", "--check"], 1, "texts.csv has no label column"),
        (["-"], 2, "standard input cannot be labelled"),
    ],
)
def test_wrong_options(texts, options, status, error):
    done = run_cli("label", *options, "--no-browser", cwd=texts.parent)
    assert error in done.stderr.decode().splitlines()[-1]
    assert done.returncode == status
    assert sorted(entry.name for entry in texts.parent.iterdir()) == ["texts.csv"]


def test_a_file_that_is_being_labelled_or_is_complete(texts):
    with locked(str(texts)):
        assert "is being labelled by another" in one_line(run_cli("label", "texts.csv", cwd=texts.parent))
    texts.write_text("text,label\nwin,spam\nlunch,ham\n")
    done = run_cli("label", "texts.csv", cwd=texts.parent)
    assert done.returncode == 0
    assert done.stderr.decode().endswith("texts.csv: every text has a label; nothing to do\n")


@pytest.mark.long
def test_the_model_learns_while_a_person_labels(texts):
    with labelling(texts, "--labels", "spam,ham") as ask:
        deadline = time.monotonic() + 300
        while (state := ask("state"))["model"]["state"] != "ready" and time.monotonic() < deadline:
            if state["num_labelled"] < 40:
                answer(ask, ask("next?count=1")["texts"][0])
            else:
                time.sleep(0.1)
        assert state["model"]["state"] == "ready", state
        items = ask("next?count=9")["texts"]
        guesses = [item for item in items if item["guess"] is not None]
        assert guesses
        for item in guesses:
            assert "".join(word["text"] for word in item["guess"]["words"]) == item["text"]
        labelled = ask("state")["num_labelled"]
        ask.process.send_signal(signal.SIGINT)
        _, said = ask.process.communicate(timeout=60)
        assert ask.process.returncode == 0
        assert f"{labelled} of 60 texts are labelled in texts.csv" in said
        assert "fit a model with: lmclassify fit texts.csv" in said


@pytest.mark.long
def test_a_killed_program_loses_no_answer(texts):
    given = {}
    with labelling(texts) as ask:
        for _ in range(10):
            item = ask("next?count=1")["texts"][0]
            given[item["text"]] = answer(ask, item)
        ask.process.kill()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            answer(ask, {"id": 0, "text": "win"})
    lines = texts.read_text().splitlines()
    assert lines[0] == "text,label,labelled_at,source"
    assert {line.split(",")[0] for line in lines[1:]} == set(TEXTS)
    assert {line.split(",")[0] for line in lines if line.split(",")[1] in ("spam", "ham")} == set(given)
    with labelling(texts) as ask:
        assert ask("state")["num_labelled"] == 10
        assert "60 texts, 10 labelled" in "".join(ask.said)

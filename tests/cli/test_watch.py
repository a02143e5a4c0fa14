"""`lmclassify watch`: a Maildir and a saved model that learns from it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmclassify.classify.model import load
from lmclassify.mail.watch_state import WatchState
from tests.conftest import GOLDEN, PROGRAM, run_cli
from tests.mail.test_client import answering

LEARNED = dict.fromkeys(("id", "label", "predicted_before", "predicted_after"), "") | {"changed": True}
MESSAGE = "Received: from a by b; 10:00\nSubject: Your rehearsal moved to Friday\n\nbring a music stand\n"


@pytest.fixture
def home(tmp_path) -> Path:
    """A home folder with a model and a Maildir, which has one message in the inbox."""
    shutil.copytree(GOLDEN / "tuned" / "model", tmp_path / "model")
    for folder in (".", ".Junk"):
        for inner in ("cur", "new", "tmp"):
            (tmp_path / "Maildir" / folder / inner).mkdir(parents=True)
    (tmp_path / "Maildir" / "new" / "1.M1.host").write_text(MESSAGE)
    return tmp_path


def move(home: Path) -> None:
    (home / "Maildir/new/1.M1.host").rename(home / "Maildir/.Junk/cur/1.M2.host:2,S")


WATCH = ("watch", "Maildir", "--spam", ".Junk", "-m", "model")


def test_once(home):
    done = run_cli(*WATCH, "--once", cwd=home)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"first start: the messages in Maildir are only noted")
    move(home)
    text = "Your rehearsal moved to Friday\nbring a music stand"
    done = run_cli(*WATCH, "--once", cwd=home)
    line = b"learned 1 message as spam (INBOX to Junk)\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, line, b"")
    assert load(home / "model").predict([text]).tolist() == ["spam"]
    assert run_cli(*WATCH, "--once", cwd=home).stdout == b""
    (home / "Maildir/lmclassify-watch.state").unlink()  # nothing is counted twice
    done = run_cli(*WATCH, "--once", "--learn-existing", "-v", cwd=home)
    assert done.stdout == b"already learned as spam (in Junk): Your rehearsal moved to Friday\n"
    (home / "Maildir/.Junk/cur/1.M2.host:2,S").rename(home / "Maildir/cur/1.M3.host:2,S")
    done = run_cli(*WATCH, "--once", "-q", cwd=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert load(home / "model").predict([text]).tolist() == ["ham"]


def test_a_service_is_taught(home):
    """It need not run when the watcher starts; what it refuses is not tried again."""
    watch = ("watch", "Maildir", "--spam", ".Junk", "--socket", "s", "--once")
    done = run_cli(*watch, cwd=home)
    assert done.returncode == 0
    assert b"note: no service on s: No such file or directory; start one" in done.stderr
    move(home)
    done = run_cli(*watch, cwd=home)
    assert done.returncode == 1
    assert done.stderr.endswith(
        b"error: not all that was moved is learned yet: run the command again later\n"
    )
    refused = b'HTTP/1.1 422 Unprocessable\r\n\r\n{"detail": "no label"}'
    learned = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(LEARNED).encode()
    (home / "Maildir/new/2.M1.host").write_text(MESSAGE + "another one\n")
    for response, said in (
        (b'HTTP/1.1 503 Busy\r\n\r\n{"detail": "busy"}', b"503 Busy: busy; what was moved is learned later"),
        (learned, b"learned 1 message as spam (INBOX to Junk)"),
        (refused, b"a message in Junk is not learned: the service on s answers 422 Unprocessable: no label"),
    ):
        with answering(home / "s", response) as requests:
            done = run_cli(*watch, cwd=home)
        (home / "s").unlink()
        assert said in done.stdout + done.stderr
        assert b"is not an lmclassify service" not in done.stderr
        body = json.loads(requests[-1].partition(b"\r\n\r\n")[2])
        assert body["label"] == "spam"
        assert body["undo"] is False
        assert body["text"].startswith("Your rehearsal moved to Friday")
        if response == learned:
            (home / "Maildir/new/2.M1.host").rename(home / "Maildir/.Junk/cur/2.M1.host:2,S")
    assert done.returncode == 0


def test_a_message_without_text_is_refused(home):
    (home / "Maildir/new/1.M1.host").write_text("From: a@example.com\n\n")
    run_cli(*WATCH, "--once", cwd=home)
    move(home)
    done = run_cli(*WATCH, "--once", cwd=home)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr == b"note: a message in Junk is not learned: it has no text\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["Maildir", "-m", "model"], 2, "name the folder with spam, such as --spam .Junk"),
        (["Maildir", "--spam", ".Junk", "-m", "missing"], 1, "no model at missing"),
        (["missing", "--spam", ".Junk", "-m", "model"], 1, "cannot read the Maildir missing: No such file"),
        (["model", "--spam", ".Junk", "-m", "model"], 1, "model is no Maildir"),
        (["Maildir", "--spam", ".Junk", "-m", "model", "--positive", "x"], 2, "--positive: the model has no label"),
        (["Maildir", "--spam", ".Junk", "-m", "model", "--state", "no/x"], 1, "cannot write no/x: No such file"),
        (["Maildir", "--spam", ".Junk", "-m", "model", "--socket", "x"], 2, "drop --model"),
        (["Maildir", "--spam", ".Junk", "-m", "model", "--user", "a"], 2, "--user goes with --socket"),
        (["Maildir", "--spam", ".Junk", "--socket", "x", "--user", "../a"], 2, "--user '../a': a user's name"),
        ([*WATCH[1:], "--interval", "0"], 2, "equal to 1"),
    ],
)  # fmt: skip
def test_errors(arguments, status, said, home):
    done = run_cli("watch", *arguments, "--once", cwd=home)
    assert done.returncode == status
    assert said in done.stderr.decode()
    assert not (home / "Maildir" / "lmclassify-watch.state").exists()


def test_a_second_watcher_and_a_missing_package(home, monkeypatch):
    state = WatchState(str(home / "Maildir" / "lmclassify-watch.state"))
    done = run_cli(*WATCH, "--once", cwd=home)
    state.close()
    assert done.returncode == 1
    assert done.stderr.endswith(b"lmclassify-watch.state is in use: another watcher runs\n")
    monkeypatch.setitem(sys.modules, "watchdog", None)
    done = run_cli(*WATCH, cwd=home)
    assert done.returncode == 1
    assert b"watching needs watchdog: " in done.stderr
    assert b"[mail]'; --once does without it\n" in done.stderr


@pytest.mark.long
def test_a_running_watcher_that_is_killed(home):
    """It learns a move at once; killed without warning, it goes on where it was."""
    run_cli(*WATCH, "--once", cwd=home)
    for number, ends_with in enumerate((signal.SIGKILL, signal.SIGTERM)):
        with subprocess.Popen(
            [*PROGRAM, *WATCH], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            assert run.stderr.readline() == b"watching Maildir\n"
            (file,) = (path for path in (home / "Maildir").rglob("*.host*"))
            target = ("Maildir/.Junk/cur", "Maildir/cur")[number]
            file.rename(home / target / f"1.M{number}.host:2,S")
            where = (b"as spam (INBOX to Junk)", b"as ham (Junk to INBOX)")[number]
            line = run.stdout.readline()
            if line.startswith(b"already learned"):  # the lesson before it was killed
                line = run.stdout.readline()
            assert line == b"learned 1 message " + where + b"\n"
            run.send_signal(ends_with)
            assert run.wait(timeout=120) == (-9, 143)[number]
    done = run_cli(*WATCH, "--once", cwd=home)
    assert (done.returncode, done.stderr) == (0, b"")
    # The end may come between a lesson and its note: it is taught again, and counts once.
    assert done.stdout in (b"", b"already learned as ham (Junk to INBOX)\n")

"""Mail on the command line: fit, predict, and the filter as a mail system starts it."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pytest

import lmclassify
from lmclassify import load
from lmclassify.classify.explain import deciding_words
from lmclassify.classify.online.lesson import lesson_id
from tests.cli.helpers import QUICK
from tests.conftest import ROOT, bundled, run_cli

MESSAGE = b"From me@here Sat Jan  3 01:05:34 1996\nX-LMClassify-Label: ham\nSubject: Your free prize\n\nClick\0\xff\n"


def mail_of(texts: list[str]) -> bytes:
    return b"".join(
        b"From me@here Sat Jan  3 01:05:34 1996\nSubject: " + text.encode() + b"\n\nsee above\n\n"
        for text in texts
    )


@pytest.fixture(scope="module")
def mailboxes(tmp_path_factory) -> Path:
    """junk.mbox and a folder Inbox of messages."""
    folder = tmp_path_factory.mktemp("mail")
    texts, labels = bundled(limit=120)
    (folder / "junk.mbox").write_bytes(
        mail_of([t for t, label in zip(texts, labels, strict=True) if label == "spam"])
    )
    (folder / "Inbox").mkdir()
    for number, (text, label) in enumerate(zip(texts, labels, strict=True)):
        if label == "ham":
            (folder / "Inbox" / f"{number}.eml").write_bytes(f"Subject: {text}\n\nsee above\n".encode())
    return folder


def test_fit_and_predict(mailboxes):
    options = [*QUICK, "--fields", "subject,body", "-o", "model"]
    done = run_cli("fit", "--labels", "spam=junk.mbox", "--labels", "ham=Inbox/", *options, cwd=mailboxes)
    assert done.returncode == 0, done.stderr
    assert b"junk.mbox: mail, text is its subject, body (see --fields)" in done.stderr
    texts, labels = bundled(limit=120)
    done = run_cli("predict", "junk.mbox", "-m", "model", cwd=mailboxes)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    spam = [text for text, label in zip(texts, labels, strict=True) if label == "spam"]
    assert [row["text"] for row in rows] == [f"{' '.join(text.split())}\nsee above" for text in spam]
    assert rows[0]["id"] == "junk.mbox#1"
    assert {"predicted_label", "p_ham", "p_spam"} < set(rows[0])
    from_stdin = run_cli(
        "predict", "-", "-m", "model", cwd=mailboxes, stdin=(mailboxes / "junk.mbox").read_bytes()
    )
    assert [row["text"] for row in csv.DictReader(io.StringIO(from_stdin.stdout.decode()))] == [
        row["text"] for row in rows
    ]
    done = run_cli("predict", "junk.mbox", "-m", "model", "--fields", "body", cwd=mailboxes)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == (
        b"lmclassify: error: --fields body: the model was trained on subject,body; drop --fields, or fit a model "
        b"with --fields body\n"
    )
    done = run_cli(
        "evaluate", "spam=junk.mbox", "ham=Inbox", "-m", "model", "--format", "json", cwd=mailboxes
    )
    assert b"text is its subject, body" in done.stderr
    assert json.loads(done.stdout)["texts"] == 120
    (mailboxes / "whole.eml").write_bytes(b"Subject: a\nX-Mailer: bulk\n\nb\n")
    done = run_cli("explain", "whole.eml", "-m", "model", "--format", "json", cwd=mailboxes)
    assert json.loads(done.stdout)["text"] == "a\nb"
    assert lmclassify.load(mailboxes / "model").read_mail(b"Subject: a\n\nb\n") == "a\nb"
    done = run_cli("info", "model", "--format", "json", cwd=mailboxes)
    assert json.loads(done.stdout)["reading"] == {"fields": ["subject", "body"]}
    (mailboxes / "two.mbox").write_bytes(mail_of(["Lunch", "Win"]))
    (mailboxes / "Wanted").mkdir()
    (mailboxes / "Wanted" / "1.eml").write_bytes((mailboxes / "whole.eml").read_bytes())
    done = run_cli("update", "spam=two.mbox", "ham=Wanted/", "-m", "model", "-o", "updated", cwd=mailboxes)
    assert done.returncode == 0, done.stderr
    assert b"two.mbox: mail, text is its subject, body" in done.stderr
    updated = lmclassify.load(mailboxes / "updated")
    assert updated.reading == lmclassify.load(mailboxes / "model").reading
    texts = ["Lunch\nsee above", "Win\nsee above", "a\nb"]
    assert updated.lessons is not None
    assert list(updated.lessons.taught) == [lesson_id(text) for text in texts]
    assert updated.predict(texts).tolist() == ["spam", "spam", "ham"]
    for arguments, error in (
        (["update", "whole.eml"], b"whole.eml is mail, which has no labels: name it as LABEL=whole.eml"),
        (["update", "sapm=whole.eml"], b"the model has no label 'sapm' (did you mean 'spam'?)"),
        (["update", "spam=missing.eml"], b"no such file: missing.eml"),
        (["explain", "missing.eml"], b"no such file: 'missing.eml'"),
    ):
        done = run_cli(*arguments, "-m", "model", cwd=mailboxes)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
        assert error in done.stderr


def test_folders_of_mbox_files_and_stray_files(tmp_path):
    for name, texts in (
        ("junk", ["win a cruise", "cash prize"]),
        ("mail", ["lunch at noon", "train at six"]),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Box").write_bytes(mail_of(texts))
        (tmp_path / name / "cmds").write_bytes(b"mv 1 2\n")
    options = [*QUICK, "-o", "model"]
    done = run_cli("fit", "--labels", "spam=junk", "--labels", "ham=mail", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"language models of 4 texts" in done.stderr
    assert b"note: junk: 1 file that is no mail left out: cmds\n" in done.stderr
    assert b"note: mail: 1 file that is no mail left out: cmds\n" in done.stderr


def test_filter(saved):
    done = run_cli("filter", "-m", saved, cwd=saved.parent, stdin=MESSAGE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    first, label, score, *rest = done.stdout.splitlines(keepends=True)
    assert label in (b"X-LMClassify-Label: spam\n", b"X-LMClassify-Label: ham\n")
    assert score.startswith(b"X-LMClassify-Score: 0.") or score == b"X-LMClassify-Score: 1.000000\n"
    assert first + b"X-LMClassify-Label: ham\n" + b"".join(rest) == MESSAGE
    predicted = run_cli("predict", "-", "-m", saved, cwd=saved.parent, stdin=b"text\nYour free prize\n")
    row = next(csv.DictReader(io.StringIO(predicted.stdout.decode())))
    assert label.split()[1].decode() == row["predicted_label"]
    assert float(score.split()[1]) == pytest.approx(float(row["p_spam"]), abs=1e-6)
    for zone, status, name in (("0,0", 0, b"spam"), ("1,1", 1, b"ham"), ("0,1", 2, b"unsure")):
        options = ["-m", saved, "--exit-code", "--unsure", zone]
        done = run_cli("filter", *options, cwd=saved.parent, stdin=MESSAGE)
        assert done.returncode == status, done.stderr
        assert b"X-LMClassify-Label: " + name in done.stdout


def test_filter_adds_the_reason(saved):
    message = b"Subject: Your free prize is waiting, claim it now\n\nbody\n"
    for zone, name in (("0,0", "spam"), ("1,1", "ham"), ("0,1", "unsure")):
        done = run_cli("filter", "-m", saved, "--reason", "--unsure", zone, cwd=saved.parent, stdin=message)
        assert (done.returncode, done.stderr) == (0, b"")
        label, _, rest = done.stdout.decode().split("\n", 2)
        assert label == f"X-LMClassify-Label: {name}"
        text = "Your free prize is waiting, claim it now"
        words = deciding_words(load(saved), text, None if name == "unsure" else name)
        assert words or name == "ham"
        reason = f"X-LMClassify-Reason: {' '.join(words)}\n" if words else ""
        assert rest == reason + message.decode()


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["-m", "missing"], 75, b"missing"),
        (["-m", "missing", "--exit-code"], 3, b"missing"),
        (["--socket", "missing"], 75, b"no service on missing"),
        (["--socket", "missing", "-m", "other"], 75, b"--socket"),
        (["--unsure", "nonsense", "--exit-code"], 3, b"--unsure takes two probabilities"),
        (["--fields", "title"], 75, b"--fields takes"),
        (["--exit-code", "--no-such-option"], 3, b"--no-such-option"),
        (["surplus"], 75, b"surplus"),
    ],
)
def test_failures_pass_the_message_on(options, status, said, tmp_path):
    done = run_cli("filter", *options, cwd=tmp_path, stdin=MESSAGE)
    assert done.returncode == status
    assert done.stdout == MESSAGE
    assert said in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.long
def test_a_terminated_filter_copies_the_message(saved):
    command = [sys.executable, "-m", "lmclassify", "filter", "-m", str(saved)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"Subject: x\n")
    process.stdin.flush()
    deadline = time.monotonic() + 120
    while unread(process.stdin) and time.monotonic() < deadline:  # it installs its handlers before it reads
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(b"\nbody\n", timeout=300)
    assert out == b"Subject: x\n\nbody\n"
    assert process.returncode == 75
    assert b"ended by signal 15" in said


def unread(pipe) -> int:
    """Return how many bytes of a pipe its reader has not taken yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def test_help_reads_no_message(tmp_path):
    done = run_cli("filter", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert b"--exit-code" in done.stdout
    done = run_cli("--debug", "filter", cwd=tmp_path)
    assert done.returncode == 2


def recipe_of_the_docs(folder: Path, program: str) -> str:
    """The procmail recipe of docs/mail.md with another filter."""
    text = (ROOT / "docs" / "mail.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"\*\*procmail\*\*(?s:.*?)\n\n((?:    .*\n|\n)+)", text)
    command = "/opt/lmclassify/bin/lmclassify-filter --socket /run/user/1000/lmclassify"
    assert command in block
    start = f"SHELL=/bin/sh\nMAILDIR={folder}\nDEFAULT={folder}/inbox\nLOGFILE={folder}/log\n\n"
    return start + textwrap.dedent(block).replace(command, program)


@pytest.mark.long
@pytest.mark.parametrize(("model", "mailbox"), [("saved", "junk"), ("missing", "inbox")])
def test_under_procmail(model, mailbox, saved, tmp_path):
    """Mail is delivered by label, and into the inbox after a failure, whatever headers a sender has set."""
    procmail = shutil.which("procmail")
    if procmail is None:
        pytest.skip("needs procmail")
    folder = saved if model == "saved" else tmp_path / "missing"
    program = f"{sys.executable} -m lmclassify filter -m {folder} --unsure 0,0"
    rules = tmp_path / "rc"
    rules.write_text(recipe_of_the_docs(tmp_path, program))
    rules.chmod(0o600)  # procmail reads no recipes that others may write
    message = b"From: a@b\nSubject: Your free prize\nX-LMClassify-Label: spam\n\nFrom here\nbody\n"
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([procmail, "-m", rules], input=message, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    delivered = (tmp_path / mailbox).read_bytes()
    assert delivered.endswith(b"\n\n>From here\nbody\n\n")
    assert (b"X-LMClassify-Label: spam\nX-LMClassify-Score: " in delivered) == (model == "saved")
    if model == "missing":
        assert b"X-LMClassify" not in delivered
        assert b"Program failure (75)" in (tmp_path / "log").read_bytes()

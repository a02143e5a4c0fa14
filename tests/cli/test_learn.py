"""`lmclassify learn` as a user and a mail program run it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lmclassify
from tests.cli.helpers import one_line
from tests.conftest import PROGRAM, run_cli

SPAM = b"From: a@example.com\nSubject: Win a free prize\n\nClick now to win the prize money\n"
HAM = b"From: b@example.com\nSubject: Lunch on Friday\n\nShall we meet at noon as usual?\n"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    done = run_cli("learn", "spam", "--labels", "spam,ham", "-m", "model", cwd=tmp_path, stdin=SPAM)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().startswith("learned 1 text as 'spam'; id ")
    assert "began a model in model: it has learned nothing yet" in done.stderr.decode()
    return tmp_path / "model"


def learn(model: Path, *arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return run_cli("learn", *arguments, "-m", "model", cwd=model.parent, stdin=stdin)


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_a_filter_from_nothing(model, tmp_path):
    assert said(learn(model, "ham", stdin=HAM)).startswith("learned 1 text as 'ham'; id ")
    filtered = run_cli("filter", "-m", "model", cwd=tmp_path, stdin=SPAM)
    assert b"X-LMClassify-Label: unsure" in filtered.stdout  # it has learned too little
    for number in range(9):
        assert learn(model, "ham", stdin=HAM.replace(b"noon", b"%d" % number)).returncode == 0
        assert learn(model, "spam", stdin=SPAM.replace(b"now", b"%d" % number)).returncode == 0
    for message, label in ((SPAM, b"spam"), (HAM, b"ham")):
        filtered = run_cli("filter", "-m", "model", cwd=tmp_path, stdin=message)
        assert b"X-LMClassify-Label: " + label in filtered.stdout
    info = json.loads(run_cli("info", "model", "--format", "json", cwd=tmp_path).stdout)["lessons"]
    assert info["total"] == 20
    assert info["per_label"] == {"ham": 10, "spam": 10}
    assert not info["needs_more"]
    assert b"lessons     20 in all" in run_cli("info", "model", cwd=tmp_path).stdout
    assert said(learn(model, "spam", "--from", "ham", stdin=HAM)).startswith(
        "learned 1 text as 'spam', 1 correction"
    )


def test_one_label_after_the_other(model, tmp_path):
    """All spam first and then all ham: the spam is still known."""
    for name, number, message in (("spam", 30, SPAM), ("ham", 15, HAM)):
        boxes = (
            b"From a@example.com Thu Aug 22 12:36:23 2002\n" + message.replace(b"\n\n", b"\n\n%d " % each)
            for each in range(number)
        )
        (tmp_path / f"{name}.mbox").write_bytes(b"\n".join(boxes))
        line = said(learn(model, name, f"{name}.mbox"))
        assert line.startswith(f"learned {number} texts as '{name}'")
    for message, label in ((SPAM, b"spam"), (HAM, b"ham")):
        filtered = run_cli("filter", "-m", "model", cwd=tmp_path, stdin=message)
        assert b"X-LMClassify-Label: " + label in filtered.stdout


def test_messages_with_a_line_of_mbox_are_mail(model):
    """Mail programs pass a message with its "From " line; `learn` reads it as `filter` does."""
    line = b"From a@example.com  Thu Aug 22 12:36:23 2002\n"
    assert (
        said(learn(model, "spam", stdin=line + SPAM)) == "learned 0 texts as 'spam'; 1 text already learned"
    )
    binary = line + HAM.replace(b"noon", b"no\xf6n")
    assert said(learn(model, "ham", stdin=binary)).startswith("learned 1 text as 'ham'; id ")
    two = line + SPAM + b"\n" + line + HAM
    assert said(learn(model, "spam", stdin=two)).startswith("learned 1 text as 'spam'")


def test_the_same_message_counts_once_and_corrections_are_named(model):
    assert said(learn(model, "spam", stdin=SPAM)) == "learned 0 texts as 'spam'; 1 text already learned"
    again = SPAM.replace(b"Subject", b"Message-ID: <other@example.com>\nSubject")
    assert said(learn(model, "ham", "--from", "spam", stdin=again)).startswith("learned 1 text as 'ham'; id ")


def test_many_at_once(model, tmp_path):
    mbox = b"".join(
        b"From x Mon Jan  1 00:00:00 2024\n" + SPAM.replace(b"now", b"%d" % i) + b"\n" for i in range(5)
    )
    (tmp_path / "junk.mbox").write_bytes(mbox)
    (tmp_path / "lines.txt").write_text("see you at lunch\nthe meeting is moved\n")
    assert said(learn(model, "spam", "junk.mbox")) == "learned 5 texts as 'spam'"
    assert said(learn(model, "spam", "junk.mbox")) == "learned 0 texts as 'spam'; 5 texts already learned"
    assert said(learn(model, "ham", "lines.txt")).startswith("learned 2 texts as 'ham'")
    assert said(learn(model, "spam", "junk.mbox", "--undo")) == "took back 5 lessons of 'spam'"


def test_lessons_are_taken_back(model, tmp_path):
    before = lmclassify.load(model).predict_joint_log_proba(["lunch", "prize"]).tolist()
    identity = said(learn(model, "ham", stdin=b"a plain text about lunch")).rpartition(" ")[2]
    assert said(learn(model, "--undo-id", identity)) == f"took back lesson {identity}"
    said(learn(model, "ham", stdin=b"another text"))
    assert said(learn(model, "ham", "--undo", stdin=b"another  text\n")) == "took back 1 lesson of 'ham'"
    assert lmclassify.load(model).predict_joint_log_proba(["lunch", "prize"]).tolist() == before
    said(learn(model, "ham", stdin=HAM))
    assert said(learn(model, "--undo-since", "1h")) == "took back 2 lessons"
    assert said(learn(model, "--undo-since", "2020-01-01")) == "took back 0 lessons"


def test_compaction(model):
    said(learn(model, "ham", stdin=HAM))
    before = lmclassify.load(model).predict_joint_log_proba(["lunch", "prize"]).tolist()
    assert said(learn(model, "--compact")) == "compacted: the journal is empty, 2 lessons in all"
    assert not list(model.glob("*.journal"))
    assert lmclassify.load(model).predict_joint_log_proba(["lunch", "prize"]).tolist() == before


def test_what_is_wrong_is_said_and_teaches_nothing(model, tmp_path):
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    for arguments, stdin, status, message in (
        (["spma"], SPAM, 2, "no label 'spma' (did you mean 'spam'?)"),
        (["ham", "--from", "nothing"], SPAM, 2, "no label 'nothing'"),
        (["ham", "--from", "ham"], SPAM, 2, "cannot move from 'ham' to itself"),
        (["ham", "--undo"], SPAM, 2, "was not learned as 'ham'"),
        (["ham", "--undo", "--from", "spam"], SPAM, 2, "--undo takes no --from"),
        (["ham", "--fields", "subject"], SPAM, 2, "drop --fields"),
        ([], SPAM, 2, "name the label"),
        (["ham", "--compact"], SPAM, 2, "stand alone"),
        (["--undo-id", "xyz"], b"", 2, "is not the id of a lesson"),
        (["--undo-since", "soon"], b"", 2, "takes a time such as 30m"),
        (["ham"], b" \n", 1, "no text on standard input"),
        (["ham"], b"\xff\xfe\xfa broken", 1, "neither a message nor UTF-8"),
        (["ham", "missing.eml"], b"", 1, "missing.eml"),
    ):
        error = one_line(learn(model, *arguments, stdin=stdin), status)
        assert message in error, (arguments, error)
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    error = one_line(run_cli("learn", "ham", "-m", "none", cwd=tmp_path, stdin=HAM), 2)
    assert "no model in none" in error
    assert "--labels" in error
    begun = run_cli("learn", "ham", "--labels", "spam,ham", "-m", "none", cwd=tmp_path, stdin=b"")
    assert "no text on standard input" in one_line(begun, 1)
    assert not (tmp_path / "none").exists()


@pytest.mark.long
def test_lessons_that_were_acknowledged_survive_a_killed_process(model, tmp_path):
    code = (
        "import sys; from lmclassify.classify.online.folder import LearningFolder\n"
        "folder = LearningFolder('model')\n"
        "for number in range(100_000):\n"
        "    print(folder.learn(f'text number {number}', 'spam')['id'], flush=True)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(50)]
        process.kill()
        acknowledged += [line.strip() for line in process.stdout if len(line.strip()) == 32]
    taught = lmclassify.load(model).lessons.taught
    assert {bytes.fromhex(identity) for identity in acknowledged} <= set(taught)
    done = subprocess.run(
        [*PROGRAM, "learn", "ham", "-m", "model"], cwd=tmp_path, input=HAM, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()

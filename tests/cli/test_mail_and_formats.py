"""Where mail meets files of other kinds: compressed, piped, by wildcard, with odd names."""

from __future__ import annotations

import bz2
import os
import subprocess
import sys

import pytest

from tests.conftest import run_cli

MESSAGE = "From a@example.com Thu Jan  1 00:00:00 2026\nFrom: a@example.com\nSubject: {}\n\nhello\n\n"
MBOX = "".join(map(MESSAGE.format, ["cheap pills", "win a prize", "lunch"])).encode()


def predict(saved, cwd, *arguments):
    done = run_cli("predict", *arguments, "-m", saved, "-q", cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()[1:]


@pytest.mark.long
def test_mail_is_unpacked_as_tables_are(saved, tmp_path):
    (tmp_path / "spam.mbox.bz2").write_bytes(bz2.compress(MBOX))
    (tmp_path / "ham.mbox").write_bytes(MBOX)
    assert len(predict(saved, tmp_path, "spam.mbox.bz2")) == 3
    done = run_cli(
        *("fit", "--labels", "spam=spam.mbox.bz2", "--labels", "ham=ham.mbox"),
        *("--recipe", "plain", "--max-epochs", 1, "-o", "model"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr.decode().count("mail, text is its subject") == 2


def test_mail_from_a_pipe_and_by_wildcard(saved, tmp_path):
    (tmp_path / "all").mkdir()
    for name in ("a", "b"):
        for part in ("cur", "new"):
            (tmp_path / "all" / name / part).mkdir(parents=True)
        (tmp_path / "all" / name / "cur" / "1:2,S").write_bytes(b"Subject: hello\n\nb\n")
    assert len(predict(saved, tmp_path, "all/*")) == 2
    os.mkfifo(tmp_path / "pipe")
    command = [
        sys.executable,
        "-m",
        "lmclassify",
        "predict",
        "pipe",
        "--input-format",
        "mail",
        "-m",
        str(saved),
        "-q",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        (tmp_path / "pipe").write_bytes(MBOX)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert len(out.splitlines()) == 4


def test_a_name_that_is_no_text(saved, tmp_path):
    for part in ("cur", "new"):
        (tmp_path / "box" / part).mkdir(parents=True)
    with open(os.fsencode(tmp_path / "box" / "cur") + b"/caf\xe9:2,S", "wb") as file:
        file.write(b"Subject: hello\n\nb\n")
    (row,) = predict(saved, tmp_path, "box")
    assert row.startswith("caf\ufffd,")


@pytest.mark.long
def test_a_file_of_json_lines_for_a_label(tmp_path):
    for name in ("spam", "ham"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "one text"}\n{"text": "another"}\n')
    labels = ["--labels", "spam=spam.jsonl", "--labels", "ham=ham.jsonl"]
    done = run_cli("fit", *labels, "--recipe", "plain", "--max-epochs", 1, "-o", "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "spam.jsonl: text column 'text'" in done.stderr.decode()


def test_the_filter_needs_standard_output(saved, tmp_path):
    program = f"exec {sys.executable} -m lmclassify filter -m {saved} >&-"
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, input=MBOX, capture_output=True)
    assert done.returncode == 75
    assert b"standard input and output must be open" in done.stderr

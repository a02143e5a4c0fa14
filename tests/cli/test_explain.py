"""`lmclassify explain`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import lmclassify
from tests.cli.helpers import EMAILS, one_line
from tests.conftest import run_cli, run_cli_on_terminal


def test_explain(saved, tmp_path):
    text = "Win a <FREE> prize\x1b"
    expected = lmclassify.load(saved).explain(text)
    done = run_cli("explain", text, "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout) == expected
    done = run_cli("explain", "-", "-m", saved, stdin=b"Win a <FREE> prize\x1b", cwd=tmp_path)
    table = done.stdout.decode()
    assert "\x1b" not in table  # no colour but on a terminal, and none from the text
    lines = table.splitlines()
    assert lines[0].startswith(f"{expected['label']} (")
    assert [line.split()[0] for line in lines[3:10]] == [
        "Win", "a", "<FREE>", "prize\\x1b", "(end", "(prior)", "sum"
    ]  # fmt: skip
    assert float(lines[3].split()[1]) == pytest.approx(expected["words"][0]["contribution"], abs=5e-3)
    assert float(lines[9].split()[1]) == pytest.approx(expected["decision"], abs=5e-3)
    assert "LSTM" not in table
    assert f"positive ones speak for {expected['label']}" in " ".join(lines)
    other = expected["against"]
    done = run_cli("explain", "Win", "-m", saved, "--label", other, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["label"] == other


def test_explain_as_html_escapes_the_text(saved, tmp_path):
    done = run_cli("explain", "Win <b> \"'&", "-m", saved, "--format", "html", cwd=tmp_path)
    snippet = done.stdout.decode()
    assert "&lt;b&gt;" in snippet
    assert "<b>" not in snippet
    root = ElementTree.fromstring(snippet)
    spans = [span.text for span in root.iter("span") if span.get("title")]
    assert spans == ["Win", "<b>", "\"'&", "⏎"]


@pytest.mark.parametrize("variable", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_are_for_terminals_that_want_them(saved, tmp_path, monkeypatch, variable):
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    for arguments in (["Win a prize\x1b[31m"], ["--texts", EMAILS, "-n", 2]):
        status, shown = run_cli_on_terminal("explain", *arguments, "-m", saved, cwd=tmp_path)
        assert status == 0
        assert ("\x1b[38;5;" in shown) == (not variable)
        assert "\x1b[31m" not in shown


def test_log_probabilities_are_shown_on_request(saved, tmp_path):
    done = run_cli("explain", "Win a prize", "-m", saved, "--log-probabilities", cwd=tmp_path)
    lines = done.stdout.decode().splitlines()
    expected = lmclassify.load(saved).explain("Win a prize")
    assert f"LSTM of {expected['label']}  LSTM of {expected['against']}" in lines[2]
    nats = [expected["words"][0]["log_probability"][expected[key]] for key in ("label", "against")]
    assert [float(cell) for cell in lines[3].split()[2:4]] == pytest.approx(nats, abs=5e-3)


def test_n_is_the_number_of_words_shown(saved, tmp_path):
    text = " ".join(f"win{number}" for number in range(40))
    assert b"(10 more words)" in run_cli("explain", text, "-m", saved, cwd=tmp_path).stdout
    assert b"(38 more words)" in run_cli("explain", text, "-m", saved, "-n", 2, cwd=tmp_path).stdout
    assert b"more words" not in run_cli("explain", text, "-m", saved, "-n", 40, cwd=tmp_path).stdout


MESSAGE = b"From: a@example.com\nSubject: =?utf-8?q?Win_a_pr=C3=ADze?=\nDate: x\n\nlunch on Friday\n"


@pytest.mark.parametrize("name", ["message.eml", "1700000000.M1P2.host"])
def test_explain_a_message(saved, tmp_path, name):
    (tmp_path / name).write_bytes(MESSAGE)
    done = run_cli("explain", name, "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout) == lmclassify.load(saved).explain("Win a príze")
    assert done.stderr.decode() == f"{name}: subject of the message\n"
    done = run_cli("explain", name, "-m", saved, "--fields", "body", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["text"] == "lunch on Friday"


def test_files_that_hold_not_one_message(saved, tmp_path):
    (tmp_path / "two.mbox").write_bytes(
        2 * (b"From a@example.com Mon Jan  1 00:00:00 2026\n" + MESSAGE + b"\n")
    )
    assert "two.mbox: 2 messages, but explain takes one; --texts" in one_line(
        run_cli("explain", "two.mbox", "-m", saved, cwd=tmp_path)
    )
    (tmp_path / "empty.eml").write_bytes(b"From: a@example.com\nDate: x\n\nlunch\n")
    assert "empty.eml: the message has no text to explain; the model reads its subject" in one_line(
        run_cli("explain", "empty.eml", "-m", saved, cwd=tmp_path)
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "table.csv",
            "note: the name 'table.csv' is explained as a text; of the file with this name, --texts",
        ),
        ("see table.csv", ""),
        ("win\0", ""),
    ],
)
def test_a_text_that_looks_like_a_file_name_gets_a_hint(saved, tmp_path, text, hint):
    (tmp_path / "table.csv").write_text("text\nwin\n")
    done = run_cli("explain", text, "-m", saved, "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["text"] == text
    assert done.stderr.decode().startswith(hint)
    assert bool(done.stderr) == bool(hint)


def test_a_missing_file_is_not_explained(saved, tmp_path):
    done = run_cli("explain", "message.eml", "-m", saved, cwd=tmp_path)
    assert "no such file: 'message.eml'; if this is a text, pass it on standard input" in one_line(done)


def test_the_strongest_words_of_a_message_come_first(saved, tmp_path):
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    done = run_cli("explain", "message.eml", "-m", saved, "--fields", "body,subject", cwd=tmp_path)
    nats = [abs(float(line.split()[1])) for line in done.stdout.decode().splitlines()[3:8]]
    assert nats == sorted(nats, reverse=True)


def test_explain_with_a_narrow_encoding(saved, tmp_path):
    command = [sys.executable, "-m", "lmclassify", "explain", "win 中", "-m", str(saved)]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
    assert b"#" in done.stdout
    assert b"\\u4e2d" in done.stdout
    done = run_cli("explain", "-", "-m", saved, stdin=b"win \xff", cwd=tmp_path)
    assert "byte 4 is not valid UTF-8" in one_line(done)


def test_explain_a_file_of_texts(saved, tmp_path):
    done = run_cli("explain", "--texts", EMAILS, "-n", 2, "-m", saved, "--format", "json", cwd=tmp_path)
    words = json.loads(done.stdout)["words"]
    assert {label: len(found) for label, found in words.items()} == {"ham": 2, "spam": 2}
    done = run_cli("explain", "--texts", EMAILS, "-n", 2, "-m", saved, cwd=tmp_path)
    lines = done.stdout.decode().splitlines()
    assert [lines[0], *lines[1].split()] == ["Words for ham", "word", "times", "contribution", "total"]
    assert lines[2].split()[0] == words["ham"][0]["word"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "explain needs a TEXT"),
        (["a", "--texts", "x.csv"], "explain needs a TEXT"),
        (["--texts", "x.csv", "--format", "html"], "are for one TEXT"),
        (["--texts", "x.csv", "--log-probabilities"], "are for one TEXT"),
        (["a", "--log-probabilities", "--format", "html"], "--format json always has them"),
        (["a", "--label", "eggs"], "no label 'eggs'"),
        (["a", "--label", "ham", "--against", "ham"], "cannot be compared with itself"),
    ],
)
def test_explain_misuse(saved, tmp_path, arguments, message):
    assert message in one_line(run_cli("explain", *arguments, "-m", saved, cwd=tmp_path), status=2)

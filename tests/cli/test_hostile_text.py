"""Text, labels and names made to do harm, through the commands."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks.resource_usage import measure_lmclassify
from lmclassify import LMClassifier
from lmclassify.cli.main import main
from tests.conftest import SMALL

EVIL = "\x1b]0;owned\x07\x9b31m\u202eevil\u2066\x08 😀 =cmd"
SPAM, HAM = "s\x1b]0;pam", "h\u202eam\x9b"
STEERING = {"\x07", "\x08", "\x9b", "\u202e", "\u2066"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Data and a model that hold such text, labels and names."""
    path = tmp_path_factory.mktemp("hostile")
    texts = [f"{EVIL} {number}" for number in range(12)]
    LMClassifier(**{**SMALL, "max_epochs": 1}).fit(texts, [SPAM, HAM] * 6).save(path / "model")
    rows = [
        {"text": text, "label": label, EVIL: "x"} for text, label in zip(texts, [SPAM, HAM] * 6, strict=True)
    ]
    with open(path / "data.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (path / "data.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    (path / "mail.eml").write_text(f"Subject: {EVIL}\n\n{EVIL}\n", encoding="utf-8")
    return path


def on_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Run the program within this process on a terminal; return its status and all that it shows."""
    ours, its = pty.openpty()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, open(its, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while True:
                shown.append(os.read(ours, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        status = run_here(monkeypatch, *arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.close(its)
        reader.join(10)
        monkeypatch.undo()
        os.close(ours)
    return status, b"".join(shown).decode()


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the program within this process; return its status."""
    monkeypatch.setattr(sys, "argv", ["lmclassify", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as left:
            main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    sys.stdout.flush()
    return int(left.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["predict", "data.csv"], 0),
        (["predict", "data.csv", "--format", "tsv"], 0),
        (["predict", "data.csv", "--format", "table"], 0),
        (["predict", "data.jsonl", "--format", "jsonl"], 0),
        (["predict", "data.csv", "-o", "/dev/stdout"], 0),
        (["predict", "data.txt", "--format", "parquet"], 1),
        (["predict", "mail.eml"], 0),
        (["predict", "data.csv", "--text-column", EVIL + "!"], 1),
        (["predict", "data.csv", "--debug", "--text-column", EVIL + "!"], 1),
        (["predict", EVIL], 1),
        (["evaluate", "data.csv"], 0),
        (["explain", EVIL], 0),
        (["explain", EVIL, "--format", "html"], 0),
        (["explain", EVIL, "--format", "json"], 0),
        (["explain", "--texts", "data.csv"], 0),
        (["explain", EVIL, "--label", EVIL], 2),
        (["suggest", EVIL], 0),
        (["generate", "--label", SPAM, "--prefix", EVIL], 0),
        (["info"], 0),
        (["info", "model", EVIL], 2),
        (["remove-label", EVIL], 2),
        ([f"--{EVIL}"], 2),
        (["benchmark", "data.csv", "--methods", EVIL], 2),
    ],
)
def test_nothing_steers_a_terminal(folder, monkeypatch, arguments, status):
    monkeypatch.chdir(folder)
    model = [] if arguments[0] in ("info", "benchmark") or arguments[0][0] == "-" else ["-m", "model"]
    model = ["-m", "model"] if arguments == ["info"] else model
    found, shown = on_terminal(monkeypatch, *arguments, *model)
    assert found == status, shown
    assert shown
    assert not STEERING & set(shown)
    assert "\x1b]" not in shown  # bars and colours are of ESC [


def test_a_message_on_a_terminal(folder):
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "lmclassify", "filter", "-m", "model"]
    with open(folder / "mail.eml", "rb") as message:
        status = subprocess.run(
            command, cwd=folder, stdin=message, stdout=its, stderr=its, check=False
        ).returncode
    os.close(its)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert status == 0
    assert "\\x1b]0;owned\\x07\\x9b31m\\u202eevil" in shown
    assert not (STEERING | {"\x1b"}) & set(shown)


def test_files_keep_every_character(folder, tmp_path, monkeypatch):
    for name in ("data.csv", "data.jsonl"):
        output = tmp_path / name
        arguments = ["predict", str(folder / name), "-m", str(folder / "model"), "-q", "-o", str(output)]
        assert on_terminal(monkeypatch, *arguments) == (0, "")
        read = output.read_text(encoding="utf-8").split("\n")[:-1]
        rows = list(csv.DictReader(read)) if name == "data.csv" else [json.loads(line) for line in read]
        assert [row["text"] for row in rows] == [f"{EVIL} {number}" for number in range(12)]
        assert {row["label"] for row in rows} == {SPAM, HAM}
        assert {row[EVIL] for row in rows} == {"x"}
        assert {"p_" + SPAM, "p_" + HAM} < rows[0].keys()


@pytest.mark.parametrize(
    ("format", "expected"),
    [("text", b"\\U0001f600"), ("html", b"&#128512;"), ("json", b"\\ud83d\\ude00")],
)
def test_output_that_knows_few_characters(folder, monkeypatch, format, expected):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    arguments = ["explain", "😀 né", "-m", str(folder / "model"), "--format", format]
    assert run_here(monkeypatch, *arguments) == 0
    assert expected in written.getvalue()


def test_formulas(folder, tmp_path, monkeypatch):
    (tmp_path / "f.csv").write_text("text,=x\n=1+1,-3.5\nhello,@x\n", encoding="utf-8")
    output = tmp_path / "o.csv"
    model = ["-m", str(folder / "model")]
    assert (
        on_terminal(
            monkeypatch, "predict", str(tmp_path / "f.csv"), "-o", str(output), "--escape-formulas", *model
        )[0]
        == 0
    )
    rows = list(csv.reader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert [row[:2] for row in rows] == [["text", "'=x"], ["'=1+1", "-3.5"], ["hello", "'@x"]]
    status, shown = on_terminal(
        monkeypatch, "predict", str(tmp_path / "f.csv"), "--format", "jsonl", "--escape-formulas", *model
    )
    assert status == 2
    assert "--escape-formulas is for csv and tsv" in shown


@pytest.mark.parametrize(
    "line", ['{"text": "\\ud800"}', '{"text": "a", "\\udfff": 1}', '{"text": "a", "b": {"\\ud800": 1}}']
)
def test_half_a_surrogate_pair_in_a_file_names_its_row(folder, tmp_path, monkeypatch, line):
    (tmp_path / "d.jsonl").write_text('{"text": "good"}\n' * 2 + line + "\n", encoding="utf-8")
    status, shown = on_terminal(
        monkeypatch, "predict", str(tmp_path / "d.jsonl"), "-m", str(folder / "model")
    )
    assert status == 1
    assert "row 3: " in shown or "row 1: " in shown
    assert "holds half of a surrogate pair" in shown


@pytest.mark.long
def test_a_cell_of_a_megabyte_takes_little_memory(tuned, tmp_path):
    tuned.save(tmp_path / "model")
    costs = []
    for megabytes in (0.25, 1):
        data = tmp_path / f"{megabytes}.csv"
        data.write_text(f'text\n"{"x" * int(megabytes * 1_000_000)}"\n', encoding="utf-8")
        costs.append(
            measure_lmclassify(
                "predict", data, "-m", tmp_path / "model", "-o", tmp_path / "o.csv", "-q", "--threads", 1
            )
        )
    assert costs[1].megabytes - costs[0].megabytes < 200
    assert costs[1].seconds < 12 * costs[0].seconds  # 16 times in quadratic time

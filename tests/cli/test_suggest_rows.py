"""`lmclassify suggest-rows`."""

from __future__ import annotations

import json

import pytest

from lmclassify.annotation.learner import choose_round
from tests.cli.helpers import one_line, rows_of
from tests.conftest import run_cli

TEXTS = [f"{kind} {number}" for number in range(20) for kind in ("win a free prize", "lunch on Friday")]


@pytest.fixture
def pool(tmp_path):
    lines = [f"{text},{('spam', 'ham')[row % 2] if row < 16 else ''}\n" for row, text in enumerate(TEXTS)]
    (tmp_path / "pool.csv").write_text("text,label\n" + "".join(lines))
    return tmp_path


def test_rows_without_label_are_chosen_as_by_the_page(pool):
    done = run_cli("suggest-rows", "pool.csv", "-n", "5", "-o", "next.csv", "--seed", "3", cwd=pool)
    assert done.returncode == 0, done.stderr.decode()
    rows = rows_of((pool / "next.csv").read_bytes())
    assert list(rows[0]) == ["row", "why", "predicted_label", "probability", "text"]
    labels = {row: ("spam", "ham")[row % 2] for row in range(16)}
    expected = choose_round(TEXTS, labels, (), 3, 5).items
    assert [(int(row["row"]) - 1, row["why"]) for row in rows] == [
        (item.index, item.why) for item in expected
    ]
    assert [row["text"] for row in rows] == [TEXTS[item.index] for item in expected]
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["row", "why", "prediction", "text"]
    assert [line.split()[0] for line in lines[1:]] == [row["row"] for row in rows]
    assert all(line.endswith(row["text"]) for line, row in zip(lines[1:], rows, strict=True))


def test_without_labels(pool):
    (pool / "other.csv").write_text("text\n" + "".join(f"the train is late {n}\n" for n in range(5)))
    (pool / "texts.csv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    done = run_cli("suggest-rows", "texts.csv", "other.csv", "-n", "4", "-o", "-", cwd=pool)
    assert done.returncode == 0, done.stderr.decode()
    rows = rows_of(done.stdout)
    assert list(rows[0]) == ["row", "file", "why", "text"]
    assert len(rows) == 4
    assert {row["why"] for row in rows} <= {"diverse", "random"}
    assert "has no label column: rows are chosen that differ" in done.stderr.decode()
    done = run_cli("suggest-rows", "texts.csv", "-n", "4", "-o", "next.jsonl", cwd=pool)
    assert isinstance(json.loads((pool / "next.jsonl").read_text().splitlines()[0])["row"], int)


def test_nothing_to_choose(pool):
    (pool / "done.csv").write_text("text,label\nwin,spam\nlunch,ham\n,\n")
    done = run_cli("suggest-rows", "done.csv", "-o", "next.csv", cwd=pool)
    assert "done.csv: every row has a label, or no text" in one_line(done)
    assert not (pool / "next.csv").exists()
    done = run_cli("suggest-rows", "pool.csv", "-n", "0", cwd=pool)
    assert done.returncode == 2
    assert b"greater than or equal to 1" in done.stderr

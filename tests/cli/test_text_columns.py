"""Texts that several columns make: `--text-column title,body`."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from tests.cli.helpers import one_line
from tests.conftest import run_cli

TITLES = {"spam": ["Free prize", "Win money now", "Cheap pills"], "ham": ["Lunch?", "Minutes", "Your order"]}
BODIES = {
    "spam": ["Click here,\nand claim your cash.", "You have won a prize", "Offer ends today"],
    "ham": ["See you at noon.", "The meeting\nis on Friday", "It was shipped this morning"],
}


def rows(count: int) -> list[list[str]]:
    """Return rows of title, label and body; some titles are missing."""
    draw = random.Random(count)
    found = []
    for number in range(count):
        label = ("spam", "ham")[number % 2]
        title = "" if number % 10 == 9 else f"{draw.choice(TITLES[label])} {number}"
        found.append([title, label, draw.choice(BODIES[label])])
    return found


def write(path: Path, header: list[str] | None, table: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*([header] if header else []), *table])


def text(row: list[str]) -> str:
    return f"{row[0]}\n{' '.join(row[2].split())}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("columns")
    write(folder / "mail.csv", ["title", "label", "body"], rows(80))
    write(
        folder / "new.csv",
        ["body", "id", "title"],
        [[row[2], str(n), row[0]] for n, row in enumerate(rows(20))],
    )
    done = run_cli(
        "fit", "mail.csv", "--text-column", "title, body", "--recipe", "ngram", "-o", "model", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert b"mail.csv: text columns 'title', 'body', label column 'label'" in done.stderr
    return folder


def test_predict_reads_the_columns_of_the_model(folder):
    done = run_cli("predict", "new.csv", "-m", "model", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    model = lmclassify.load(folder / "model")
    texts = [text(row) for row in rows(20)]
    assert [row["predicted_label"] for row in found] == model.predict(texts).tolist()
    spam = model.label_names.index("spam")
    assert np.allclose(
        [float(row["p_spam"]) for row in found], model.predict_proba(texts)[:, spam], atol=1e-8
    )
    assert list(found[0]) == ["body", "id", "title", "predicted_label", "p_ham", "p_spam"]


def test_explanations_say_which_column(folder):
    done = run_cli("explain", "Free prize\nSee you at noon", "-m", "model", "--format", "json", cwd=folder)
    explanation = json.loads(done.stdout)
    assert [(word["word"], word["field"]) for word in explanation["words"]] == [
        ("Free", "title"),
        ("prize", "title"),
        *((word, "body") for word in ("See", "you", "at", "noon")),
    ]
    parts = [*explanation["words"], explanation["prior"], explanation["end_of_text"]]
    assert sum(part["contribution"] for part in parts) == pytest.approx(explanation["decision"], abs=1e-5)
    shown = run_cli("explain", "Free prize\nSee you at noon", "-m", "model", cwd=folder).stdout.decode()
    assert "title" in shown.splitlines()[3]
    assert re.search(r": title [-+][\d.]+, body [-+][\d.]+, end of text ", " ".join(shown.split()))
    html = run_cli("explain", "Free\nprize", "-m", "model", "--format", "html", cwd=folder).stdout
    assert html.count(b'title="title: ') == html.count(b'title="body: ') == 1
    whole = run_cli("explain", "Free prize", "-m", "model", "--format", "json", cwd=folder)
    assert all("field" not in word for word in json.loads(whole.stdout)["words"])


def test_other_commands_read_the_same_columns(folder):
    for command in (["evaluate", "mail.csv"], ["update", "mail.csv", "-o", "updated"]):
        done = run_cli(*command, "-m", "model", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert b"text columns 'title', 'body'" in done.stderr
    assert lmclassify.load(folder / "updated").reading.text_columns == ("title", "body")
    done = run_cli("learn", "spam", "new.csv", "-m", "updated", cwd=folder)
    assert (done.returncode, b"text columns 'title', 'body'" in done.stderr) == (0, True)
    assert (
        lmclassify.load(folder / "updated").predict([text(row) for row in rows(20)]).tolist() == ["spam"] * 20
    )
    done = run_cli("explain", "--texts", "new.csv", "-m", "model", cwd=folder)
    assert (done.returncode, b"text columns 'title', 'body'" in done.stderr) == (0, True)
    done = run_cli("suggest-rows", "new.csv", "-n", 2, "--text-column", "title,body", cwd=folder)
    assert (done.returncode, b"text columns 'title', 'body'" in done.stderr) == (0, True)
    done = run_cli("check", "mail.csv", "--text-column", "title,body", cwd=folder)
    assert b"text columns 'title', 'body'" in done.stderr
    assert b"reads       text columns 'title', 'body'" in run_cli("info", "model", cwd=folder).stdout


def test_rows_are_skipped_if_all_columns_are_blank(folder, tmp_path):
    write(tmp_path / "new.csv", ["title", "body"], [["", " "], ["", "Offer"], ["Lunch", ""]])
    done = run_cli("predict", "new.csv", "-m", folder / "model", cwd=tmp_path)
    assert [line.split(",")[2] != "" for line in done.stdout.decode().splitlines()[1:]] == [False, True, True]


def test_other_formats(folder, tmp_path):
    model = str(folder / "model")
    expected = run_cli(
        "predict", "new.csv", "-m", "model", "--format", "jsonl", cwd=folder
    ).stdout.splitlines()
    labels = [json.loads(line)["predicted_label"] for line in expected]
    write(tmp_path / "bare.csv", None, [[row[2], "x", row[0]] for row in rows(20)])
    given = [{"mail": {"head": row[0], "text": row[2]}} for row in rows(20)]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
    for arguments in (
        ["bare.csv", "--no-header", "--text-column", "3,1"],
        ["new.jsonl", "--text-column", "mail.head,mail.text"],
    ):
        done = run_cli("predict", *arguments, "-m", model, "--format", "jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["predicted_label"] for line in done.stdout.splitlines()] == labels


def test_a_name_with_a_comma_is_one_column(tmp_path):
    write(tmp_path / "t.csv", ["title,body", "label"], [[text(row), row[1]] for row in rows(40)])
    done = run_cli(
        "fit", "t.csv", "--text-column", "title,body", "--recipe", "ngram", "-o", "m", cwd=tmp_path
    )
    assert b"text column 'title,body', label column" in done.stderr
    assert lmclassify.load(tmp_path / "m").reading.text_columns == ("title,body",)


def test_columns_that_do_not_fit(folder, tmp_path):
    write(tmp_path / "new.csv", ["title", "x"], [["Free", "y"]])
    for arguments, said in {
        ("predict", "new.csv", "-m", folder / "model"): (
            "new.csv has no column 'body', but the model's texts are made of title, body; name its columns "
            "with --text-column"
        ),
        ("predict", folder / "new.csv", "-m", folder / "model", "--text-column", "title"): (
            "--text-column title: the model was trained on columns 'title', 'body', which"
        ),
        ("fit", folder / "mail.csv", "--text-column", "title,title"): "'title' is named twice as text column",
        (
            "fit",
            folder / "mail.csv",
            "--text-column",
            "title,label",
        ): "'label' is used for both text and label",
        ("fit", folder / "mail.csv", "--text-column", "title,bdy"): "no column 'bdy' (did you mean 'body'?)",
    }.items():
        done = run_cli(*arguments, cwd=tmp_path)
        assert said in one_line(done, 2 if said.startswith("--text-column") else 1)


def test_fit_names_further_columns_of_texts(folder, tmp_path):
    table = [[label, title or "no title", body, f"note {body}"] for title, label, body in rows(60)]
    write(tmp_path / "t.csv", ["label", "title", "body", "seen by"], table)
    said = b"note: t.csv: column 'title' holds texts, too; --text-column title,body reads all together"
    fit = ("fit", "t.csv", "--recipe", "ngram", "-o", "m", "--force")
    done = run_cli(*fit, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(said) == 1
    for option in ("body", "body,title"):
        assert b"holds texts" not in run_cli(*fit, "--text-column", option, cwd=tmp_path).stderr

"""fastText's format in all commands that read texts, and labels that are left in the texts."""

from __future__ import annotations

import bz2
import csv
import json

import pytest

from lmclassify import DataError
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import note_first_words, read_files, read_unlabelled
from lmclassify.tables.fasttext import FastTextReader
from tests.conftest import run_cli

SPAM = ["win a free cruise now", "claim your cash prize", "cheap watches half price", "urgent reply to win"]
HAM = ["see you at the station", "lunch at noon tomorrow", "running late sorry", "dinner in the oven"]


@pytest.fixture
def mixed(tmp_path):
    lines = [f"__label__spam {spam}\n__label__ham {ham}\n" for spam, ham in zip(SPAM, HAM, strict=True)]
    (tmp_path / "ft.txt").write_text("".join(lines))
    return str(tmp_path / "ft.txt")


@pytest.fixture
def separate(tmp_path):
    for label, texts in {"spam": SPAM, "ham": HAM}.items():
        (tmp_path / f"{label}.txt").write_text("".join(f"__label__{label} {text}\n" for text in texts))
    return {label: str(tmp_path / f"{label}.txt") for label in ("spam", "ham")}


def test_labels_and_texts(mixed):
    said: list[str] = []
    read = read_tables([mixed], say=said.append)
    assert read.texts == [text for pair in zip(SPAM, HAM, strict=True) for text in pair]
    assert read.labels == ["spam", "ham"] * 4
    assert said == [f"{mixed}: text column 'text', label column 'label'; fastText's format"]


@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.tsv", "t.train", "t", "t.ft.txt.bz2"])
@pytest.mark.parametrize(
    "content",
    ["__label__2 a, b: c\n\n__label__1\td\n__label__1\n", "\ufeffa, b: c __label__2\r\nd __label__1\r\n"],
)
def test_it_is_recognised_whatever_the_ending(tmp_path, name, content):
    data = content.encode()
    (tmp_path / name).write_bytes(bz2.compress(data) if name.endswith("bz2") else data)
    read = read_tables([str(tmp_path / name)], say=lambda line: None)
    assert (read.texts, read.labels) == (["a, b: c", "d"], ["2", "1"])


def test_several_labels_are_an_error_only_if_labels_are_used(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("__label__sauce __label__cheese How much?\n__label__food Which one __label__food\nnone\n")
    with pytest.raises(DataError, match=r"t\.txt, row 1: 2 labels \(sauce, cheese\); a text has one label"):
        read_tables([str(path)], say=lambda line: None)
    said: list[str] = []
    assert read_unlabelled([str(path)], say=said.append) == ["How much?", "Which one", "none"]
    assert (
        said[-1]
        == f"note: {path}: the labels of the texts (__label__sauce, __label__food) are not read as text"
    )


def test_a_file_for_each_label(separate, mixed):
    said: list[str] = []
    read = read_files(separate, say=said.append)
    assert (read.texts, read.labels) == ([*SPAM, *HAM], ["spam"] * 4 + ["ham"] * 4)
    assert said[1] == (
        f"note: {separate['spam']}: every text begins with __label__spam, which is read as a label, not as text"
    )
    with pytest.raises(
        DataError, match=r"several labels \(__label__spam, __label__ham\), but all are given to label"
    ):
        read_files({"spam": mixed}, say=lambda line: None)


def test_a_csv_file_with_such_labels_stays_one(tmp_path):
    (tmp_path / "t.csv").write_text("label,text\n__label__a,b c\n__label__d,e f\n")
    assert read_tables([str(tmp_path / "t.csv")], say=lambda line: None).labels == [
        "__label__a",
        "__label__d",
    ]


def test_invalid_bytes_are_named(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"__label__a b\n__label__a \xe9\n")
    with (
        pytest.raises(DataError, match=r"t\.txt, line 2: byte 24 \(0xe9\)"),
        open_rows(str(tmp_path / "t.txt")) as table,
    ):
        list(table.chunks())
    (tmp_path / "t.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"t\.txt is empty; expected one text per line with its __label__"):
        open_rows(str(tmp_path / "t.txt"), format="fasttext")


def test_texts_of_a_label_that_begin_with_the_same_word_are_reported():
    said: list[str] = []
    texts = LabelledTexts(["[list] a", "[list] b", "[list] c", "d", "d", "d"], ["x"] * 3 + ["y"] * 3)
    note_first_words(texts, said.append)
    assert said == [
        "note: all texts of a label begin with the same word (those of 'x' with '[list]'); remove it if it is no part "
        "of the text, because the model learns it"
    ]
    texts.texts[0] = "a"
    note_first_words(texts, said.append)
    assert len(said) == 1


def test_a_first_line_without_label(tmp_path):
    (tmp_path / "a.txt").write_text(
        "a text without label\n" + "__label__ham see you\n__label__spam win now\n" * 3
    )
    with open_rows(str(tmp_path / "a.txt")) as reader:
        assert isinstance(reader, FastTextReader)
        assert [row for chunk in reader.chunks() for row in chunk.cells][:2] == [
            ["", "a text without label"],
            ["ham", "see you"],
        ]


def test_predict_labels_lines_with_several_labels_and_says_so(golden_tuned, tmp_path):
    golden_tuned.save(tmp_path / "model")
    lines = ["__label__spam win a prize", "__label__spam __label__ham see you", "__label__ham lunch at noon"]
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    done = run_cli("predict", "a.txt", "-m", "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(done.stdout.decode().splitlines()))
    assert [row[0] for row in rows] == ["label", "spam", "spam ham", "ham"]
    assert all(row[2] in ("spam", "ham") for row in rows[1:])
    note = "note: rows with several labels, or an object as label, are not in the report: {}\n"
    assert note.format(1) in done.stderr.decode()
    lists = [{"text": "a b", "label": label} for label in (["spam"], ["spam", "ham"], {"a": 1}, [], "ham")]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lists)))
    done = run_cli("predict", "a.jsonl", "-m", "model", cwd=tmp_path)
    assert len(done.stdout.splitlines()) == 6
    assert note.format(2) in done.stderr.decode()

"""Finding the text and label columns."""

from __future__ import annotations

import pytest

from lmclassify import DataError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables.columns import (
    TEXT_COLUMNS,
    describe_columns,
    find_column,
    find_label_column,
    label_column,
    text_columns,
)
from lmclassify.tables.rows import ClosingReader


class Header(ClosingReader):
    """The columns of a table without rows."""

    name = "t"

    def __init__(self, columns: list[str]) -> None:
        self.columns = columns


def test_columns_are_found():
    assert find_column(["id", "Subject ", "TEXT"], None, TEXT_COLUMNS, "t") == 2
    assert find_column(["id", "Subject "], None, TEXT_COLUMNS, "t") == 1
    assert find_column(["id"], None, TEXT_COLUMNS, "t") is None
    assert find_column(["id", "x"], "x", TEXT_COLUMNS, "t") == 1
    with pytest.raises(DataError, match="2 columns named 'text'"):
        find_column(["text", "Text"], None, TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match=r"t has no column 'X' \(did you mean 'x'\?\); its columns: id, x"):
        find_column(["id", "x"], "X", TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match="2 columns named 'x'"):
        find_column(["x", "x"], "x", TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match=r"no text column: none of its columns \(id, x\).*--text-column"):
        text_columns(Header(["id", "x"]), None)
    with pytest.raises(DataError, match="t looks tab-separated.*--input-format tsv"):
        text_columns(Header(["id\tx"]), None)


def test_one_column_cannot_be_text_and_label():
    assert describe_columns("t", ["a", "b"], [0], 1, ["note"]) == "t: text column 'a', label column 'b'; note"
    with pytest.raises(DataError, match="'a' is used for both text and label"):
        describe_columns("t", ["a"], [0], 0)


LABEL_STUDIO = (
    "annotation_id,annotator,created_at,id,lead_time,choice,words,updated_at\n"
    + "".join(
        f"{i},1,2026-01-0{i}T10:00:00Z,{i},{i}.5,{('spam', 'ham')[i % 2]},the text of mail {i},2026-01-0{i}T10:01:00Z\n"
        for i in range(1, 9)
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "text", "label"),
    [
        (LABEL_STUDIO, 6, 5),
        ("nr,what,words\n" + "".join(f"{i},{'ab'[i % 2]},some words {i}\n" for i in range(6)), 2, 1),
        (LABEL_STUDIO.replace(",1,", ",{},"), 6, 5),
    ],
)
def test_the_only_column_of_labels_among_several(tmp_path, content, text, label):
    (tmp_path / "t.csv").write_text(content)
    with open_rows(str(tmp_path / "t.csv")) as table:
        assert (text_columns(table, None), label_column(table, None)) == ((text,), label)
        assert find_label_column(table, None) is None  # where no label is needed, none is guessed


def test_two_columns_that_could_be_labels_are_an_error_that_names_them(tmp_path):
    rows = "".join(f"{i},{'ab'[i % 2]},{'xyz'[i % 3]},some words {i}\n" for i in range(9))
    (tmp_path / "t.csv").write_text("nr,what,who,words\n" + rows)
    expected = pytest.raises(DataError, match=r"no label column.*--label-column \(such as 'what', 'who'\)")
    with open_rows(str(tmp_path / "t.csv")) as table, expected:
        label_column(table, None)

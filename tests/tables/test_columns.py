"""Finding the text and label columns."""

from __future__ import annotations

import pytest

from lmclassify import DataError
from lmclassify.tables.columns import TEXT_COLUMNS, describe_columns, find_column, text_column
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
        text_column(Header(["id", "x"]), None)
    with pytest.raises(DataError, match="t looks tab-separated.*--input-format tsv"):
        text_column(Header(["id\tx"]), None)


def test_one_column_cannot_be_text_and_label():
    assert describe_columns("t", ["a", "b"], 0, 1, ["note"]) == "t: text column 'a', label column 'b'; note"
    with pytest.raises(DataError, match="'a' is used for both text and label"):
        describe_columns("t", ["a"], 0, 0)

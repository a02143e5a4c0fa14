"""Finding the text and label columns."""

from __future__ import annotations

import pytest

from lmclassify import DataError
from lmclassify.tables.columns import TEXT_COLUMNS, describe_columns, find_column, require_column


def test_columns_are_found():
    assert find_column(["id", "Subject ", "TEXT"], None, TEXT_COLUMNS, "t") == 2
    assert find_column(["id", "Subject "], None, TEXT_COLUMNS, "t") == 1
    assert find_column(["id"], None, TEXT_COLUMNS, "t") is None
    assert find_column(["id", "x"], "x", TEXT_COLUMNS, "t") == 1
    with pytest.raises(DataError, match="2 columns named 'text'"):
        find_column(["text", "Text"], None, TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match="t has no column 'X'; its columns: id, x"):
        find_column(["id", "x"], "X", TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match="2 columns named 'x'"):
        find_column(["x", "x"], "x", TEXT_COLUMNS, "t")
    with pytest.raises(DataError, match=r"no text column: none of its columns \(id, x\).*--text-column"):
        require_column(["id", "x"], None, TEXT_COLUMNS, "text", "t")
    with pytest.raises(DataError, match="t looks tab-separated.*--input-format tsv"):
        require_column(["id\tx"], None, TEXT_COLUMNS, "text", "t")


def test_one_column_cannot_be_text_and_label():
    assert describe_columns("t", ["a", "b"], 0, 1, ["note"]) == "t: text column 'a', label column 'b'; note"
    with pytest.raises(DataError, match="'a' is used for both text and label"):
        describe_columns("t", ["a"], 0, 0)

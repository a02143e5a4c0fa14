"""Plain text, one text per line."""

from __future__ import annotations

import pytest

from lmclassify import DataError
from lmclassify.tables.plain_text import PlainTextReader


def read(path, content: bytes) -> list[str]:
    path.write_bytes(content)
    with PlainTextReader(str(path)) as reader:
        return [row[0] for chunk in reader.chunks(2) for row in chunk.cells]


def test_every_line_is_a_row(tmp_path):
    content = "\ufeffone\r\n\n two \n\u2028three".encode()
    assert read(tmp_path / "t.txt", content) == ["one", "", " two ", "\u2028three"]


def test_invalid_bytes_are_named_by_line_and_byte(tmp_path):
    with pytest.raises(DataError, match=r"lines.txt, line 2: byte 3 \(0x80\)"):
        read(tmp_path / "lines.txt", b"ab\n\x80\n")


def test_the_only_column_is_not_the_label(tmp_path):
    (tmp_path / "t.txt").write_text("a\n")
    with PlainTextReader(str(tmp_path / "t.txt")) as reader:
        assert reader.describe([0], None) == f"{tmp_path}/t.txt: one text per line"
        with pytest.raises(DataError, match="both text and label"):
            reader.describe([0], 0)

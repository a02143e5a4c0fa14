"""Folders in which each file is one text."""

from __future__ import annotations

import gzip

import pytest

from lmclassify.datasets.labelled import read_tables
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import read_files, read_unlabelled
from lmclassify.errors import DataError
from lmclassify.mail.messages_table import MailReader


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pos" / "inner").mkdir(parents=True)
    (tmp_path / "pos" / "2.txt").write_text("second\nof two lines\n")
    (tmp_path / "pos" / "10.txt").write_text("first")
    (tmp_path / "pos" / "inner" / "x").write_bytes(gzip.compress(b""))
    (tmp_path / "pos" / "inner" / "y.txt.gz").write_bytes(gzip.compress(b"packed\r\n"))
    (tmp_path / "pos" / "inner" / "z").write_bytes("wide".encode("utf-16"))
    (tmp_path / "pos" / ".hidden").write_text("no")
    (tmp_path / "pos" / ".git").mkdir()
    (tmp_path / "pos" / ".git" / "config").write_text("no")
    (tmp_path / "pos" / "inner" / "x").write_text("")
    return tmp_path


def test_each_file_is_a_text(folder):
    said: list[str] = []
    data = read_files({"a": str(folder / "pos")}, fields=["subject"], say=said.append)
    assert data.texts == ["first", "second\nof two lines", "packed", "wide"]
    assert said == [
        f"{folder}/pos: each file is one text",
        f"note: {folder}/pos: 1 row without text skipped",
    ]
    assert read_unlabelled([str(folder / "pos")], say=said.append) == data.texts
    with open_rows(str(folder / "pos")) as rows:
        assert rows.columns == ["id", "text"]
        chunks = list(rows.chunks(2))
        assert [chunk.first for chunk in chunks] == [1, 3, 5]
        assert chunks[0].cells == [["10.txt", "first"], ["2.txt", "second\nof two lines"]]
        assert (rows.rows_read, rows.bytes_read) == (5, rows.size)


def test_other_files_are_left_out_and_counted(folder):
    (folder / "pos" / "a.png").write_bytes(b"\x89PNG\r\n\0\0")
    (folder / "pos" / "t.csv").write_text("text,label\na,b\n")
    for encoding in (None, "latin-1"):
        if encoding:
            (folder / "pos" / "inner" / "z").unlink()
        said: list[str] = []
        read_files({"a": str(folder / "pos")}, encoding=encoding, say=said.append)
        assert said[1] == f"note: {folder / 'pos'}: 2 files that are no text left out: a.png, t.csv"
    said = []
    assert "text,label\na,b" in read_unlabelled([str(folder / "pos")], format="text", say=said.append)
    assert said[1] == f"note: {folder / 'pos'}: 1 file that is no text left out: a.png"


def test_documents_in_a_folder_of_texts_are_left_out(folder):
    (folder / "pos" / "a.docx").write_bytes(b"PK\x03\x04 a document")
    (folder / "pos" / "b.pdf").write_bytes(b"%PDF-1.4\nobj\n")
    (folder / "pos" / "c.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old")
    said: list[str] = []
    assert len(read_files({"a": str(folder / "pos")}, fields=["subject"], say=said.append).texts) == 4
    assert said[1] == f"note: {folder / 'pos'}: 3 files that are no text left out: a.docx, b.pdf, c.doc"


def test_errors(folder):
    (folder / "bad").mkdir()
    with pytest.raises(DataError, match="bad holds no file"):
        read_files({"a": str(folder / "bad")})
    (folder / "bad" / "x.txt").write_bytes(b"ok\ncaf\xe9")
    with pytest.raises(DataError, match=r"x\.txt, line 2: byte 6 \(0xe9\) is not valid UTF-8; .*--encoding"):
        read_files({"a": str(folder / "bad")}, say=lambda line: None)
    texts = read_files({"a": str(folder / "bad")}, encoding="latin-1", say=lambda line: None).texts
    assert texts == ["ok\ncafé"]
    (folder / "bad" / "x.txt").write_bytes(b"\0")
    with pytest.raises(DataError, match=r"bad holds no text: its files are binary, such as x\.txt"):
        read_files({"a": str(folder / "bad")}, say=lambda line: None)
    (folder / "bad" / "x.txt").rename(folder / "bad" / "x.csv")
    with pytest.raises(DataError, match=r"bad holds tables and no texts; name the tables, such as .*x\.csv"):
        read_files({"a": str(folder / "bad")})
    with pytest.raises(
        DataError, match="is a folder, which has no labels: use --labels bad=.*/bad for each folder"
    ):
        read_tables([str(folder)])


def test_mail_decides_unless_a_format_is_given(folder):
    (folder / "pos" / "3.eml").write_text("Subject: hello\n\nworld\n")
    said: list[str] = []
    assert read_files({"a": str(folder / "pos")}, fields=["subject"], say=said.append).texts == ["hello"]
    assert "5 files that are no mail left out" in said[1]
    texts = read_files({"a": str(folder / "pos")}, format="text", say=lambda line: None).texts
    assert len(texts) == 5
    assert "Subject: hello\n\nworld" in texts
    (folder / "pos" / "3.eml").unlink()
    (folder / "pos" / "inner" / "zz").write_bytes(b"binary\0")
    with MailReader(str(folder / "pos")) as mail:
        assert sum(len(chunk) for chunk in mail.chunks()) == 5  # one is UTF-16
        assert mail.notes[0].endswith("left out: inner/zz")

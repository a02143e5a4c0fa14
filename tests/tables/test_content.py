"""Formats recognised by content, tables saved as text, and binary files that are named."""

from __future__ import annotations

import gzip
import zipfile

import pytest

from lmclassify import DataError
from lmclassify.datasets.labelled import read_tables
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import read_files, read_unlabelled

TABLE = b"text,label\na,x\nb,y\n"


def labelled(path) -> list[tuple[str, str]]:
    read = read_tables([str(path)], say=lambda line: None)
    return list(zip(read.texts, read.labels, strict=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b'sep=;\r\ntext;label\r\n"a";x\r\nb;y\r\n'),
        ("t.csv", b"sep=,\ntext,label\na,x\nb,y\n"),
        ("t.csv", "\ufeffSEP=^\ntext^label\na^x\nb^y\n".encode()),
        ("t.csv", b'"sep=\t"\ntext\tlabel\na\tx\nb\ty\n'),
        ("t.txt", b"sep=;\r\ntext;label\r\na;x\r\nb;y\r\n"),
        ("t.txt", "text\tlabel\r\na\tx\r\nb\ty\r\n".encode("utf-16")),
        ("t.csv", "text;label\r\na;x\r\nb;y\r\n".encode("utf-16")),
        ("t.csv", gzip.compress(TABLE, mtime=0)),
    ],
)
def test_tables_as_spreadsheet_programs_save_them(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert labelled(tmp_path / name) == [("a", "x"), ("b", "y")]


def test_lines_of_a_table_with_a_named_separator_keep_their_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\ntext;label\na;b;c\n")
    with pytest.raises(DataError, match=r"row 1 \(line 3\): 3 fields, but the header has 2"):
        labelled(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("sep=;\n")
    with pytest.raises(DataError, match=r"t\.csv is empty"):
        labelled(tmp_path / "t.csv")


def test_lines_of_text_in_utf_16_are_no_table(tmp_path):
    (tmp_path / "t.txt").write_bytes("one é\r\na\tb\r\n".encode("utf-16"))
    assert read_unlabelled([str(tmp_path / "t.txt")], say=lambda line: None) == ["one é", "a\tb"]
    (tmp_path / "u.txt").write_bytes("one\té\r\na\tb\r\n".encode("utf-16"))
    assert read_files({"x": str(tmp_path / "u.txt")}, say=lambda line: None).texts == ["one\té", "a\tb"]


@pytest.mark.parametrize(
    "members",
    [
        {"mail/spam.csv": TABLE, "__MACOSX/mail/._spam.csv": b"x", "mail/": b""},
        {"SMSSpamCollection": b"text\tlabel\na\tx\nb\ty\n", "readme": b"x"},
        {"t.jsonl.gz": gzip.compress(b'{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n')},
    ],
)
def test_a_zip_file_with_one_table(tmp_path, members):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert labelled(path) == [("a", "x"), ("b", "y")]
    with open_rows(str(path)) as table:
        assert table.name == f"{path}/{next(iter(members))}"
        list(table.chunks())
        assert 0 < table.bytes_read <= table.size


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (
            {"a.csv": TABLE, "b.csv": TABLE},
            r"t\.zip holds 2 files \(a\.csv, b\.csv\), not one table; unpack it",
        ),
        ({}, "t.zip is a zip file that holds no file"),
        ({"[Content_Types].xml": b"", "word/document.xml": b""}, "t.zip is a Word document"),
        ({"mimetype": b"application/vnd.oasis.opendocument.text"}, "t.zip is an OpenDocument text"),
        ({"mail/junk.mbox": b"From a"}, r"t\.zip holds mail \(mail/junk\.mbox\); unpack it"),
        ({"Index/Document.iwa": b""}, "t.zip is a document of Apple's"),
    ],
)
def test_other_zip_files_are_named(tmp_path, members, problem):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(DataError, match=problem):
        labelled(tmp_path / "t.zip")


def test_damaged_and_encrypted_zip_files(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.csv", TABLE * 100)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(20) + whole[60:])
    with pytest.raises(DataError, match=r"t\.zip.* is damaged, or is not a zip file"):
        labelled(path)
    encrypted = bytearray(whole)
    encrypted[6] |= 1
    encrypted[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(encrypted)
    with pytest.raises(DataError, match=r"t\.zip is encrypted; unpack it with its password"):
        labelled(path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n%\xe2", "a PDF document"),
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"SQLite format 3\0\x10", "an SQLite database"),
        (b"\x80\x04\x95\x10\0\0", "a Python pickle"),
        (b"a" * 257 + b"ustar\x0000", "a tar archive"),
        (b"ARROW1\0\0", r"an Arrow \(Feather\) file"),
        (b"{\\rtf1\\ansi", "an RTF document"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
    ],
)
@pytest.mark.parametrize("format", [None, "csv"])
def test_other_files_are_named(tmp_path, content, kind, format):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=rf"t\.csv is {kind}, not a table") as error:
        open_rows(str(tmp_path / "t.csv"), format=format)
    assert "\n" not in str(error.value)


def test_lines_of_html_are_text(tmp_path):
    (tmp_path / "t.txt").write_text("<html>a</html>\n<p>b</p>\n")
    assert read_unlabelled([str(tmp_path / "t.txt")], say=lambda line: None) == ["<html>a</html>", "<p>b</p>"]

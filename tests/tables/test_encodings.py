"""Decoding of bytes to lines, and detection of encodings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import DataError, OptionError
from lmclassify.datasets.sources import open_rows
from lmclassify.tables import encodings
from lmclassify.tables.encodings import DecodingError, decode_lines
from lmclassify.tables.inputs import Input

GERMAN = (
    "text,label\n"
    + "Die Straße führt über Köln und Düsseldorf nach Süden,ham\nÄpfel für fünf Größen,spam\n" * 9
)
RUSSIAN = "text,label\n" + "Добро пожаловать на нашу страницу,ham\nМы рады видеть вас снова здесь,spam\n" * 9

POLISH = (
    "text,label\n"
    + "Zażółć gęślą jaźń i idź do Łodzi,ham\nPilne: wygrałeś nagrodę tysiąca złotych,spam\n" * 9
)
JAPANESE = "text,label\n" + "会議は金曜日に変更されました,ham\n今すぐクリックして無料のプレゼント,spam\n" * 9


def lines_of(path, encoding=None, **options) -> list[str]:
    source = Input(str(path))
    try:
        return list(decode_lines(source, encoding, **options))
    finally:
        source.close()


def read(path, encoding=None) -> list[list[str]]:
    with open_rows(str(path), encoding=encoding) as table:
        return [row for chunk in table.chunks() for row in chunk.cells]


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "gb18030", "utf-16-le", "utf-8"]),
    block=st.integers(1, 9),
)
def test_any_encoding_gives_the_same_lines(tmp_path_factory, lines, end, encoding, block):
    if lines and lines[0][:1] == "\ufeff":
        return
    path = tmp_path_factory.mktemp("t") / "t.txt"
    expected = [line + end for line in lines]
    path.write_bytes("".join(expected).encode(encoding))
    named = None if encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32") else encoding
    assert lines_of(path, named, block_bytes=block) == expected
    assert lines_of(path, encoding, block_bytes=block) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_byte_order_marks_are_recognised_and_reported(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(GERMAN.encode(encoding))
    with open_rows(str(path)) as table:
        assert table.describe([0], 1).endswith(f"label column 'label'; encoding {encoding}")
        assert sum(map(len, table.chunks(5))) == 18
        assert table.bytes_read == table.size


def test_a_named_encoding(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(GERMAN.encode("latin-1"))
    assert read(path, "latin-1")[0][0].startswith("Die Straße")
    with pytest.raises(DataError, match=r"row 1 \(line 2\): byte 19 \(0xdf\) is not valid UTF-8.*--encoding"):
        read(path)


@pytest.mark.parametrize(
    ("encoding", "content", "place"),
    [
        ("ascii", b"text\nab\ncaf\xe9\n", r"row 2 \(line 3\): byte 11 \(0xe9\) is not valid in ascii"),
        ("shift_jis", b"text\nab\n\x83\x41\xff\n", r"row 2 \(line 3\): byte 10 \(0xff\)"),
        ("utf-16", b"\xff\xfet\0\n\0a\0\n\0\0\xdc\n\0", r"row 2 \(line 3\): byte 10 \(0x00\)"),
        ("utf-16", b"\xff\xfet\0\n\0a", r"row 1 \(line 2\): byte 6 \(0x61\)"),
        ("utf-16-le", b"t\0\n\0\0\0\n\0", r"row 1 \(line 2\): a NUL character"),
        ("utf-7", b"t\n+2AA-\n", r"row 1 \(line 2\): half of a surrogate pair"),
        (None, b"t\0\n\0", r"header \(line 1\): byte 1 is NUL.*utf-16-le"),
    ],
)
def test_invalid_bytes_are_named_by_row_and_byte(tmp_path, encoding, content, place):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.csv, " + place):
        read(path, encoding)
    problem = place.partition(": ")[2] or place
    for block in (1, 3):
        with pytest.raises(DecodingError, match=problem):
            lines_of(path, encoding, block_bytes=block)


@pytest.mark.parametrize("name", ["nonsense", "rot13", "base64", "", "a\0b", "hex", "idna", "unicode_escape"])
def test_no_such_encoding(tmp_path, name):
    path = tmp_path / "t.csv"
    path.write_text("text\na\n")
    with pytest.raises(OptionError, match="Python knows no such text encoding") as error:
        read(path, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (POLISH, "cp1250"),
        (JAPANESE, "shift_jis"),
        (RUSSIAN, "utf-8"),
        (GERMAN, "utf-16"),
    ],
)
def test_detection(tmp_path, content, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(encoding))
    with open_rows(str(path), encoding="detect") as table:
        assert [row for chunk in table.chunks() for row in chunk.cells] == [
            line.split(",") for line in content.splitlines()[1:]
        ]
        assert "(found by --encoding detect)" in table.describe([0], 1)


def test_detection_prefers_western_encodings(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id;text\n1;Größe\n".encode("latin-1"))
    with open_rows(str(path), encoding="detect") as table:
        assert "encoding cp1252 (found" in table.describe([1], None)


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "v1,v2,,,\n" + "ham,Go to the café for £5 only,,,\nspam,WINNER! Claim your £900 prize,,,\n" * 30),
        ("cp1252", "v1,v2,,,\n" + "ham,plain words in this one,,,\n" * 40 + "spam,you won £500 in cash,,,\n"),
        ("cp1252", "v1,v2\n" + "ham,it’s “fine” – it costs €5 only\n" * 20),
        ("latin-1", "a,b\n" + "x,déjà vu à la fenêtre où le garçon élève\n" * 10),
        ("cp1250", "a,b\n" + "x,Příliš žluťoučký kůň úpěl ďábelské ódy\n" * 10),
        ("cp1250", "a,b\n" + "x,Árvíztűrő tükörfúrógép, jó ebédhez szól a nóta\n" * 10),
        ("cp1254", "a,b\n" + "x,Pijamalı hasta yağız şoföre çabucak güvendi\n" * 10),
        ("cp1257", "a,b\n" + "x,Įlinkdama fechtuotojo špaga sublykčiojusi pragręžė\n" * 10),
    ],
)  # fmt: skip
def test_detection_takes_the_likelier_encoding_of_latin_script(tmp_path, encoding, text):
    (tmp_path / "data.csv").write_bytes(text.encode(encoding))
    assert "".join(lines_of(tmp_path / "data.csv", "detect")) == text


def test_detection_reads_on_after_its_sample(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes((GERMAN + GERMAN.split("\n", 1)[1] * 20).encode("cp1252"))
    assert lines_of(path, "detect", sample_bytes=1000) == lines_of(path, "cp1252")
    path.write_text("text\n" + "ü" * 498 + "é\n")  # a character across the end of the sample
    assert lines_of(path, "detect", sample_bytes=1000) == ["text\n", "ü" * 498 + "é\n"]


def test_detection_without_its_package(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(GERMAN.encode("latin-1"))
    monkeypatch.setattr(encodings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs charset-normalizer: .*pip install .*\[encodings\]"):
        read(path, "detect")


def test_truncated_utf_16_without_byte_order_mark(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\x00\x00\xdc\x41")
    with pytest.raises(DataError, match="a.csv"):
        open_rows(str(path), encoding="utf-16")


def test_the_error_shows_what_detection_makes_of_the_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("text,label\nGrüße aus Köln und schöne Tage für alle,ham\n".encode("latin-1"))
    with (
        pytest.raises(
            DataError,
            match=r"row 1 \(line 2\): byte 13 \(0xfc\) is not valid UTF-8; use --encoding detect \(it finds cp1252, which "
            r"reads 'Grüße aus Köln und schöne Tage .*'\), name the encoding with --encoding, or save the file as UTF-8$",
        ),
        open_rows(str(path)) as table,
    ):
        list(table.chunks())
    path.write_bytes(b"text\n\x00\xff\x00\n")
    with (
        pytest.raises(DataError, match=r"use --encoding detect, name the encoding"),
        open_rows(str(path)) as table,
    ):
        list(table.chunks())

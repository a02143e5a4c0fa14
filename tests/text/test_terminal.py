from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.text.terminal import TerminalWriter, unescaped


class Tty(io.BytesIO):
    def fileno(self) -> int:
        return 3


def shown(pieces: list[bytes], encoding: str = "utf-8") -> str:
    stream = Tty()
    writer = TerminalWriter(stream, encoding)
    assert sum(map(writer.write, pieces)) == sum(map(len, pieces))
    return stream.getvalue().decode(encoding)


def test_control_characters_are_escaped():
    text = "é\x1b[2J\x9b31m\x07\r\n\u202eevil\u2066\t😀\n"
    assert shown([text.encode()]) == "é\\x1b[2J\\x9b31m\\x07\\r\n\\u202eevil\\u2066\t😀\n"
    assert shown([b"\xff\xe9\x1b"]) == "\\xff\\xe9\\x1b"
    assert shown(["é\x9b".encode("latin-1")], "latin-1") == "é\\x9b"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii", "cp1252"])
@given(data=st.binary(), at=st.integers(0, 20))
def test_split_writes_pass_nothing_unprintable(encoding, data, at):
    text = shown([data[:at], data[at:]], encoding)
    assert text.translate(dict.fromkeys([0x2068, 0x2069])).replace("\n", "").replace("\t", "").isprintable()
    assert text == shown([data], encoding)


@settings(max_examples=25)
@given(st.text().filter(str.isprintable))
def test_printable_text_is_not_changed(text):
    assert shown([text.encode()]) == text


def test_joiners_are_escaped_and_isolates_are_kept():
    assert shown(["\u2068می‌خواهم\u2069 👩‍💻\n".encode()]) == "\u2068می\\u200cخواهم\u2069 👩\\u200d💻\n"


def test_unguarded_streams_are_returned_unchanged():
    stream = io.StringIO()
    assert unescaped(stream) is stream

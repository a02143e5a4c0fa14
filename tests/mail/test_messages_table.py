"""Mailboxes, and mail as a table."""

from __future__ import annotations

import gzip
import mailbox
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.datasets.labelled import read_tables
from lmclassify.datasets.sources import open_rows
from lmclassify.datasets.texts import read_files, read_unlabelled
from lmclassify.errors import DataError
from lmclassify.mail.mailboxes import Mailbox, looks_like_mail
from lmclassify.mail.messages_table import MailReader, read_texts
from lmclassify.tables.delimited import DelimitedReader

FROM = b"From me@here Sat Jan  3 01:05:34 1996\n"


def message(subject: str, text: str = "hello\n", id: str | None = None) -> bytes:
    head = f"Message-ID: <{id}>\n" if id else ""
    return f"{head}Subject: {subject}\n\n{text}".encode()


def table(path, fields=("subject",)):
    with MailReader(str(path), fields) as mail:
        assert mail.columns == ["id", "from", "date", "subject", "body", "text"]
        rows = [row for chunk in mail.chunks() for row in chunk.cells]
        assert mail.rows_read == len(rows)
        if mail.size is not None:
            assert 0 < mail.bytes_read <= mail.size
        return rows


@pytest.fixture
def mbox(tmp_path):
    path = tmp_path / "junk.mbox"
    path.write_bytes(
        FROM + message("one", ">From here on\n>>From there\n\nFrom now on, not a message\n", "1@x") + b"\n"
        + FROM + message("two") + b"\n"
        + b"From MAILER-DAEMON\n" + message("three") + b"\n"
        + FROM + b"broken\n"
    )  # fmt: skip
    return path


def test_mbox(mbox):
    rows = table(mbox, ["subject", "body"])
    assert [row[3] for row in rows] == ["one", "two", "three", ""]
    assert [row[0] for row in rows] == ["<1@x>", "junk.mbox#2", "junk.mbox#3", "junk.mbox#4"]
    assert rows[0][4] == "From here on\n>From there\n\nFrom now on, not a message"
    assert rows[1][5] == "two\nhello"
    assert rows[3][5] == "broken"


def test_mbox_by_its_content_with_crlf_and_gzipped(mbox, tmp_path):
    content = mbox.read_bytes()
    for name, data in (
        ("me", content),
        ("crlf", content.replace(b"\n", b"\r\n")),
        ("me.gz", gzip.compress(content)),
        ("me.mbox.gz", gzip.compress(content)),
    ):
        (tmp_path / name).write_bytes(data)
        assert looks_like_mail(str(tmp_path / name))
        assert [row[3:] for row in table(tmp_path / name)] == [row[3:] for row in table(mbox)]


def test_long_lines_and_long_messages_of_an_mbox(tmp_path):
    path = tmp_path / "x.mbox"
    long = "nothing From here but one long line, " * 20 + "\n" + "a\n" * 1000
    path.write_bytes(
        FROM[:5] + b"\nSubject: one\n\n" + long.encode() + b"\n" + b"From x\nSubject: two\n\nhi\n"
    )
    mailbox = Mailbox(str(path), max_message_bytes=100, block_bytes=10)
    first, second = [content for _, content in mailbox]
    mailbox.close()
    assert first.startswith(b"Subject: one\n\nnothing From here")
    assert len(first) == 100
    assert second == b"Subject: two\n\nhi\n"


def test_mailboxes_written_by_python(tmp_path):
    """Mailboxes of the standard library: From_ quoting, and Maildir with its flags."""
    texts = ["From me to you\n\nFrom the start\n", "second\n"]
    for kind, name in ((mailbox.mbox, "a.mbox"), (mailbox.Maildir, "dir")):
        box = kind(str(tmp_path / name))
        for number, text in enumerate(texts):
            box.add(message(f"subject {number}", text))
        box.flush()
        box.close()
        rows = table(tmp_path / name)
        assert sorted(row[3] for row in rows) == ["subject 0", "subject 1"]
        assert {row[4] for row in rows} == {text.strip() for text in texts}
    (tmp_path / "dir" / "cur" / "99.host:2,S").write_bytes(message("seen"))
    assert {row[0] for row in table(tmp_path / "dir")} > {"99.host"}
    (tmp_path / "dir" / "tmp" / "x").write_bytes(message("not yet delivered"))
    assert len(table(tmp_path / "dir")) == 3


def test_single_messages_and_folders_of_them(tmp_path):
    folder = tmp_path / "mail"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.eml").write_bytes(message("b"))
    (folder / "a.EML").write_bytes(FROM + message("a", "text\n\nFrom Bob\nX: no second message\n"))
    (folder / "sub" / "c.eml.gz").write_bytes(gzip.compress(message("c")))
    (folder / "notes.txt").write_bytes(b"no mail")
    with MailReader(str(folder)) as mail:
        rows = [row for chunk in mail.chunks() for row in chunk.cells]
    assert mail.notes == [f"{folder}: 1 file that is no mail left out: notes.txt"]
    assert [row[3] for row in rows] == ["a", "b", "c"]
    assert [row[0] for row in rows] == ["a.EML", "b.eml", "sub/c.eml.gz"]
    assert [row[3] for row in table(folder / "a.EML")] == ["a"]
    other = tmp_path / "numbered"
    other.mkdir()
    for number in range(3):
        (other / f"{number}").write_bytes(message(str(number)))
    assert [row[3] for row in table(other)] == ["0", "1", "2"]


def test_a_message_that_moves_is_left_out(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.eml").write_bytes(message(str(number)))
    with MailReader(str(tmp_path)) as mail:
        (tmp_path / "1.eml").unlink()
        assert [row[3] for chunk in mail.chunks() for row in chunk.cells] == ["0", "2"]


def test_chunks_are_small_where_messages_are_long(tmp_path):
    path = tmp_path / "x.mbox"
    path.write_bytes(b"\n\n".join(FROM + message(str(n), "word " * 5000) for n in range(300)))
    with MailReader(str(path)) as mail:
        sizes = [len(chunk) for chunk in mail.chunks()]
        assert sum(sizes) == 300
        assert max(sizes) < 250
        assert next(mail.chunks(), None) is None
    with MailReader(str(path)) as mail:
        assert [(len(chunk), chunk.first) for chunk in mail.chunks(200)] == [(200, 1), (100, 201)]


def test_files_that_are_not_mail(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("text,label\nFrom here,ham\n")
    (tmp_path / "words.txt").write_text("From me to you\nFrom all of us\n")
    (tmp_path / "empty").mkdir()
    for name in ("data.csv", "words.txt", "empty", "missing"):
        assert not looks_like_mail(str(tmp_path / name))
    with open_rows(str(path)) as rows:
        assert isinstance(rows, DelimitedReader)
    (tmp_path / "empty.mbox").write_bytes(b"")
    (tmp_path / "damaged.mbox.gz").write_bytes(gzip.compress(FROM + message("x" * 10_000))[:40])
    (tmp_path / "damaged.eml.gz").write_bytes(gzip.compress(message("x" * 10_000))[:40])
    for name, error in (
        ("empty.mbox", "holds no mail"),
        ("missing.mbox", "no such file"),
        ("missing.eml", "no such file"),
        ("damaged.mbox.gz", "is truncated"),
        ("damaged.eml.gz", "is truncated"),
    ):
        with pytest.raises(DataError, match=error):
            MailReader(str(tmp_path / name))


def test_labels_and_texts_from_mail(mbox, tmp_path):
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham" / "1.eml").write_bytes(message("lunch"))
    said: list[str] = []
    files = {"spam": str(mbox), "ham": str(tmp_path / "ham")}
    data = read_files(files, fields=["subject"], say=said.append)
    assert data.from_mail
    assert data.texts == ["one", "two", "three", "lunch"]
    assert data.labels == ["spam"] * 3 + ["ham"]
    assert said[0] == f"{mbox}: mail, text is its subject (see --fields)"
    assert said[1] == f"note: {mbox}: 1 row without text skipped"
    with pytest.raises(DataError, match="row 4: the text is missing"):
        read_files({"spam": str(mbox)}, fields=["subject"], fail_on_bad_row=True, say=said.append)
    assert read_unlabelled([str(mbox)], fields=["body"], say=said.append)[1:] == ["hello", "hello", "broken"]
    with pytest.raises(DataError, match="is mail, which has no labels: use --labels NAME="):
        read_tables([str(mbox)])
    assert read_texts(str(mbox), ["subject"]) == ["one", "two", "three", ""]


def test_sealed_messages_are_counted_once(tmp_path):
    sealed = message("x", "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n")
    (tmp_path / "a.mbox").write_bytes((FROM + sealed + b"\n") * 2 + FROM + message("y"))
    with MailReader(str(tmp_path / "a.mbox"), ["body"]) as mail:
        assert [row[5] for chunk in mail.chunks() for row in chunk.cells] == ["", "", "hello"]
    assert len(mail.notes) == 1
    assert "a.mbox: 2 messages are encrypted or sealed (PGP, S/MIME); " in mail.notes[0]
    assert [row[5] for row in table(tmp_path / "a.mbox")] == ["x", "x", "y"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=60).map(lambda data: b"Subject: x\n\n" + data), min_size=1, max_size=5))
def test_every_message_of_an_mbox_is_found(tmp_path_factory, messages):
    path = tmp_path_factory.getbasetemp() / f"property{os.getpid()}.mbox"
    quoted = [m.replace(b"\nFrom ", b"\n>From ") for m in messages]
    path.write_bytes(b"".join(FROM + m + b"\n\n" for m in quoted))
    assert [row[3] for row in table(path)] == ["x"] * len(messages)

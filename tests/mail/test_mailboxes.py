"""Folders of mail as mail programs keep them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lmclassify.datasets.sources import open_rows
from lmclassify.errors import DataError
from lmclassify.mail.mailboxes import Mailbox, looks_like_mail
from lmclassify.mail.messages_table import MailReader

FROM = b"From me@here Sat Jan  3 01:05:34 1996\n"


def message(subject: str) -> bytes:
    return f"From: a@b\nSubject: {subject}\n\nhello\n".encode()


def write(folder: Path, **files: bytes) -> Path:
    """Write files; a name's double underscore stands for a slash, a single one for a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def subjects(path: Path) -> tuple[list[str], list[str]]:
    """Return the subjects of a mailbox, and the notes."""
    with MailReader(str(path)) as mail:
        return [row[3] for chunk in mail.chunks() for row in chunk.cells], mail.notes


BOX = FROM + message("one") + b"\n" + FROM + message("two")


def test_thunderbird(tmp_path):
    write(
        tmp_path,
        Inbox=BOX,
        Inbox_msf=b"// <!-- <mdb:mork:z",
        Inbox_sbd__Work=BOX,
        Inbox_sbd__Work_msf=b"//",
        Trash=b"",
    )
    found, said = subjects(tmp_path)
    assert found == ["one", "two"] * 2
    assert said == [f"{tmp_path}: 3 files that are no mail left out: Inbox.msf, Inbox.sbd/Work.msf, Trash"]
    with MailReader(str(tmp_path)) as mail:
        assert [row[0] for row in next(mail.chunks(1)).cells] == ["Inbox#1"]


def test_apple_mail(tmp_path):
    export = write(tmp_path / "Export.mbox", mbox=BOX, table_of_contents=b"\0\1").joinpath(
        "table.of.contents"
    )
    export.rename(export.with_name("table_of_contents"))
    assert looks_like_mail(str(tmp_path / "Export.mbox"))
    assert subjects(tmp_path / "Export.mbox")[0] == ["one", "two"]
    emlx = (
        str(len(message("three"))).encode()
        + b"       \n"
        + message("three")
        + b"<?xml version='1.0'?>\n<plist/>\n"
    )
    store = write(
        tmp_path / "INBOX.mbox", ID__Data__Messages__1_emlx=emlx, ID__Data__Messages__2_partial_emlx=emlx
    )
    write(store, ID__Data__Attachments__1__2__note_eml=message("an attachment"), Info_plist=b"<?xml")
    found, said = subjects(store)
    assert found == ["three"] * 2
    assert said == [f"{store}: 1 file that is no mail left out: Info.plist"]
    assert subjects(store / "ID/Data/Messages/1.emlx") == (["three"], [])
    mailbox = Mailbox(str(store / "ID/Data/Messages/1.emlx"))
    assert [data for _, data in mailbox] == [message("three")]
    mailbox.close()


def test_maildir_and_its_sub_folders(tmp_path):
    box = write(
        tmp_path / "box", cur__1700_M1=message("one"), new__1701_M1=b"odd", tmp__x=message("not delivered")
    )
    write(box / ".Junk", cur__1=message("junk"))
    write(box / "Sent", cur__1=message("sent"))
    (box / "dovecot-uidlist").write_bytes(b"3 V1700000000 N1\n1 :1700.M1\n")
    (box / ".Empty").mkdir()
    found, said = subjects(box)
    assert found == ["one", ""]
    assert said == [
        f"{box}: 1 file that is no mail left out: dovecot-uidlist",
        f"{box}: its 2 sub-folders left out: .Junk, Sent; name those to be read, too",
    ]
    assert subjects(box / ".Junk") == (["junk"], [])
    for name in ("1700.M1",):
        (box / "cur" / name).unlink()
    (box / "new" / "1701.M1").unlink()
    (box / "dovecot-uidlist").unlink()
    with pytest.raises(DataError, match=r"holds no mail; name its sub-folders: \.Junk, Sent"):
        MailReader(str(box))


def test_a_folder_of_maildirs(tmp_path):
    for name in ("a", "b", ".c"):
        write(tmp_path / name, cur__1700_M1=message(name), new__x=b"", dovecot_index=b"\0")
    found, said = subjects(tmp_path)
    assert found == [".c", "a", "b"]
    assert "6 files" not in said[0]
    assert said == [
        f"{tmp_path}: 4 files that are no mail left out: a/dovecot.index, a/new/x, b/dovecot.index, b/new/x"
    ]


@pytest.mark.parametrize(
    "stray", [b"mv 1 2\nmv 3 4\n", b"text,label\n", b"", b"\0\1\2", b"{}", b"Note: to do\n\nmail\n"]
)
def test_stray_files(tmp_path, stray):
    write(tmp_path, m1=FROM + message("one"), m2=b"Received: x\n\tby y\nX-A: b\n\nhi", aaa=stray, zzz=stray)
    (tmp_path / "m3.gz").write_bytes(gzip.compress(BOX))
    assert looks_like_mail(str(tmp_path))
    found, said = subjects(tmp_path)
    assert found == ["one", "", "one", "two"]
    assert said == [f"{tmp_path}: 2 files that are no mail left out: aaa, zzz"]


@pytest.mark.parametrize(
    ("first", "second", "is_mail"),
    [
        (b"hello", b"Subject: hi\n\nhello\n", True),
        (b"hello", b"Path: news!x\nNewsgroups: a.b\nFrom: me\nSubject: x\n\nhello\n", True),
        (b"Subject: as in Enron-Spam\nbody\n", b"Subject: two\nbody\n", True),
        (b"Subject: not closed\nis what the list said.\n", b"hello\n", False),
        (b"hello", b"Date: a film for two\nand more\n", False),
        (b"hello", b"To: whom it may concern\n\nhello\n", False),
        (b"hello", b"From here on\n\nhello\n", False),
        (b"hello", b"", False),
    ],
)
def test_a_folder_is_mail_if_one_of_its_files_is(tmp_path, first, second, is_mail):
    write(tmp_path, a=first, b=second)
    assert looks_like_mail(str(tmp_path)) == is_mail
    if not is_mail:
        (tmp_path / "c").write_bytes(b"binary\0")
        found, said = subjects(tmp_path)  # as --input-format mail asks for
        assert len(found) == 2
        assert len(said) == 1


@pytest.mark.parametrize("index", ["Inbox.msf", "Inbox.ev-summary", "table_of_contents", "dovecot-uidlist"])
def test_an_empty_mailbox_beside_its_index_is_no_folder_of_texts(tmp_path, index):
    (tmp_path / "Inbox").write_bytes(b"")
    (tmp_path / index).write_bytes(b"// an index\n")
    assert looks_like_mail(str(tmp_path))
    with pytest.raises(DataError, match="holds no mail"):
        open_rows(str(tmp_path))


def test_a_message_without_suffix(tmp_path):
    (tmp_path / "1700.M1:2,S").write_bytes(
        b"Received: x\nSubject: hi\n\nFrom me@here Sat Jan  3 01:05:34 1996\nTo: x\n"
    )
    assert looks_like_mail(str(tmp_path / "1700.M1:2,S"))
    assert subjects(tmp_path / "1700.M1:2,S") == (["hi"], [])
    for lines in (
        "Subject: first\nSubject: second\n",
        "Subject: a\nanother\n",
        "From: a\nDate: b\nno header\n",
    ):
        (tmp_path / "lines.txt").write_text(lines)
        assert not looks_like_mail(str(tmp_path / "lines.txt"))


@pytest.mark.parametrize(
    "data",
    [
        BOX.replace(b"\n", b"\r"),
        b"\n\r\n\n" + BOX,
        b"\xef\xbb\xbf" + BOX,
        BOX.decode().encode("utf-16"),
        BOX.decode().encode("utf-16-be"),
        b"\1\1\1\1\n" + message("one") + b"\1\1\1\1\n\1\1\1\1\n" + message("two") + b"\1\1\1\1\n",
    ],
    ids=["CR", "blank lines", "UTF-8 mark", "UTF-16", "UTF-16 without mark", "MMDF"],
)
def test_mailboxes_in_other_forms(tmp_path, data):
    (tmp_path / "inbox").write_bytes(data)
    (tmp_path / "x.mbox").write_bytes(data)
    for path in (tmp_path / "inbox", tmp_path / "x.mbox"):
        assert looks_like_mail(str(path))
        assert subjects(path) == (["one", "two"], [])
    assert subjects(tmp_path) == (["one", "two"] * 2, [])


@pytest.mark.parametrize("start", ["", "\n\n", " \r\n", "From me@here Sat Jan  3 01:05:34 1996\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_single_messages_in_other_forms(tmp_path, start, encoding):
    data = (start + message("one").decode()).encode(encoding)
    for name in ("x.eml", "x", "1.txt"):
        (tmp_path / name).write_bytes(data)
    assert subjects(tmp_path / "x.eml") == (["one"], [])
    if encoding != "utf-16-le" or not start[:1].isspace():
        assert subjects(tmp_path) == (["one"] * 3, [])


def test_many_files_that_begin_with_a_header_are_mail(tmp_path):
    for number in range(110):
        (tmp_path / f"{number:03}").write_bytes(b"Subject: x\nno blank line\n" if number < 105 else b"text\n")
    assert looks_like_mail(str(tmp_path))
    found, said = subjects(tmp_path)
    assert len(found) == 105
    assert said[0].startswith(f"{tmp_path}: 5 files that are no mail left out: 105, ")


@pytest.mark.parametrize("name", ["m", "m.eml"])
def test_the_note_says_how_texts_are_read_where_many_are_left_out(tmp_path, name):
    for other in "abc":
        (tmp_path / other).write_bytes(b"a text\n")
    (tmp_path / name).write_bytes(message("one"))
    remedy = "; to read each file as one text: --input-format text" if name == "m" else ""
    assert subjects(tmp_path) == (
        ["one"],
        [f"{tmp_path}: 3 files that are no mail left out: a, b, c{remedy}"],
    )

"""Public sets read from tiny files in their real formats, and archives that are damaged or hostile."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from lmclassify.datasets.archives import read_tar_members, read_zip_member
from lmclassify.datasets.public_sets import PUBLIC_SETS
from lmclassify.errors import DataError


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes | None]) -> bytes:
    """Return a tar.gz; a member without content is a link to /etc/passwd."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return buffer.getvalue()


SMS = zipped({"SMSSpamCollection": 'ham\tOk \x85 lar, "u"\nspam\t£100 win\tnow\n'.encode(), "readme": b"x"})
SST = {"trees/train.txt": b"(3 (2 It) (4 (2 's) (3 (2 -LRB-) (2 1\\/2))))\n(2 (2 So) (2 so))\n",
       "trees/dev.txt": b"(0 (2 Bad) (2 .))\n", "trees/test.txt": b"(1 (1 Dull))\n"}  # fmt: skip
CLINC = {"train": [["hi", "greeting"]], "val": [["yes", "yes"]], "test": [], "oos_train": [],
         "oos_val": [["huh", "oos"]], "oos_test": []}  # fmt: skip


def read(tmp_path: Path, name: str, *contents: bytes) -> list[tuple[str, str, str]]:
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(content)
    return list(PUBLIC_SETS[name].read(paths))


def test_sets_in_their_original_formats(tmp_path):
    assert read(tmp_path, "sms-spam", SMS) == [
        ("", 'Ok \x85 lar, "u"', "ham"), ("", "£100 win\tnow", "spam"),
    ]  # fmt: skip
    assert read(tmp_path, "trec", b"DESC:manner How did serf\xf0dom end ?\nLOC:city Where ?\n", b"HUM:ind Who ?\n") == [
        ("train", "How did serf dom end ?", "DESC"), ("train", "Where ?", "LOC"), ("test", "Who ?", "HUM"),
    ]  # fmt: skip
    assert read(tmp_path, "sst2", zipped(SST)) == [
        ("train", "It 's ( 1/2", "positive"), ("dev", "Bad .", "negative"), ("test", "Dull", "negative"),
    ]  # fmt: skip
    news = b'"3","Wall St.","Short-sellers, ""bears"" are\\back"\n', b'"4","T","D"\n'
    assert read(tmp_path, "ag-news", *news) == [
        ("train", 'Wall St. Short-sellers, "bears" are\\back', "Business"), ("test", "T D", "Sci/Tech"),
    ]  # fmt: skip
    assert read(tmp_path, "clinc150", json.dumps(CLINC).encode()) == [
        ("train", "hi", "greeting"), ("val", "yes", "yes"), ("oos_val", "huh", "oos"),
    ]  # fmt: skip


def test_enron_messages_and_subjects(tmp_path):
    first = tarred(
        {
            "enron1/Summary.txt": b"no message",
            "enron1/ham/0001.1999-12-10.farmer.ham.txt": b"Subject: christmas\r\ntree \xe9\r\n",
            "../../etc/ham/x.txt": b"Subject: up",
            "enron1/ham/link.txt": None,
        }
    )
    archives = first, tarred({"enron2/spam/0002.spam.txt": b"Subject: win\nmoney"})
    files = *archives, *[tarred({})] * 4
    assert read(tmp_path, "enron-spam", *files) == [
        ("", "Subject: christmas\ntree é", "ham"), ("", "Subject: up", "ham"), ("", "Subject: win\nmoney", "spam"),
    ]  # fmt: skip
    assert read(tmp_path, "enron-subjects", *files) == [
        ("", "christmas", "ham"), ("", "up", "ham"), ("", "win", "spam"),
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == set("012345")


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("sms-spam", [b"<html>"], "not a readable archive"),
        ("sms-spam", [SMS[:-30]], "not a readable archive"),
        ("sms-spam", [zipped({"../SMSSpamCollection": b"ham\tx"})], "has no member 'SMSSpamCollection'"),
        (
            "sms-spam",
            [zipped({"SMSSpamCollection": b"no tab"})],
            "not in the format of the data set: 'no tab'",
        ),
        ("sms-spam", [zipped({"SMSSpamCollection": b"ham\t\xff"})], "byte 4 is not valid UTF-8"),
        ("sms-spam", [zipped({"SMSSpamCollection": bytes(9 << 20)})], "more than 8,388,608 bytes"),
        ("enron-spam", [b"x" * 100], "not a readable archive"),
        ("enron-spam", [tarred({"a/ham/b.txt": b"x" * 5000})[:-60]], "not a readable archive"),
        ("trec", [b"<html>\n", b""], "not in the format of the data set"),
        ("sst2", [zipped(SST | {"trees/dev.txt": b"(9 what)"})], "not in the format of the data set"),
        ("ag-news", [b"5,a,b\n", b""], "not in the format of the data set"),
        ("clinc150", [b"[" * 100_000], "is not JSON in the format"),
        ("clinc150", [b'{"train": [["a"]]}'], "is not JSON in the format"),
    ],
)
def test_other_content_is_refused(tmp_path, name, contents, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, name, *contents)


def test_a_hostile_tar_archive(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(tarred({"a/ham/b.txt": bytes(1 << 20)}))
    with pytest.raises(DataError, match="more than 100,000 bytes"):
        list(read_tar_members(path, 100_000))
    path.write_bytes(gzip.compress(bytes(1 << 20)))
    assert list(read_tar_members(path, 2 << 20)) == []  # an empty archive
    path.write_bytes(tarred({"a": b"", "b": b"", "c": b""}))
    with pytest.raises(DataError, match="more than 2 members"):
        list(read_tar_members(path, 100_000, max_members=2))


def test_the_declared_size_of_a_zip_member_is_not_trusted(tmp_path):
    path = tmp_path / "a.zip"
    content = bytearray(zipped({"x": bytes(1 << 20)}))
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_zip_member(path, "x", 1000)


def test_addresses_are_https_and_sets_are_complete():
    for name, known in PUBLIC_SETS.items():
        assert known.licence, name
        assert known.citation, name
        names = [file.name for file in known.files]
        assert len(set(names)) == len(names)
        for file in known.files:
            assert file.url.startswith("https://")
            assert "/" not in file.name
            assert file.sha256 is None or len(file.sha256) == 64

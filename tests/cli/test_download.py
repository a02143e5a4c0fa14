"""`lmclassify download` as a user runs it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lmclassify.datasets.public_sets import PUBLIC_SETS
from tests.cli.helpers import one_line
from tests.conftest import run_cli
from tests.datasets.file_server import FileServer, server  # noqa: F401
from tests.datasets.test_public_sets import CLINC, SMS

TREC = {"/train_5500.label": b"DESC:manner How ?\nLOC:city Where ?\n", "/TREC_10.label": b"HUM:ind Who ?\n"}
_SHA256 = {name[1:]: hashlib.sha256(content).hexdigest() for name, content in TREC.items()}
OURS = [part for name, checksum in _SHA256.items() for part in ("--sha256", f"{name}={checksum}")]


@pytest.fixture
def home(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileServer:  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    server.files = {**TREC, "/data_full.json": json.dumps(CLINC).encode(), "/sms.zip": SMS}
    return server


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "cache")


def test_a_set_of_two_parts(home, tmp_path):
    done = run_cli("download", "trec", "--url", home.url, *OURS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "trec.train.csv").read_text() == "text,label\nHow ?,DESC\nWhere ?,LOC\n"
    assert (tmp_path / "trec.test.csv").read_text() == "text,label\nWho ?,HUM\n"
    said = done.stderr.decode()
    assert (
        said.index("licence: ")
        < said.index("cite: Li, Roth")
        < said.index(f"downloading {home.url}TREC_10.label")
    )
    assert "2 texts written to trec.train.csv" in said
    assert "at most 4 MB" in said
    assert there(tmp_path / "cache" / "lmclassify" / "downloads" / "trec") == ["lock"]


def test_the_first_checksum_is_kept(home, tmp_path):
    get = "download", "clinc150", "--url", home.url + "data_full.json", "-o", "x.csv"
    done = run_cli(*get, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "required from now on" in done.stderr.decode()
    names = [f"x.{part}.csv" for part in sorted(PUBLIC_SETS["clinc150"].parts)]
    assert there(tmp_path) == names
    assert (tmp_path / "x.oos_test.csv").read_text() == "text,label\n"
    before = (tmp_path / "x.train.csv").read_bytes()
    changed = json.dumps(CLINC | {"train": [["bye", "goodbye"]]}).encode()
    home.files["/data_full.json"] = changed
    error = one_line_of(run_cli(*get, "-q", cwd=tmp_path))
    checksum = hashlib.sha256(changed).hexdigest()
    assert f"data_full.json has SHA-256 {checksum}, not " in error
    assert (tmp_path / "x.train.csv").read_bytes() == before
    assert run_cli(*get, "--sha256", checksum, cwd=tmp_path).returncode == 0
    assert run_cli(*get, cwd=tmp_path).returncode == 0
    assert "goodbye" in (tmp_path / "x.train.csv").read_text()


def one_line_of(done):
    """Return the only line on standard error (which -q leaves)."""
    (line,) = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    return line


def test_what_is_not_the_published_file_is_refused(home, tmp_path):
    error = one_line(run_cli("download", "sms-spam", "--url", home.url + "sms.zip", cwd=tmp_path))
    assert "not 1587ea43e58e" in error
    assert there(tmp_path) == []
    done = run_cli(
        "download", "sms-spam", "--url", home.url + "sms.zip", "-o", "-", "-q",
        "--sha256", hashlib.sha256(SMS).hexdigest().upper(), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().startswith('text,label\n"Ok \x85 lar, ""u""",ham\n')


def test_a_page_in_place_of_the_file_is_not_remembered(home, tmp_path):
    get = "download", "clinc150", "--url", home.url + "data_full.json"
    right, home.files["/data_full.json"] = home.files["/data_full.json"], b"<html>Log in</html>"
    assert "is not JSON in the format" in one_line(run_cli(*get, cwd=tmp_path))
    assert there(tmp_path) == []
    home.files["/data_full.json"] = right
    assert run_cli(*get, cwd=tmp_path).returncode == 0


def test_files_that_are_there_are_not_fetched_again(home, tmp_path):
    home.plan = ["well", 403]
    assert "403 Forbidden" in one_line(run_cli("download", "trec", "--url", home.url, *OURS, cwd=tmp_path))
    assert there(tmp_path) == []
    assert run_cli("download", "trec", "--url", home.url, *OURS, cwd=tmp_path).returncode == 0
    assert len(home.requests) == 3


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        (["trec", "-o", "-"], 2, "which standard output cannot hold"),
        (["trec", "--url", "http://x/y"], 2, "give the URL of their folder, ending in /"),
        (["sms-spam", "--url", "file:///etc/passwd"], 1, "is not a URL that begins with https://"),
        (["sms-spam", "--sha256", "12"], 2, "64 hexadecimal digits"),
        (["trec", "--sha256", "0" * 64], 2, "expected FILE=HEX"),
        (["sms-spam", "-o", "absent/x.csv"], 1, "cannot write absent/x.csv"),
        (["sms-spam", "-o", "x.doc"], 1, "does not tell the format"),
        (["sms-spam", "--cache", "file"], 1, "use --cache to name another folder"),
    ],
)
def test_misuse(home, tmp_path, options, status, error):
    (tmp_path / "file").touch()
    assert error in one_line(run_cli("download", *options, cwd=tmp_path), status)
    assert there(tmp_path) == ["file"]


def test_a_list(tmp_path):
    done = run_cli("download", cwd=tmp_path)
    assert [line.split(":")[0] for line in done.stdout.decode().splitlines()] == list(PUBLIC_SETS)
    assert "trec: questions by type of answer, 6 labels (train, test); licence: none" in done.stdout.decode()


def test_one_at_a_time(home, tmp_path):
    import fcntl

    folder = tmp_path / "cache" / "lmclassify" / "downloads" / "trec"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert "another process" in one_line(run_cli("download", "trec", "--url", home.url, cwd=tmp_path))

"""Files that are replaced atomically: content, permissions, links."""

from __future__ import annotations

import os
import stat

import pytest

from lmclassify import OutputError
from lmclassify.persistence.atomic_file import FileWriter


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    with FileWriter(str(path)) as writer:
        writer.write_bytes("né".encode())
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "né"
    with pytest.raises(RuntimeError), FileWriter(str(path)) as writer:
        writer.write_bytes(b"half")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["page.html"]
    assert path.read_text(encoding="utf-8") == "né"
    with pytest.raises(OutputError, match="cannot write .*nowhere.page.html: No such file"):
        FileWriter(str(tmp_path / "nowhere" / "page.html"))


def write(path, content=b"new"):
    with FileWriter(str(path)) as file:
        file.write_bytes(content)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_have_the_permissions_that_the_umask_leaves(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions_and_owner(tmp_path, mode):
    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    before = path.stat()
    write(path)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_where_the_group_cannot_be_kept_no_other_group_may_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    path = tmp_path / "old"
    path.write_bytes(b"old")
    path.chmod(0o640)
    monkeypatch.setattr(os, "chown", refuse)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_files_of_another_user_in_a_shared_folder_are_not_replaced(tmp_path, monkeypatch, kind):
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o1777)
    if kind != "dangling link":
        own.write_bytes(b"precious")
    path = shared / "out.csv"
    path.symlink_to(own) if kind != "file" else path.write_bytes(b"precious")
    write(path)  # our own file may be replaced
    own.write_bytes(b"precious")
    real = os.lstat

    def owned_by_another_user(asked, **options):
        found = real(asked, **options)
        if os.fspath(asked) != str(path):
            return found
        return os.stat_result([*found[:4], found.st_uid + 1, *found[5:10]])

    monkeypatch.setattr(os, "lstat", owned_by_another_user)
    with pytest.raises(OutputError, match="belongs to another user"):
        FileWriter(str(path))
    shared.chmod(0o755)  # only its owner puts files there
    write(path)
    assert own.read_bytes() == (b"precious" if kind == "file" else b"new")


def test_the_temporary_file_is_private(tmp_path):
    with FileWriter(str(tmp_path / "new")) as file:
        file.write_bytes(b"half")
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600

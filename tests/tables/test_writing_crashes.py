"""What `predict -o` writes when it is killed, finds no room or is not alone: the old file or the new one, whole."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from lmclassify import OutputError
from lmclassify.tables.writing import FileWriter
from tests.conftest import ROOT
from tests.persistence.crashing import REFUSED, in_child, killed_at, limited, unprivileged

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are not forked there")
OLD, NEW = b"old\n" * 50_000, b"newer\n" * 50_000


def write(path: Path, content: bytes = NEW) -> None:
    with FileWriter(str(path)) as writer:
        for start in range(0, len(content), 100_000):
            writer.write_bytes(content[start : start + 100_000])


@pytest.mark.parametrize("old", [OLD, None])
def test_killed_at_every_change_to_the_disk_a_writer_leaves_a_whole_file(tmp_path, old):
    path, found = tmp_path / "out.csv", []
    for moment in range(100):
        if old is not None:
            path.write_bytes(old)
        killed = killed_at(moment, lambda: write(path))
        found.append(path.read_bytes() if path.exists() else None)
        assert found[-1] in (old, NEW)
        path.unlink(missing_ok=True)
        if not killed:
            break
    assert not killed
    assert found[0] == old
    assert len(found) > 8
    drafts = os.listdir(tmp_path)  # what a killed process cannot take away: hidden, and named after the file
    assert all(name.startswith(".out.csv.") for name in drafts)


@pytest.mark.long
def test_killed_at_random_moments_a_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)

    def again() -> None:
        while True:
            write(path, NEW)
            write(path, OLD)

    rng = random.Random(0)
    for _ in range(200):
        in_child(again, kill_after=rng.uniform(0.0, 0.02))
        assert path.read_bytes() in (OLD, NEW)


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_without_room_the_old_file_stays_and_nothing_else(tmp_path, size):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)
    assert in_child(limited(size, lambda: write(path))) == REFUSED
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["out.csv"]


def test_where_nothing_may_be_written_the_old_file_stays():
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "out.csv"
        path.write_bytes(OLD)
        os.chmod(place, 0o555)
        assert in_child(unprivileged(lambda: write(path))) == REFUSED
        assert path.read_bytes() == OLD
        assert os.listdir(place) == ["out.csv"]
        os.chmod(place, 0o755)


def test_two_writers_at_once_leave_the_file_of_one(tmp_path):
    path = tmp_path / "out.csv"
    threads = [
        threading.Thread(target=write, args=(path, content)) for content in (OLD, NEW) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (OLD, NEW)
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_full_device_is_told(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device"):
        write(Path("/dev/full"))


def test_predict_without_room_says_so_in_one_line_and_needs_no_folder_for_temporary_files(saved, tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "out.csv"
    data.write_text("text\n" + "Your invoice is ready\n" * 2000)
    out.write_bytes(OLD)
    command = [sys.executable, "-m", "lmclassify", "predict", data, "-m", saved, "-o", out]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "missing"), "PYTHONDONTWRITEBYTECODE": "1"}

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        command, cwd=ROOT, env=environment, preexec_fn=no_room, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"lmclassify: error: cannot write {out}: File too large"
    assert out.read_bytes() == OLD
    assert sorted(os.listdir(tmp_path)) == ["data.csv", "out.csv"]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert out.read_bytes().count(b"\n") == 2001

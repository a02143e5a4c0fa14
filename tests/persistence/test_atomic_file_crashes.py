"""A `FileWriter` that is killed, runs out of space or is not alone leaves the old file or the new one."""

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
from lmclassify.persistence.atomic_file import FileWriter
from tests.conftest import ROOT
from tests.persistence.crashing import REFUSED, in_child, killed_at, limited, unprivileged

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are not forked there")
OLD, NEW = b"old\n" * 50_000, b"newer\n" * 50_000


def write(path: Path, content: bytes = NEW) -> None:
    with FileWriter(str(path)) as writer:
        for start in range(0, len(content), 100_000):
            writer.write_bytes(content[start : start + 100_000])


@pytest.mark.long
@pytest.mark.parametrize("old", [OLD, None])
def test_killed_at_every_disk_operation(tmp_path, old):
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
    left = os.listdir(tmp_path)  # a killed process cannot remove its hidden temporary file
    assert all(name.startswith(".out.csv.") for name in left)


@pytest.mark.long
def test_killed_at_random_moments(tmp_path):
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
def test_a_full_disk_leaves_the_old_file(tmp_path, size):
    path = tmp_path / "out.csv"
    path.write_bytes(OLD)
    assert in_child(limited(size, lambda: write(path))) == REFUSED
    assert path.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["out.csv"]


def test_missing_permissions_leave_the_old_file():
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "out.csv"
        path.write_bytes(OLD)
        os.chmod(place, 0o555)
        assert in_child(unprivileged(lambda: write(path))) == REFUSED
        assert path.read_bytes() == OLD
        assert os.listdir(place) == ["out.csv"]
        os.chmod(place, 0o755)


def test_concurrent_writers_leave_the_file_of_one(tmp_path):
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


@pytest.mark.long
def test_a_full_device_is_reported():
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left on device"):
        write(Path("/dev/full"))


@pytest.mark.long
def test_predict_on_a_full_disk_fails_with_one_line_and_needs_no_temporary_folder(saved, tmp_path):
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

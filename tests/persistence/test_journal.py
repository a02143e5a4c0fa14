"""Journals beside a saved model: appending, other writers, crashes, full disks, and new models."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmclassify import LMClassifyWarning, ModelError, OutputError
from lmclassify.persistence import commit
from lmclassify.persistence.commit import check_target, write_model
from lmclassify.persistence.journal import (
    Journal,
    JournalReplacedError,
    folder_journal,
    model_journal,
    model_state,
    read_model_with_journal,
    replace_model,
)
from lmclassify.persistence.layout import ModelFile, StoredModel
from lmclassify.persistence.reading import read_model
from tests.conftest import ROOT
from tests.persistence.crashing import FINISHED, REFUSED, in_child, killed_at, limited, unprivileged

MODEL = StoredModel({"labels": ["a"]}, [ModelFile("tokenizer", b'{"lmclassify": "tokenizer"}', "json")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", MODEL)
    return tmp_path / "model"


def opened(folder: Path) -> Journal:
    journal = folder_journal(folder)
    journal.read()
    return journal


def stored(folder: Path) -> list[bytes]:
    return folder_journal(folder).read()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_records_are_read_in_order_after_loading(folder):
    journal = opened(folder)
    assert (journal.records, journal.size, journal.path.exists()) == (0, 0, False)
    for record in (b"one", b"two" * 1000, b"\0"):
        journal.append(record)
    assert stored(folder) == journal.read() == [b"one", b"two" * 1000, b"\0"]
    assert (journal.records, journal.size) == (3, journal.path.stat().st_size)
    assert names(folder) == ["1.json", "3.journal", "config.json", "training.jsonl"]
    check_target(folder)  # a model with a journal may be replaced


def test_read_new_returns_what_others_appended(folder):
    mine, other = opened(folder), opened(folder)
    mine.append(b"mine")
    assert mine.read_new() == []  # it has this one
    assert other.read_new() == [b"mine"]
    other.append(b"theirs")
    mine.append(b"mine again")
    assert (mine.read_new(), mine.records) == ([b"theirs"], 3)
    assert (other.read_new(), other.read_new()) == ([b"mine again"], [])


def test_nothing_is_opened_while_the_file_is_unchanged(folder, monkeypatch):
    journal = opened(folder)
    journal.append(b"one")
    monkeypatch.setattr(os, "open", None)
    assert journal.read_new() == []


@pytest.mark.parametrize("kept", [1, 40, 101, 103, 110, 132, 140])
def test_a_record_that_a_crash_cut_off_is_ignored_and_then_replaced(folder, kept):
    journal = opened(folder)
    journal.append(b"one")
    whole = journal.size
    journal.append(b"record that is cut off")
    assert kept < journal.size
    os.truncate(journal.path, kept)
    with pytest.warns(LMClassifyWarning, match="cannot be read and are ignored"):
        read_model_with_journal(folder)
    again = opened(folder)
    expected = [b"one"] if kept >= whole else []
    assert (again.records, again.ignored_bytes) == (len(expected), kept - again.size)
    again.append(b"two")
    assert stored(folder) == [*expected, b"two"]
    assert again.ignored_bytes == 0


@pytest.mark.parametrize("zeros_from", [0, 50, 102, 120, 135, 150])
def test_blocks_that_a_crash_left_empty_are_ignored_and_then_replaced(folder, zeros_from):
    journal = opened(folder)
    journal.append(b"one")
    whole = journal.size
    if zeros_from > whole:
        journal.append(b"two" * 10)
    with open(journal.path, "r+b") as file:
        file.seek(zeros_from)
        file.write(bytes(journal.size - zeros_from))
    check_target(folder)
    again = opened(folder)
    before = [b"one"] if zeros_from > whole else []
    again.append(b"new")
    assert stored(folder) == [*before, b"new"]


@pytest.mark.parametrize("at", [3, 100, 104, 109, 114, 125])
def test_nothing_is_appended_to_a_damaged_file(folder, at):
    """Records that were acknowledged stay where somebody may still find them."""
    journal = opened(folder)
    for record in (b"one", b"two", b"three"):
        journal.append(record)
    content = bytearray(journal.path.read_bytes())
    content[at] ^= 64
    journal.path.write_bytes(content)
    again = opened(folder)
    assert again.records == 0
    with pytest.raises(
        OutputError, match=r"damaged after 0 records: restore .* `lmclassify learn --compact`"
    ):
        again.append(b"four")
    assert journal.path.read_bytes() == content
    again.reset([b"four"])
    assert stored(folder) == [b"four"]


def test_a_file_of_another_program_is_not_overwritten(folder):
    (folder / "3.journal").write_text("A diary.")
    with pytest.raises(OutputError, match="damaged after 0 records"):
        opened(folder).append(b"one")
    with pytest.raises(OutputError, match=r"no model's \(3.journal\)"):
        write_model(folder, MODEL)
    assert (folder / "3.journal").read_text() == "A diary."


def test_a_new_model_has_no_journal(folder):
    old = opened(folder)
    old.append(b"one")
    write_model(folder, MODEL)
    assert names(folder) == ["1.json", "config.json", "training.jsonl"]
    for call in (old.read_new, old.read, lambda: old.append(b"two"), old.reset):
        with pytest.raises(
            JournalReplacedError, match="changed by another process meanwhile: run this again"
        ):
            call()
    assert stored(folder) == []
    opened(folder).append(b"new")
    assert stored(folder) == [b"new"]


def test_a_model_that_was_replaced_before_the_first_record_is_noticed(folder):
    old = opened(folder)
    write_model(folder, MODEL)
    with pytest.raises(JournalReplacedError):
        old.read_new()


def test_a_new_model_may_carry_records_over(folder):
    """As compaction does; what others append meanwhile waits and is not lost."""
    old = opened(folder)
    old.append(b"one")
    with old.locked():
        write_model(folder, MODEL, journals={"journal": [*old.read(), b"two"], "texts": [b"text"]})
    assert stored(folder) == [b"one", b"two"]
    texts = model_journal(read_model(folder), "texts")
    assert texts.read() == [b"text"]
    assert stat.S_IMODE(texts.path.stat().st_mode) == 0o600
    opened(folder).append(b"three")
    assert stored(folder) == [b"one", b"two", b"three"]


def test_a_changed_model_replaces_the_one_that_it_was_made_from(folder):
    """As `update` does: nothing that was taught meanwhile is lost, and kept texts stay."""
    texts = folder_journal(folder, "texts")
    texts.append(b"text")
    journal = opened(folder)
    journal.append(b"one")
    state = model_state(folder)
    journal.append(b"two")
    new = StoredModel({"labels": ["b"]}, MODEL.files)
    with pytest.raises(OutputError, match="changed by another process meanwhile: run this again"):
        replace_model(folder, new, state)
    assert stored(folder) == [b"one", b"two"]
    replace_model(folder, new, model_state(folder))
    assert (read_model(folder).config, stored(folder)) == (new.config, [])
    texts = folder_journal(folder, "texts")
    assert texts.read() == [b"text"]
    assert stat.S_IMODE(texts.path.stat().st_mode) == 0o600
    with pytest.raises(OutputError, match="changed by another process"):
        replace_model(folder, MODEL, state)


def test_records_that_cannot_be_written_leave_the_old_model(folder):
    opened(folder).append(b"one")
    before = names(folder)
    with pytest.raises(ValueError, match="a record has"):
        write_model(folder, MODEL, journals={"journal": [b"two", b""]})
    assert (names(folder), stored(folder)) == (before, [b"one"])


@pytest.mark.long
def test_killed_at_any_disk_operation_of_a_commit_the_records_of_the_model_are_there(folder):
    opened(folder).append(b"one")
    new = StoredModel({"labels": ["b"]}, MODEL.files)
    moment = 0
    while killed_at(moment, lambda: write_model(folder, new, journals={"journal": [b"one", b"two"]})):
        model, _, records = read_model_with_journal(folder)
        assert records == ([b"one", b"two"] if model.config == new.config else [b"one"])
        write_model(folder, MODEL, journals={"journal": [b"one"]})
        moment += 1
    assert moment > 10


def test_the_journal_of_another_model_is_not_read(folder, tmp_path):
    journal = opened(folder)
    journal.append(b"one")
    other = StoredModel({"labels": ["b"]}, MODEL.files)
    write_model(tmp_path / "other", other)
    shutil.copy(journal.path, tmp_path / "other")
    found = opened(tmp_path / "other")
    assert (found.records, found.other_model) == (0, True)
    found.append(b"two")
    assert (stored(tmp_path / "other"), found.other_model) == ([b"two"], False)


def test_a_copied_folder_has_the_records(folder, tmp_path):
    opened(folder).append(b"one")
    shutil.copytree(folder, tmp_path / "copy")
    opened(tmp_path / "copy").append(b"two")
    assert (stored(folder), stored(tmp_path / "copy")) == ([b"one"], [b"one", b"two"])


def test_reset_replaces_the_records(folder):
    mine, other = opened(folder), opened(folder)
    mine.append(b"one")
    assert other.read_new() == [b"one"]
    mine.reset([b"two", b"three"])
    mine.append(b"four")
    assert mine.read_new() == []
    for call in (other.read_new, lambda: other.append(b"five")):
        with pytest.raises(JournalReplacedError):
            call()
    assert other.read() == [b"two", b"three", b"four"]
    mine.reset()
    assert (stored(folder), mine.records) == ([], 0)
    assert names(folder) == ["1.json", "config.json", "training.jsonl"]
    mine.append(b"six")
    assert stored(folder) == [b"six"]


def test_the_draft_of_a_killed_reset_is_harmless(folder):
    journal = opened(folder)
    journal.append(b"one")
    draft = folder / "3.journal.draft"
    shutil.copy(journal.path, draft)
    journal.reset([b"two"])
    assert (stored(folder), draft.exists()) == ([b"two"], False)
    shutil.copy(journal.path, draft)
    write_model(folder, MODEL)
    assert names(folder) == ["1.json", "config.json", "training.jsonl"]


@pytest.mark.parametrize(("method", "name"), [("append", "write"), ("append", "fsync"), ("reset", "fsync")])
@pytest.mark.parametrize("before", [[], [b"one"]])
def test_nothing_of_a_record_stays_if_the_disk_fails(folder, monkeypatch, name, method, before):
    journal = opened(folder)
    for record in before:
        journal.append(record)
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    real = getattr(os, name)

    def failing(descriptor: int, *rest: bytes) -> None:
        for data in rest:
            real(descriptor, data[:30])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, failing)
    with pytest.raises(OutputError, match=r"cannot write .*3\.journal: No space left on device: make room"):
        journal.append(b"two") if method == "append" else journal.reset([b"two"])
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content
    journal.append(b"three")
    assert stored(folder) == [*before, b"three"]


@pytest.mark.parametrize("room", [0, 110, 200])
def test_a_full_disk_leaves_the_records(folder, room):
    journal = opened(folder)
    journal.append(b"one")
    for work in (lambda: journal.append(b"x" * 200), lambda: journal.reset([b"x" * 200])):
        assert in_child(limited(room, work)) == REFUSED
        assert stored(folder) == [b"one"]
    assert names(folder) == ["1.json", "3.journal", "config.json", "training.jsonl"]


def test_an_interrupt_leaves_nothing_of_the_record(folder, monkeypatch):
    journal = opened(folder)
    journal.append(b"one")

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"two")
    assert stored(folder) == [b"one"]


def test_a_read_only_folder_is_read_but_not_appended_to():
    with tempfile.TemporaryDirectory() as place:  # other users may enter it, unlike pytest's
        os.chmod(place, 0o755)
        folder = Path(place) / "model"
        write_model(folder, MODEL)

        def refused() -> None:
            journal = opened(folder)
            with pytest.raises(OutputError, match="copy the model to a folder of your own"):
                journal.append(b"two")
            assert journal.read() == before

        folder.chmod(0o555)
        before: list[bytes] = []
        assert in_child(unprivileged(refused)) == FINISHED
        folder.chmod(0o755)
        opened(folder).append(b"one")
        before = [b"one"]
        (folder / "3.journal").chmod(0o444)
        folder.chmod(0o555)
        assert in_child(unprivileged(refused)) == FINISHED


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_plain_files_are_read_and_written(folder, tmp_path, kind):
    path = folder / "3.journal"
    (tmp_path / "outside").write_bytes(b"")
    {
        "link": lambda: path.symlink_to(tmp_path / "outside"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    journal = model_journal(read_model(folder))
    with pytest.raises(ModelError, match="plain files"):
        journal.read()
    with pytest.raises(ModelError, match="plain files"):
        journal.append(b"one")
    assert (tmp_path / "outside").read_bytes() == b""


def test_a_file_that_is_too_large_is_refused(folder):
    journal = opened(folder)
    journal.append(b"one")
    os.truncate(journal.path, 1 << 40)
    with pytest.raises(ModelError, match="too large; restore it from a copy"):
        read_model_with_journal(folder)


def test_threads_and_objects_append_in_turn(folder):
    journals = [opened(folder), opened(folder)]

    def add(number: int) -> int:
        journal = journals[number % 2]
        with journal.locked():
            journal.read_new()
            count = journal.records
            journal.append(b"%d" % count)
            return count

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(40))) == list(range(40))
    assert stored(folder) == [b"%d" % number for number in range(40)]


def test_the_lock_is_released_and_may_be_taken_again(folder):
    journal = opened(folder)
    with journal.locked(), journal.locked(), commit.locked(folder):
        journal.append(b"one")
        with ThreadPoolExecutor(1) as pool, pytest.raises(BlockingIOError):
            pool.submit(lambda: commit.locked(folder, wait=False).__enter__()).result()
    with ThreadPoolExecutor(1) as pool, commit.locked(folder), pytest.raises(BlockingIOError):
        pool.submit(lambda: commit.locked(folder, wait=False).__enter__()).result()
    with commit.locked(folder, wait=False):
        pass


def test_a_reader_sees_whole_records_while_another_thread_writes(folder):
    """A failed append shortens the file; a reader that has seen its record must load the model again."""
    reader, writer = opened(folder), opened(folder)
    writer.append(b"one")
    whole = writer.path.read_bytes()
    writer.append(b"failed later")
    assert reader.read_new() == [b"one", b"failed later"]
    writer.path.write_bytes(whole)
    opened(folder).append(b"of same size")
    with pytest.raises(JournalReplacedError):
        reader.append(b"three")
    assert stored(folder) == [b"one", b"of same size"]


WRITER = """
import sys
from lmclassify.persistence.journal import read_model_with_journal
journal = read_model_with_journal(sys.argv[1])[1]
for number in range(int(sys.argv[3])):
    record = f"{sys.argv[2]} {number} " + "x" * (number * 37 % 5000)
    journal.append(record.encode())
    print(record.split(" x")[0].strip(), flush=True)
"""


def start(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def begun(record: bytes) -> str:
    return record.decode().split(" x")[0].strip()


@pytest.mark.long
def test_two_processes_append_at_once(folder):
    writers = [start(folder, name, 100) for name in ("a", "b")]
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    found = [begun(record) for record in stored(folder)]
    for name in ("a", "b"):
        assert [one for one in found if one[0] == name] == [f"{name} {number}" for number in range(100)]


@pytest.mark.long
@pytest.mark.parametrize("after", [1, 20, 50])
def test_a_killed_writer_loses_no_acknowledged_record(folder, after):
    acknowledged = []
    with start(folder, "a", 1_000_000) as writer:
        for line in writer.stdout:
            acknowledged.append(line.strip())
            if len(acknowledged) == after:
                writer.send_signal(signal.SIGKILL)
    found = [begun(record) for record in stored(folder)]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
    opened(folder).append(b"next")
    assert stored(folder)[-1] == b"next"


@pytest.mark.long
def test_killed_at_random_moments(folder):
    journal = opened(folder)

    def work() -> None:
        for number in range(10_000):
            journal.append(b"%d " % number * 300)

    for number in range(15):
        assert in_child(work, kill_after=0.002 * (number + 1)) in (-signal.SIGKILL, FINISHED)
        records = stored(folder)
        assert [record.split()[0] for record in records] == [b"%d" % index for index in range(len(records))]
        journal.reset()

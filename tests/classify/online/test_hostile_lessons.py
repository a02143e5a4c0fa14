"""Lessons when processes are killed, files are damaged or protected, and senders would like to teach."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import lmclassify
from lmclassify import LMClassifyWarning, OutputError
from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.persistence.journal import folder_journal
from tests.conftest import ROOT
from tests.persistence.crashing import FINISHED, in_child, unprivileged

MESSAGE = b"Message-ID: <%s>\r\nSubject: %s\r\n%s\r\nThe meeting is at ten.\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    empty_model(["ham", "spam"]).save(tmp_path / "model")
    return tmp_path / "model"


def taught(folder: Path) -> list[str]:
    return [identity.hex() for identity in LearningFolder(folder).model.lessons.taught]


LEARNER = """
import sys
from lmclassify.classify.online.folder import LearningFolder
learner = LearningFolder(sys.argv[1])
for number in range(1_000_000):
    lesson = learner.learn(f"text {number} of {sys.argv[2]}", "spam" if number % 2 else "ham")
    print(lesson["id"], flush=True)
"""


@pytest.mark.long
def test_killed_learners_lose_no_lesson_and_count_none_twice(folder):
    LearningFolder(folder).texts.set_limit(1000)
    learners = [
        subprocess.Popen(
            [sys.executable, "-c", LEARNER, folder, name], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for name in ("first", "second")
    ]
    acknowledged = []
    for learner, after in zip(learners, (5, 30), strict=True):
        with learner:
            for number, line in enumerate(learner.stdout):
                acknowledged.append(line.strip())
                if number == after:
                    learner.kill()
    assert {*acknowledged} <= {*taught(folder)}
    assert len(taught(folder)) <= len(acknowledged) + 2
    records = folder_journal(folder).read()
    assert len(records) == len({record[:16] for record in records}) == len(taught(folder))
    assert {*acknowledged} <= {kept.id for kept in LearningFolder(folder).texts.texts()}


def test_a_damaged_journal_is_reported_and_stops_learning_until_it_is_compacted(folder):
    learner = LearningFolder(folder)
    for number in range(4):
        learner.learn(f"text {number}", "spam")
    path = folder_journal(folder).path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.warns(LMClassifyWarning, match=r"after \d records? cannot be read and are ignored"):
        learner = LearningFolder(folder)
    intact = len(learner.model.lessons.taught)
    assert 0 < intact < 4
    with pytest.warns(LMClassifyWarning, match="cannot be read"):
        assert len(lmclassify.load(folder).lessons.taught) == intact
    with pytest.raises(OutputError, match=r"damaged after \d records?: restore it from a copy, or run"):
        learner.learn("new text", "spam")
    assert len(learner.model.lessons.taught) == intact
    assert path.read_bytes() == content
    learner.compact()
    assert learner.learn("new text", "spam")["changed"]
    assert len(taught(folder)) == intact + 1


def test_a_protected_folder_is_used_but_not_taught():
    with tempfile.TemporaryDirectory() as place:  # other users may enter it, unlike pytest's
        os.chmod(place, 0o755)
        folder = Path(place) / "model"
        empty_model(["ham", "spam"]).save(folder)
        LearningFolder(folder).learn("win money", "spam")
        (folder / folder_journal(folder).path.name).chmod(0o444)
        folder.chmod(0o555)

        def work() -> None:
            learner = LearningFolder(folder)
            assert learner.model.predict(["win money"]).tolist() == ["spam"]
            with pytest.raises(OutputError, match="copy the model to a folder of your own"):
                learner.learn("lunch", "ham")
            assert len(learner.model.lessons.taught) == 1

        assert in_child(unprivileged(work)) == FINISHED


def test_a_full_disk_teaches_nothing(folder, monkeypatch):
    learner = LearningFolder(folder)
    learner.texts.set_limit(10)
    learner.learn("win money", "spam")
    before = learner.model.predict_proba(["win money"]).tolist()

    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)
    for text, label in (("lunch", "ham"), ("win money", "ham")):
        with pytest.raises(OutputError, match="No space left on device: make room on the disk"):
            learner.learn(text, label)
    monkeypatch.undo()
    assert learner.model.predict_proba(["win money"]).tolist() == before
    assert len(taught(folder)) == len(learner.model.lessons.taught) == 1
    assert learner.learn("lunch", "ham")["changed"]


def test_senders_choose_message_ids_so_these_never_count(folder):
    learner = LearningFolder(folder)

    def learn(identity: bytes, subject: bytes, more: bytes = b"") -> bool:
        text = learner.model.read_mail(MESSAGE % (identity, subject, more))
        return learner.learn(text, "ham")["changed"]

    assert learn(b"1@example.com", b"Meeting")
    assert not learn(b"2@example.com", b"Meeting")
    assert learn(b"1@example.com", b"Another meeting")
    assert not learn(b"3@example.com", b"Meeting", b"X-LMClassify-Label: spam\r\n")
    assert len(taught(folder)) == 2

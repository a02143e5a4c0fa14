"""Saved models that learn: the journal, other processes, compaction, taking back."""

import time
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, LMClassifyWarning, OptionError, OutputError
from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.persistence import commit

TEXTS = [f"{word} number {index}" for index, word in enumerate(("prize", "lunch") * 10)]
LABELS = ["spam", "ham"] * 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    empty_model(["ham", "spam"]).save(tmp_path / "model")
    return tmp_path / "model"


def teach(folder: LearningFolder, numbers: range = range(20)) -> None:
    for number in numbers:
        folder.learn(TEXTS[number], LABELS[number])


def joint(path: Path) -> np.ndarray:
    return lmclassify.load(path).predict_joint_log_proba([*TEXTS, "prize", "other"])


def test_a_model_loads_with_all_lessons_of_its_journal(path):
    folder = LearningFolder(path)
    teach(folder)
    np.testing.assert_array_equal(
        joint(path), folder.model.predict_joint_log_proba([*TEXTS, "prize", "other"])
    )
    assert lmclassify.load(path).predict(["prize", "lunch"]).tolist() == ["spam", "ham"]
    assert b"prize" not in b"".join(file.read_bytes() for file in path.iterdir())


def test_several_processes_teach_one_model(path):
    first, second = LearningFolder(path), LearningFolder(path)
    teach(first, range(10))
    assert not second.learn(TEXTS[3], LABELS[3])["changed"]
    teach(second, range(10, 20))
    first.refresh()
    alone = LearningFolder(path)
    for folder in (first, second, alone):
        np.testing.assert_array_equal(folder.model.predict_joint_log_proba(TEXTS), joint(path)[:20])
        assert len(folder.model.lessons.taught) == 20


def test_a_torn_record_is_ignored(path):
    folder = LearningFolder(path)
    teach(folder)
    (journal,) = path.glob("*.journal")
    content = journal.read_bytes()
    journal.write_bytes(content[:-5])
    with pytest.warns(LMClassifyWarning, match="a crash has cut the last record off"):
        folder = LearningFolder(path)
    assert len(folder.model.lessons.taught) == 19
    folder.learn("one more", "ham")
    assert len(LearningFolder(path).model.lessons.taught) == 20


def test_compaction_changes_no_score_and_keeps_the_latest_lessons_whole(path):
    folder = LearningFolder(path)
    teach(folder)
    before = joint(path)
    folder.compact()
    np.testing.assert_array_equal(joint(path), before)
    assert folder.journal_bytes == 0
    assert not folder.learn(TEXTS[0], LABELS[0])["changed"]
    assert LearningFolder(path).learn(TEXTS[19], LABELS[19], undo=True)["changed"]


def test_lessons_that_are_not_kept_whole_cannot_be_undone(path):
    teach(LearningFolder(path))
    model = lmclassify.load(path)
    model.lessons = model.lessons.with_labels([0, 1])
    model.save(path)
    folder = LearningFolder(path)
    assert not folder.learn(TEXTS[0], LABELS[0])["changed"]
    with pytest.raises(OptionError, match="can no longer be undone, only later ones can"):
        folder.learn(TEXTS[0], LABELS[0], undo=True)


def test_a_large_journal_is_compacted_by_itself(path):
    folder = LearningFolder(path, max_journal_bytes=2000)
    teach(folder)
    assert folder.journal_bytes <= 2000
    assert len(LearningFolder(path).model.lessons.taught) == 20


def test_a_model_that_is_replaced_is_loaded_again(path):
    folder = LearningFolder(path)
    teach(folder, range(4))
    empty_model(["eggs", "ham", "spam"]).save(path)
    assert folder.learn("breakfast", "eggs")["label"] == "eggs"
    assert len(LearningFolder(path).model.lessons.taught) == 1


def test_compaction_by_another_process_keeps_both_usable(path):
    first, second = LearningFolder(path), LearningFolder(path)
    teach(first, range(10))
    second.compact()
    teach(first, range(10, 20))
    second.refresh()
    np.testing.assert_array_equal(second.model.predict_joint_log_proba(TEXTS), joint(path)[:20])


def test_lessons_are_taken_back_by_id_and_by_time(path):
    folder = LearningFolder(path)
    teach(folder, range(5))
    before = joint(path)
    since = time.time()
    poisoned = [folder.learn(f"poison {number}", "ham")["id"] for number in range(4)]
    folder.undo_id(poisoned[0])
    assert folder.undo_since(since) == 3
    np.testing.assert_array_equal(joint(path), before)
    for wrong, message in (("xyz", "is not the id"), ("ab" * 16, "there is no lesson")):
        with pytest.raises(OptionError, match=message):
            folder.undo_id(wrong)


def test_a_lesson_that_cannot_be_written_is_not_learned(path, monkeypatch):
    folder = LearningFolder(path)
    teach(folder, range(5))
    before = joint(path)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OutputError, match="make room on the disk"):
        folder.learn("another", "spam")
    monkeypatch.undo()
    np.testing.assert_array_equal(folder.model.predict_joint_log_proba([*TEXTS, "prize", "other"]), before)
    np.testing.assert_array_equal(joint(path), before)


def test_a_commit_that_fails_during_compaction_loses_nothing(path, monkeypatch):
    folder = LearningFolder(path)
    teach(folder)
    before = joint(path)
    monkeypatch.setattr(commit, "write_file", lambda *arguments: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OutputError):
        folder.compact()
    monkeypatch.undo()
    np.testing.assert_array_equal(joint(path), before)


def test_saved_lessons_are_part_of_a_copy_of_the_model(path, tmp_path):
    folder = LearningFolder(path)
    teach(folder)
    folder.model.save(tmp_path / "copy")
    np.testing.assert_array_equal(joint(tmp_path / "copy"), joint(path))


def test_labels_are_added_and_removed_beside_lessons(path):
    teach(LearningFolder(path))
    classifier = LMClassifier.load(path)
    before = classifier.predict_joint_log_proba(TEXTS)
    classifier.add_label("eggs", ["breakfast with eggs", "eggs and ham"])
    assert classifier.predict(["eggs", "prize number", "lunch number"]).tolist() == ["eggs", "spam", "ham"]
    after = classifier.predict_joint_log_proba(TEXTS)[:, 1:]
    np.testing.assert_allclose(np.diff(after), np.diff(before), atol=0.5)
    classifier.remove_label("eggs").save(path)
    np.testing.assert_allclose(np.diff(joint(path)[:20]), np.diff(before), atol=0.5)


def test_damaged_lessons_are_an_error_of_one_line(path):
    folder = LearningFolder(path)
    teach(folder)
    folder.compact()
    largest = max(path.glob("*.safetensors"), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"!")
    with pytest.raises(lmclassify.ModelError, match="damaged"):
        LearningFolder(path)

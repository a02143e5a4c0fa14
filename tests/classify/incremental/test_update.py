"""Labelled texts that a model is taught together, in memory and in a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmclassify
from lmclassify import DataError, FittedModel, LMClassifier, OutputError
from lmclassify.classify.incremental.remove_label import remove_label
from lmclassify.classify.incremental.update import update, update_folder
from lmclassify.classify.online.folder import LearningFolder
from tests.conftest import bundled

TEXTS, LABELS = bundled(limit=600)
NEW, TRUE = TEXTS[400:], np.array(LABELS[400:])
FIGURES = "quarterly figures for the board"


@pytest.fixture(scope="module")
def ngram() -> FittedModel:
    """A model of n-gram experts that has not learned the last 200 texts."""
    return LMClassifier(recipe="ngram", random_state=0, n_jobs=1).fit(TEXTS[:400], LABELS[:400]).model_


@pytest.fixture(params=["plain", "tuned", "ngram"])
def model(request, classifier, tuned, ngram):
    return {"plain": classifier.model_, "tuned": tuned.model_, "ngram": ngram}[request.param]


def files_of(folder: Path) -> dict[tuple[str, int | None], str]:
    """Return the SHA-256 of each file of a saved model, by role and label."""
    files = json.loads((folder / "config.json").read_text())["files"]
    return {(file["role"], file.get("label")): file["sha256"] for file in files}


def test_a_text_is_learned_and_what_was_fitted_stays(model, tmp_path):
    model.save(tmp_path / "model")
    before = files_of(tmp_path / "model")
    predicted = model.predict(TEXTS[:100])
    changed = update(model, [FIGURES], ["spam"])
    assert model.lessons is None
    assert changed.predict([FIGURES]) == ["spam"]
    assert (changed.predict(TEXTS[:100]) == predicted).mean() > 0.9
    changed.save(tmp_path / "model")
    after = files_of(tmp_path / "model")
    assert ("lessons", None) in after.keys() - before.keys()
    assert before.items() <= after.items()
    loaded = lmclassify.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict_joint_log_proba([FIGURES]), changed.predict_joint_log_proba([FIGURES])
    )
    (revision,) = loaded.training_entries("revision")
    assert (revision["what"], revision["label"], revision["texts"]) == ("update", "spam", 1)


@given(st.integers(0, 199), st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_correction_concerns_hardly_any_other_text(ngram, index, moves):
    """The label may be right or wrong, and the model may have been sure of another one."""
    before = ngram.predict(NEW)
    label, other = ("spam", "ham") if before[index] == "ham" else ("ham", "spam")
    corrected = update(ngram, [NEW[index]], [label], [other] if moves else None)
    after = corrected.predict(NEW)
    assert after[index] == label
    assert corrected.predict([f"{NEW[index]} again"]) == [label]
    assert np.count_nonzero(after != before) <= 0.03 * len(NEW)


def test_a_text_that_is_taken_for_disguised_can_be_corrected(ngram):
    """Without its marks it is spam, so the variant without them is corrected, too."""
    text = "Việc nhẹ lương cao, làm tại nhà 2 giờ mỗi ngày"
    assert ngram.predict([text]) == ["spam"]
    assert update(ngram, [text], ["ham"]).predict([text]) == ["ham"]


def test_many_corrections_together_improve_the_rest(ngram):
    found = ngram.predict(NEW)
    wrong = np.flatnonzero(found[:100] != TRUE[:100])
    after = update(ngram, [NEW[row] for row in wrong], TRUE[wrong], found[wrong]).predict(NEW)
    assert len(wrong)
    assert (after[wrong] == TRUE[wrong]).all()
    assert (after[100:] == TRUE[100:]).sum() >= (found[100:] == TRUE[100:]).sum() - 1


def test_a_wrong_lesson_is_replaced(ngram):
    wrong = update(ngram, [FIGURES], ["spam"])
    right = update(wrong, [FIGURES], ["ham"], ["spam"])
    assert wrong.predict([FIGURES]) == ["spam"]
    np.testing.assert_array_equal(
        right.predict_joint_log_proba([FIGURES, *NEW]),
        update(ngram, [FIGURES], ["ham"]).predict_joint_log_proba([FIGURES, *NEW]),
    )


def test_texts_that_count_once_are_said(ngram):
    with pytest.warns(match="1 text given with different labels: the last label counts"):
        changed = update(ngram, ["win a prize", "lunch", "win a  prize"], ["ham", "ham", "spam"])
    assert changed.lessons is not None
    assert changed.lessons.per_label.tolist() == [1, 1]
    with pytest.warns(match="1 text of 2 already learned with the same label"):
        changed = update(changed, ["lunch", "dinner"], ["ham", "ham"])
    assert changed.lessons is not None
    assert changed.lessons.per_label.tolist() == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "b"], ["ham", "new"]), "row 1: no label 'new'"),
        ((["a"], [None]), "no label None"),
        ((["a", "b"], ["spam"]), "2 texts, 1 label"),
        ((["a"], ["spam"], ["spam"]), "both learn and unlearn"),
        ((["a"], ["spam"], ["new"]), "no label 'new'"),
    ],
)
def test_misuse_changes_nothing(ngram, arguments, message):
    classifier = LMClassifier()
    classifier.model_ = ngram
    with pytest.raises(DataError, match=message):
        classifier.update(*arguments)
    assert classifier.model_ is ngram
    assert ngram.lessons is None
    assert classifier.update([], []).model_ is ngram


def test_lessons_that_others_teach_a_saved_model_meanwhile_stay(ngram, tmp_path):
    ngram.save(tmp_path)
    folder, other = LearningFolder(tmp_path), LearningFolder(tmp_path)
    folder.texts.set_limit(10)
    update_folder(
        folder, [FIGURES], ["spam"], on_text=lambda done: other.learn("lunch at noon", "spam") and None
    )
    loaded = LearningFolder(tmp_path)
    assert loaded.journal_bytes == 0
    assert loaded.model.predict([FIGURES, "lunch at noon"]).tolist() == ["spam", "spam"]
    assert loaded.model.lessons is not None
    assert len(loaded.model.lessons.taught) == 2
    assert sorted(kept.text for kept in loaded.texts.texts()) == ["lunch at noon", FIGURES]
    assert len(loaded.model.training_entries("revision")) == 1


def test_a_saved_model_that_was_replaced_meanwhile_stays(ngram, tmp_path):
    ngram.save(tmp_path)
    folder = LearningFolder(tmp_path)

    def remove(done: int) -> None:
        remove_label(ngram, "ham").save(tmp_path)

    with pytest.raises(OutputError, match="changed by another process meanwhile: run this again"):
        update_folder(folder, [FIGURES], ["spam"], on_text=remove)
    loaded = lmclassify.load(tmp_path)
    assert loaded.classes_.tolist() == ["spam"]
    assert loaded.lessons is None
    assert loaded.training_entries("revision")[-1]["what"] == "remove"

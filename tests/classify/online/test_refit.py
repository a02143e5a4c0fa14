"""A refit with taught texts: what is fitted, and that no lesson is lost or counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

import lmclassify
from lmclassify import DataError, FittedModel, LMClassifier, OutputError
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.classify.online.refit import Refit
from tests.conftest import bundled

TEXTS, LABELS = bundled(limit=200)
TAUGHT, TAUGHT_LABELS = (part[200:] for part in bundled(limit=212))


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    return LMClassifier(recipe="ngram", vectors="none", random_state=0).fit(TEXTS, LABELS).model_


@pytest.fixture
def folder(fitted: FittedModel, tmp_path: Path) -> Path:
    fitted.save(tmp_path / "model")
    return tmp_path / "model"


def other(label: str) -> str:
    return "ham" if label == "spam" else "spam"


def teach(folder: Path, texts: list[str], labels: list[str]) -> None:
    learner = LearningFolder(folder)
    for text, label in zip(texts, labels, strict=True):
        learner.learn(text, label)


@pytest.fixture(scope="module")
def refitted() -> FittedModel:
    return LMClassifier(recipe="ngram", vectors="none", random_state=0).fit(TEXTS[:120], LABELS[:120]).model_


@pytest.fixture
def new(refitted: FittedModel, tmp_path: Path) -> FittedModel:
    """Another model of the same labels, instead of a fit."""
    refitted.save(tmp_path / "new")
    return lmclassify.load(tmp_path / "new")


def kept_names(folder: Path) -> list[str]:
    return [kept.text for kept in LearningFolder(folder).texts.texts()]


def test_kept_texts_and_data_are_combined(folder):
    LearningFolder(folder).texts.set_limit(10)
    wrong = TEXTS[0]
    teach(folder, [wrong, TEXTS[1], *TAUGHT[:2]], [other(LABELS[0]), LABELS[1], *TAUGHT_LABELS[:2]])
    work = Refit(folder)
    texts, labels, corrected = work.combine(TEXTS, LABELS)
    assert corrected == sum(text == wrong for text in TEXTS)
    assert texts == [*TEXTS, *TAUGHT[:2]]
    assert labels[0] == other(LABELS[0])
    assert labels[1:200] == [
        other(LABELS[0]) if text == wrong else label
        for text, label in zip(TEXTS[1:], LABELS[1:], strict=True)
    ]
    assert labels[200:] == TAUGHT_LABELS[:2]
    assert work.lost_lessons() == 0


def test_a_correction_counts_although_its_text_is_not_kept(folder):
    teach(folder, [TEXTS[0]], [other(LABELS[0])])
    _, labels, _ = Refit(folder).combine(TEXTS, LABELS)
    assert labels[0] == other(LABELS[0])


def test_a_label_without_texts_is_refused(folder):
    LearningFolder(folder).texts.set_limit(10)
    teach(folder, ["lunch"], ["ham"])
    with pytest.raises(DataError, match="no text of label 'spam': name DATA that has some"):
        Refit(folder).combine([], [])


def test_fitted_lessons_are_known_but_have_no_weights_any_more(folder, new):
    learner = LearningFolder(folder)
    learner.texts.set_limit(10)
    teach(folder, TAUGHT[:3], TAUGHT_LABELS[:3])
    work = Refit(folder)
    work.combine(TEXTS, LABELS)
    assert work.commit(new) == 0
    found = LearningFolder(folder)
    assert len(found.model.lessons.taught) == 3
    assert not found.model.lesson_scores(TAUGHT).any()
    assert kept_names(folder) == TAUGHT[:3]
    assert not found.learn(TAUGHT[0], TAUGHT_LABELS[0])["changed"]  # not counted twice
    learner.refresh()
    assert learner.model.lessons.taught == found.model.lessons.taught


def test_lessons_that_are_not_fitted_are_carried_over(folder, new):
    teach(folder, TAUGHT[:3], TAUGHT_LABELS[:3])
    before = LearningFolder(folder).model.lesson_scores(TAUGHT)
    work = Refit(folder)
    work.combine(TEXTS, LABELS)
    assert work.lost_lessons() == 0
    work.commit(new)
    found = LearningFolder(folder)
    assert len(found.model.lessons.taught) == 3
    assert (found.model.lesson_scores(TAUGHT) == before).all()
    assert found.learn(TAUGHT[0], TAUGHT_LABELS[0], undo=True)["changed"]


@pytest.mark.parametrize("limit", [0, 10])
def test_lessons_taught_during_the_fit_are_not_lost(folder, new, limit):
    service = LearningFolder(folder)
    service.texts.set_limit(limit)
    service.learn(TAUGHT[0], TAUGHT_LABELS[0])
    service.learn(TAUGHT[1], TAUGHT_LABELS[1])
    work = Refit(folder)
    work.combine(TEXTS, LABELS)
    hard = [other(label) for label in TAUGHT_LABELS]
    service.learn(TAUGHT[2], hard[2])
    service.learn(TAUGHT[1], hard[1])  # was fitted with the other label
    service.compact()
    service.learn(TAUGHT[3], hard[3])
    work.commit(new)
    found = LearningFolder(folder)
    assert [taught.label for taught in found.model.lessons.taught.values()] == [
        ["ham", "spam"].index(label) for label in (TAUGHT_LABELS[0], hard[2], hard[1], hard[3])
    ]
    if limit:
        assert list(found.model.predict(TAUGHT[1:4])) == hard[1:4]
        assert kept_names(folder) == [TAUGHT[0], TAUGHT[2], TAUGHT[1], TAUGHT[3]]
    service.learn(TAUGHT[4], TAUGHT_LABELS[4])  # goes on with the new model
    assert len(LearningFolder(folder).model.lessons.taught) == 5


def test_lessons_taken_back_during_the_fit_are_counted(folder, new):
    service = LearningFolder(folder)
    service.texts.set_limit(10)
    for number in range(3):
        service.learn(TAUGHT[number], TAUGHT_LABELS[number])
    work = Refit(folder)
    work.combine(TEXTS, LABELS)
    service.learn(TAUGHT[1], TAUGHT_LABELS[1], undo=True)
    assert work.commit(new) == 1
    assert len(LearningFolder(folder).model.lessons.taught) == 2
    assert kept_names(folder) == [TAUGHT[0], TAUGHT[2]]


def test_another_model_is_not_replaced(folder, new, fitted):
    work = Refit(folder)
    work.combine(TEXTS, LABELS)
    new.save(folder)
    with pytest.raises(OutputError, match="changed by another process meanwhile: run this again"):
        work.commit(fitted)


def test_old_lessons_whose_texts_are_not_known_are_lost_and_counted(folder, new):
    """Of old lessons, the model knows only the sum of their weights."""
    teach(folder, TAUGHT[:2], TAUGHT_LABELS[:2])
    learner = LearningFolder(folder)
    learner.model.lessons = learner.model.lessons.with_labels([0, 1])  # none can be undone
    with learner.locked():
        learner.replace(learner.model)
    teach(folder, TAUGHT[2:4], TAUGHT_LABELS[2:4])
    work = Refit(folder)
    work.combine([*TEXTS, TAUGHT[0]], [*LABELS, TAUGHT_LABELS[0]])
    assert work.lost_lessons() == 1
    work.commit(new)
    assert len(LearningFolder(folder).model.lessons.taught) == 3

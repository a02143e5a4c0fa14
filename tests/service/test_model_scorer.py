"""The scorer of a fitted model: how labels are decided, and what it says of the model."""

from __future__ import annotations

import shutil

import pytest

from lmclassify.classify.model import load
from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.online.folder import LearningFolder
from lmclassify.errors import OptionError
from lmclassify.service.model_scorer import ModelScorer
from lmclassify.service.schemas import LearnResponse, LessonCounts

TEXT = "Zwölf Boxkämpfer 12345 %%%"


def test_labels_are_decided_as_the_options_say(tuned_folder):
    scorer = ModelScorer(tuned_folder, deciding={"unknown_label": "other", "unknown_rate": 0.9})
    (prediction,) = scorer.predict([TEXT])
    assert prediction["label"] == "other"
    assert set(prediction["probabilities"]) == {"ham", "spam"}
    assert scorer.explain(TEXT)["label"] in ("ham", "spam")


def test_options_that_do_not_fit_the_model_are_refused(tuned_folder):
    with pytest.raises(OptionError, match="--unknown-label must be a name that no label"):
        ModelScorer(tuned_folder, deciding={"unknown_label": "spam"})


def test_model_info_names_the_saved_model(tuned_folder):
    info = ModelScorer(tuned_folder, deciding={}).model_info()
    assert info["model"] == tuned_folder.name
    assert len(info["checksum"]) == 64
    assert info["can_suggest"]


@pytest.fixture
def folder(saved, tmp_path):
    """A saved model that a test may change."""
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def label_of(scorer, text=TEXT):
    scorer.refresh()
    return scorer.predict([text])[0]["label"]


def test_a_lesson_counts_at_once_and_after_a_restart(folder):
    scorer = ModelScorer(folder, deciding={})
    other = {"ham": "spam", "spam": "ham"}[label_of(scorer)]
    answer = scorer.learn(TEXT, other)
    assert LearnResponse.model_validate(answer).predicted_after == other
    assert answer["changed"]
    assert label_of(scorer) == label_of(ModelScorer(folder, deciding={})) == other
    counts = LessonCounts.model_validate(scorer.model_info()["lessons"])
    assert (counts.total, counts.corrections, counts.today, counts.per_label[other]) == (1, 1, 1, 1)
    assert not scorer.learn(TEXT, other)["changed"]
    assert scorer.learn(TEXT, other, None, True)["changed"]
    assert scorer.lesson_counts()["total"] == 0


def test_lessons_of_another_process_and_another_model_are_followed(folder, tuned_folder, capsys):
    scorer = ModelScorer(folder, deciding={"positive": "spam", "unsure": "0.2,0.8"})
    elsewhere = LearningFolder(folder)
    elsewhere.learn(TEXT, "spam")
    label_of(scorer)
    assert scorer.lesson_counts()["per_label"]["spam"] == 1
    checksum = scorer.checksum
    elsewhere.compact()
    label_of(scorer)
    assert (scorer.checksum != checksum, scorer.lesson_counts()["total"]) == (True, 1)
    checksum = scorer.checksum
    load(tuned_folder).save(folder)
    (folder / "config.json").write_text("{}")
    label_of(scorer)
    assert scorer.checksum == checksum


def test_a_model_that_has_learned_too_little_is_unsure(tmp_path):
    empty_model(["ham", "spam"]).save(tmp_path / "model")
    scorer = ModelScorer(tmp_path / "model", deciding={})
    assert label_of(scorer) == "unsure"
    answer = scorer.learn(TEXT, "spam")
    assert (answer["predicted_before"], answer["predicted_after"]) == (None, "spam")
    assert scorer.model_info()["lessons"]["needs_more"]

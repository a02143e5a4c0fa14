"""Lessons give a text and its near copies their label; other texts keep theirs."""

import random
from dataclasses import replace

import numpy as np
import pytest

from lmclassify import FittedModel, LMClassifier, OptionError
from lmclassify.classify.online import teach
from lmclassify.classify.online.empty_model import empty_model
from lmclassify.classify.online.teach import MARGIN
from tests.conftest import bundled

TEXTS, LABELS = bundled()


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    classifier = LMClassifier(recipe="ngram", vectors="none", random_state=0)
    return classifier.fit(TEXTS[:500], LABELS[:500]).model_


def copy_of(text: str, generator: random.Random) -> str:
    """Return a text with a fifth of its words replaced by words of other texts."""
    words = text.split()
    for index in generator.sample(range(len(words)), -(-len(words) // 5)):
        words[index] = generator.choice(generator.choice(TEXTS[:500]).split() or ["x"])
    return " ".join(words)


def test_lessons_correct_their_text_and_no_other(fitted):
    """Each lesson is taught to a fresh copy: hard texts, and wrong labels, in both directions."""
    others = TEXTS[900:]
    joint, truth = fitted.predict_joint_log_proba(others), np.array(LABELS[900:])
    before = (fitted.classes_[joint.argmax(axis=1)] == truth).mean()
    generator, changes, copies = random.Random(0), [], []
    wrong = np.flatnonzero(fitted.predict(TEXTS[500:900]) != np.array(LABELS[500:900])) + 500
    chosen = [*wrong[:40].tolist(), *range(500, 510)]
    for index in chosen:
        model = replace(fitted, lessons=None)
        label = LABELS[index]
        learned = model.learn(TEXTS[index], label)
        assert learned["predicted_after"] == label == model.predict([TEXTS[index]])[0]
        scores = model.lesson_scores(others)
        changes.append((fitted.classes_[(joint + scores).argmax(axis=1)] == truth).mean() - before)
        copies += (model.predict([copy_of(TEXTS[index], generator)]) == label).tolist()
    assert len(wrong) > 40
    assert np.mean(changes) >= -0.0005
    assert min(changes) >= -0.01  # 5 of 480 texts; `python -m benchmarks.lessons` has thousands
    assert np.mean(copies) >= 0.85


def test_lessons_are_remembered_together(fitted):
    model = replace(fitted, lessons=None)
    texts, labels = TEXTS[500:900], np.array(LABELS[500:900])
    wrong = np.flatnonzero(fitted.predict(texts) != labels)[:60]
    for index in wrong:
        model.learn(texts[index], labels[index].item())
    assert (model.predict(texts) == labels)[wrong].mean() >= 0.95


def test_the_label_leads_by_the_margin(fitted):
    model = replace(fitted, lessons=None, settings=replace(fitted.settings, disguised_label="none"))
    text = "lunch with the project team on thursday"
    model.learn(text, "spam")
    joint = dict(zip(model.label_names, model.predict_joint_log_proba([text])[0], strict=True))
    assert joint["spam"] - joint["ham"] == pytest.approx(MARGIN, abs=0.01)


def test_a_text_whose_label_leads_already_moves_nothing(model):
    model = replace(model, lessons=None)
    leads = np.abs(np.diff(model.predict_joint_log_proba(TEXTS[:500]), axis=1))[:, 0]
    text = TEXTS[int(leads.argmax())]
    assert leads.max() > MARGIN
    model.learn(text, model.predict([text])[0])
    assert model.lessons is not None
    assert len(model.lessons.taught) == 1
    assert not model.lesson_scores(TEXTS[:50]).any()


def test_explanations_of_a_taught_model_sum_to_its_scores(fitted):
    model = replace(fitted, lessons=None)
    for index in range(500, 560):
        model.learn(TEXTS[index], "ham" if index % 2 else "spam")
    for text in (*TEXTS[500:510], "", "W1N a fr€e pr1ze n o w", "unknown wörds"):
        explanation = model.explain(text)
        joint = dict(zip(model.label_names, model.predict_joint_log_proba([text])[0], strict=True))
        for label in model.label_names:
            parts = [explanation["prior"], *explanation["words"], explanation["end_of_text"]]
            total = sum(part["contributions"][label] for part in parts)
            assert total == pytest.approx(joint[label], abs=1e-5)


def test_equal_lessons_count_once_and_another_label_replaces(fitted):
    model = replace(fitted, lessons=None)
    first = model.learn("the same  text", "spam")
    assert first["changed"]
    assert model.lessons is not None
    weights = model.lesson_scores(TEXTS[:50])
    assert not model.learn("the same text", "spam")["changed"]
    np.testing.assert_array_equal(model.lesson_scores(TEXTS[:50]), weights)
    moved = model.learn("the same text", "ham", from_label="spam")
    assert (moved["predicted_before"], moved["predicted_after"]) == ("spam", "ham")
    assert model.lessons.per_label.tolist() == [1, 0]
    only_ham = replace(fitted, lessons=None)
    only_ham.learn("the same text", "ham")
    np.testing.assert_array_equal(model.lesson_scores(TEXTS[:50]), only_ham.lesson_scores(TEXTS[:50]))


def test_lessons_are_taken_back_in_any_order(fitted):
    model = replace(fitted, lessons=None)
    for text in TEXTS[500:520]:
        model.learn(text, "spam")
    for text in (*TEXTS[510:520], *TEXTS[500:510]):
        assert model.learn(text, "spam", undo=True)["changed"]
    assert not model.lesson_scores(TEXTS[:100]).any()
    with pytest.raises(OptionError, match="nothing to undo"):
        model.learn(TEXTS[500], "spam", undo=True)


def test_labels_are_checked(fitted):
    model = replace(fitted, lessons=None)
    with pytest.raises(OptionError, match="no label 'spma'.*did you mean"):
        model.learn("text", "spma")
    with pytest.raises(OptionError, match="to itself"):
        model.learn("text", "spam", from_label="spam")
    assert model.lessons is None or not model.lessons.taught


def test_a_lesson_that_cannot_be_recorded_is_not_learned(fitted):
    model = replace(fitted, lessons=None)
    model.learn("text", "spam")
    before = model.lesson_scores(TEXTS[:50])

    def fail(record: bytes) -> None:
        raise OSError("full")

    for label in ("spam", "ham"):
        with pytest.raises(OSError, match="full"):
            teach.learn(model, "other text" if label == "spam" else "text", label, None, fail)
    np.testing.assert_array_equal(model.lesson_scores(TEXTS[:50]), before)


def test_plain_and_many_labels_learn_too(model, golden_three):
    for fitted in (model, golden_three):
        taught = replace(fitted, lessons=None)
        for label in taught.classes_.tolist():
            assert taught.learn(f"text of {label}", label)["predicted_after"] == str(label)
            assert taught.predict([f"text of {label}"])[0] == label


def test_an_empty_model_learns_from_nothing():
    classifier = LMClassifier().partial_fit([], [], classes=["spam", "ham"])
    assert classifier.predict_proba(["anything"]).tolist() == [[0.5, 0.5]]
    assert classifier.learn("first", "spam")["predicted_before"] is None
    classifier.partial_fit(TEXTS[:300], LABELS[:300])
    assert classifier.score(TEXTS[600:1000], LABELS[600:1000]) > 0.6
    assert classifier.model_.settings.recipe == "online"


def test_partial_fit_checks_before_it_learns():
    with pytest.raises(OptionError, match="needs all labels at first"):
        LMClassifier().partial_fit(["text"], ["spam"])
    classifier = LMClassifier().partial_fit([], [], classes=["spam", "ham"])
    with pytest.raises(OptionError, match="no label"):
        classifier.partial_fit(["a", "b"], ["spam", "eggs"])
    with pytest.raises(ValueError, match="found 1 text and 2 labels"):
        classifier.partial_fit(["a"], ["spam", "ham"])
    assert not classifier.model_.lessons.taught


def test_recipe_online_is_fitted_in_one_pass():
    classifier = LMClassifier(recipe="online", random_state=0).fit(TEXTS[:300], LABELS[:300])
    assert classifier.score(TEXTS[600:1000], LABELS[600:1000]) > 0.6
    with pytest.raises(OptionError, match="suggest needs language models"):
        classifier.suggest("free")


SUBJECTS = {
    "spam": ("prize", "loan", "casino", "lottery", "bonus"),
    "ham": ("lunch", "report", "train", "school"),
}


@pytest.mark.parametrize("first", ["spam", "ham"])
def test_many_texts_of_one_label_and_then_of_another_leave_a_model_that_knows_both(first):
    """All texts have most words in common, as the messages of a mailbox do."""
    generator, second = random.Random(0), "ham" if first == "spam" else "spam"

    def text(label: str) -> str:
        about = generator.choice(SUBJECTS[label]), generator.choice(SUBJECTS[label])
        number = generator.randrange(1000)
        return (
            f"Dear customer, please reply about the {' and the '.join(about)}, kind regards, number {number}"
        )

    model = empty_model(["ham", "spam"])
    taught = [(text(label), label) for label in (first, second) for _ in range(50)]
    for learned, label in taught:
        model.learn(learned, label)
    for label in (first, second):
        assert (model.predict([text(label) for _ in range(50)]) == label).mean() > 0.9
    for learned, label in taught:
        model.learn(learned, label, undo=True)
    assert not model.lesson_scores([learned for learned, _ in taught]).any()


def test_needs_lessons_until_every_label_has_some():
    model = empty_model(["ham", "spam"])
    for number in range(10):
        assert model.needs_lessons
        model.learn(f"lunch {number}", "ham")
        model.learn(f"prize {number}", "spam")
    assert not model.needs_lessons

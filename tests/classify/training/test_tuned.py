"""Recipe tuned as a whole, on little data."""

import signal
import threading

import numpy as np
import pytest
import torch

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify.training.context import SizeLimits
from lmclassify.classify.training.history import BACKGROUND
from lmclassify.errors import DataError, LMClassifyWarning, OptionError
from tests.conftest import SMALL, TUNED, bundled, trainer

TINY = {**TUNED, "max_epochs": 1, "num_lstm_units": 4, "embedding_dim": 4}
TEXTS, LABELS = bundled(limit=40)
NEW = ["", "Free prize", "lunch on Friday?", "\U0001f600 \x00 ﬀ", "zq" * 400]
HOLD_OUT = SizeLimits(min_texts_to_hold_out=10)


def interrupt_when(condition):
    """Return a callback that presses Ctrl-C after an epoch for which the condition holds."""

    def interrupt(label, record):
        if condition(label, record):
            signal.raise_signal(signal.SIGINT)

    return interrupt


def test_each_label_has_one_language_model(tuned):
    model = tuned.model_
    assert len(model.models) == len(model.tuned) == 2
    assert np.isfinite(tuned.perplexity(TEXTS, "ham"))
    kinds = [entry["kind"] for entry in model.training]
    assert kinds.count("label") == 2
    assert kinds.count("background") == kinds.count("tuning") == 1


def test_a_class_prior_shifts_the_joint_by_its_logarithm():
    labels = (["ham"] * 3 + ["spam"]) * 10
    fitted = LMClassifier(**TINY).fit(TEXTS, labels)
    given = LMClassifier(**TINY, class_prior={"ham": 0.1, "spam": 0.9}).fit(TEXTS, labels)
    shift = given.predict_joint_log_proba(NEW) - fitted.predict_joint_log_proba(NEW)
    expected = np.log([0.1, 0.9]) - np.log([0.75, 0.25])
    np.testing.assert_allclose(shift, np.tile(expected, (len(NEW), 1)), atol=1e-9)
    np.testing.assert_allclose(np.exp(fitted.class_log_prior_), [0.75, 0.25])


def test_weight_zero_is_a_text_left_out():
    weights = np.ones(40)
    weights[30:] = 0
    weighted = LMClassifier(**TINY).fit(TEXTS, LABELS, sample_weight=weights)
    without = LMClassifier(**TINY).fit(TEXTS[:30], LABELS[:30])
    np.testing.assert_allclose(
        weighted.predict_joint_log_proba(NEW), without.predict_joint_log_proba(NEW), atol=1e-9
    )


def test_heavier_texts_pull_decisions_their_way():
    plain = LMClassifier(**TINY).fit(TEXTS, LABELS)
    heavy = LMClassifier(**TINY, class_weight={"spam": 20.0}).fit(TEXTS, LABELS)
    assert heavy.predict_proba(NEW)[:, 1].mean() > plain.predict_proba(NEW)[:, 1].mean()


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["a b", "c d"], ["x", "y"]),
        (["a b", "c d", "e f"], ["x", "y", "z"]),
        (["win now", "lunch", "see you", "noon"], ["x", "y", "y", "y"]),
        (["", " "], ["x", "y"]),
        (["same"] * 6, ["x", "y"] * 3),
    ],
)
def test_very_few_texts(texts, labels):
    fitted = LMClassifier(**TINY).fit(texts, labels)
    probabilities = fitted.predict_proba([*texts, "new"])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_one_label():
    fitted = LMClassifier(**TINY).fit(TEXTS, ["only"] * 40)
    assert fitted.predict_proba(NEW).tolist() == [[1.0]] * len(NEW)


@pytest.mark.parametrize("limits", [SizeLimits(), HOLD_OUT], ids=["cross-fit", "hold out"])
def test_many_texts_are_held_out_and_few_cross_fitted(limits):
    labels_told = []
    parameters = {**TUNED, "callback": lambda label, record: labels_told.append(label)}
    texts, labels = bundled(limit=120)
    model = trainer(parameters, limits=limits).fit(texts, labels)
    entry = model.training_entries("label")[0]
    assert (entry["validation_texts"] == 0) == (limits is not HOLD_OUT)
    assert set(labels_told) == {BACKGROUND, None}
    assert (model.predict(texts) == labels).mean() > 0.8


@pytest.mark.parametrize("label", [BACKGROUND, None], ids=["background", "all labels"])
def test_ctrl_c_in_stage_2_keeps_the_model_of_stage_1(label):
    ngram = LMClassifier(recipe="ngram", random_state=0).fit(TEXTS, LABELS)
    classifier = LMClassifier(**TINY, callback=interrupt_when(lambda told, record: told == label))
    with pytest.warns(LMClassifyWarning, match="interrupted: the model of stage 1 is kept"):
        classifier.fit(TEXTS, LABELS)
    np.testing.assert_array_equal(classifier.predict_joint_log_proba(NEW), ngram.predict_joint_log_proba(NEW))
    with pytest.raises(KeyboardInterrupt):
        trainer({**TINY, "callback": classifier.callback}).fit(TEXTS, LABELS)


class InterruptingDisplay:
    """Presses Ctrl-C once, as soon as anything is done."""

    def __init__(self):
        self.first = threading.Lock()

    def say(self, line):
        """Print nothing."""

    def update(self, progress):
        if progress.stage.done and self.first.acquire(blocking=False):  # threads call this at the same time
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_stage_1_leaves_no_model():
    stages = []
    with pytest.raises(KeyboardInterrupt):
        trainer(TINY, display=InterruptingDisplay(), on_stage=stages.append).fit(TEXTS, LABELS)
    assert stages == []


def test_a_labels_only_text_is_trained_on():
    model = trainer(TINY, limits=HOLD_OUT).fit(TEXTS, [*LABELS[:-1], "single"])
    entries = {entry["label"]: entry for entry in model.training_entries("label")}
    assert entries["single"]["training_texts"] == 1
    assert entries["single"]["validation_texts"] == 0


def test_words_are_the_tokens_unless_they_leave_most_held_out_text_unknown():
    some = "abcdefghijklmnopqrst"  # not numbers, which would make the texts repeat one another
    common = [f"{text} {letter}" for letter in some for text in ("win a prize now", "see you at lunch")]
    assert LMClassifier(**TINY).fit(common, LABELS).model_.tokenizer.kind == "word"
    joined = ["".join(f"{a}{b}" for a in "abc") * 2 + str(b) for b in range(40)]
    assert LMClassifier(**TINY).fit(joined, LABELS).model_.tokenizer.kind == "subword"
    assert LMClassifier(**TINY, tokenizer="word").fit(joined, LABELS).model_.tokenizer.kind == "word"


@pytest.mark.parametrize("weights", [pytest.param(None, marks=pytest.mark.long), np.full(40, 2.0)])
def test_the_background_model_is_trained_on_unlabelled_texts(weights):
    unlabelled = ["an altogether different subject"] * 30
    options = {**TINY, "tokenizer": "char"}
    without = LMClassifier(**options).fit(TEXTS, LABELS, sample_weight=weights)
    fitted = LMClassifier(**options).fit(TEXTS, LABELS, sample_weight=weights, unlabelled=unlabelled)
    (entry,) = fitted.model_.training_entries("background")
    assert entry["training_texts"] == 40 + 30
    for label in ("ham", "spam"):
        assert fitted.perplexity(unlabelled, label) < without.perplexity(unlabelled, label)


def test_unlabelled_texts_need_a_background_model():
    with pytest.warns(LMClassifyWarning, match="with one label there is no background model"):
        LMClassifier(**TINY).fit(TEXTS, ["only"] * 40, unlabelled=["more"])
    with pytest.raises(OptionError, match="of use to recipes 'tuned' and 'ngram' only"):
        LMClassifier(**SMALL).fit(TEXTS, LABELS, unlabelled=["more"])
    with pytest.raises(DataError, match="expected several texts"):
        LMClassifier(**TINY).fit(TEXTS, LABELS, unlabelled="more")


def test_more_labels_than_are_compared():
    labels = [f"label {number % 8}" for number in range(40)]
    fitted = LMClassifier(**TINY).fit(TEXTS, labels)
    assert fitted.predict_proba(NEW).shape == (len(NEW), 8)
    assert fitted.score(TEXTS, labels) > 0.25


def test_very_many_texts_are_sampled(tmp_path):
    unlabelled = ["an altogether different subject"] * 40
    models = []
    for threads in (1, 2):
        fit = trainer({**TUNED, "max_epochs": 1, "n_jobs": threads}, limits=SizeLimits(max_texts=30)).fit
        with pytest.warns(LMClassifyWarning) as warned:
            models.append(fit(TEXTS, LABELS, unlabelled=unlabelled))
        messages = [str(warning.message) for warning in warned]
        assert any("40 texts: n-grams are counted in all" in line and "on 30 " in line for line in messages)
        assert any("40 unlabelled texts" in line and "on 30 " in line for line in messages)
    joints = [model.predict_joint_log_proba(TEXTS) for model in models]
    np.testing.assert_array_equal(*joints)
    assert (models[0].predict(TEXTS) == LABELS).mean() > 0.75
    (entry,) = models[0].training_entries("background")
    assert entry["training_texts"] == 30 + 30
    models[0].save(tmp_path / "model")
    np.testing.assert_array_equal(
        lmclassify.load(tmp_path / "model").predict_joint_log_proba(TEXTS), joints[0]
    )


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_every_device_there_is_trains(device):
    texts, labels = bundled(limit=120)
    assert LMClassifier(**TUNED, device=device).fit(texts, labels).score(texts, labels) > 0.9


@pytest.mark.long
def test_it_beats_chance_by_far_on_texts_it_has_not_seen():
    options = {"max_epochs": 4, "num_lstm_units": 16, "embedding_dim": 16, "random_state": 0}
    fitted = LMClassifier(**options).fit(*bundled())
    assert fitted.score(*bundled("emails.csv")) > 0.75

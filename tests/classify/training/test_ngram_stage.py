"""Recipe ngram, which is stage 1 of recipe tuned."""

import subprocess
import sys

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.context import FitContext
from lmclassify.classify.training.data import TrainingData
from lmclassify.classify.training.ngram_stage import fit_ngram, fit_ngram_stage
from lmclassify.classify.training.plan import NGRAM_STAGE, planned_stages
from lmclassify.classify.training.time_limit import StopSignal, TimeLimit
from lmclassify.errors import DataError, OptionError, TrainingError
from tests.conftest import SMALL, TINY, bundled, trainer

TEXTS, LABELS = bundled(limit=80)
NEW = ["", "Free prize", "lunch on Friday?", "\U0001f600 \x00 ﬀ", "zq" * 400]


@pytest.fixture(scope="module")
def classifier():
    return LMClassifier(recipe="ngram", random_state=0, keep_held_out=True).fit(TEXTS, LABELS)


def test_it_is_saved_and_loaded(classifier, tmp_path):
    classifier.save(tmp_path / "m")
    loaded = lmclassify.load(tmp_path / "m")
    assert loaded.settings.recipe == "ngram"
    for method in ("predict_joint_log_proba", "log_likelihood", "novelty"):
        np.testing.assert_array_equal(getattr(loaded, method)(NEW), getattr(classifier, method)(NEW))
    assert loaded.training == classifier.model_.training
    again = LMClassifier.load(tmp_path / "m").fit(TEXTS, LABELS)
    np.testing.assert_array_equal(again.predict_proba(NEW), classifier.predict_proba(NEW))


def test_a_model_with_language_models_missing_is_refused(tuned, tmp_path):
    stored = lmclassify.classify.storage.to_stored(tuned.model_)
    stored.config["settings"]["recipe"] = "ngram"
    with pytest.raises(lmclassify.ModelError):
        lmclassify.classify.model.from_stored(stored)


def test_n_gram_language_models_suggest_generate_and_explain(classifier):
    words = classifier.suggest("see you", "ham")
    assert words
    assert all(0 < word["probability"] <= 1 for word in words)
    assert classifier.suggest("")
    assert classifier.generate("spam", n=2, seed=1) == classifier.generate("spam", n=2, seed=1)
    assert classifier.perplexity(TEXTS, "ham") < 1000
    explanation = classifier.explain("Free prize for lunch")
    joint = classifier.predict_joint_log_proba(["Free prize for lunch"])[0]
    likelihood = classifier.log_likelihood(["Free prize for lunch"])[0]
    for index, label in enumerate(classifier.classes_):
        parts = [explanation["prior"], *explanation["words"], explanation["end_of_text"]]
        assert sum(part["contributions"][label] for part in parts) == pytest.approx(joint[index], abs=1e-6)
        assert sum(part["log_probability"][label] for part in parts[1:]) == pytest.approx(likelihood[index])


@pytest.mark.parametrize("kept", [True, False], ids=["kept texts", "sampled texts"])
def test_labels_are_added_updated_and_removed(kept, tmp_path):
    model = LMClassifier(recipe="ngram", random_state=0, keep_held_out=kept).fit(TEXTS, LABELS)
    model.add_label("parcel", ["Your parcel has left", "Parcel at the depot", "Where is my parcel"] * 4)
    assert model.predict(["parcel at the depot"]).tolist() == ["parcel"]
    before = model.predict_joint_log_proba(["zebra lunch"])
    model.update(["zebra lunch"], ["parcel"])
    index = model.classes_.tolist().index("parcel")
    assert model.predict_joint_log_proba(["zebra lunch"])[0, index] > before[0, index]
    model.save(tmp_path / "m")
    loaded = LMClassifier.load(tmp_path / "m").remove_label("parcel")
    assert loaded.classes_.tolist() == ["ham", "spam"]
    assert np.isfinite(loaded.predict_joint_log_proba(NEW)).all()


def test_its_stage_is_in_the_training_record(classifier):
    (stage,) = classifier.model_.training_entries("stage")
    assert (stage["stage"], stage["stages"], stage["held_out_texts"]) == (1, 1, 80)
    assert 0.5 < stage["accuracy"] <= 1
    assert 0 < stage["log_loss"] < np.log(2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_epochs": 3, "direction": "both"}, "max_epochs, direction are for LSTM language models"),
        ({"max_length": 9}, "max_length is for LSTM"),
        ({"device": "cuda"}, "cuda"),
    ],
)
def test_options_of_lstms_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        LMClassifier(recipe="ngram", **options).fit(TEXTS, LABELS)


def test_max_length_counts_where_texts_are_cut():
    model = LMClassifier(recipe="ngram", max_length=4, long_texts="truncate").fit(TEXTS, LABELS)
    with pytest.warns(lmclassify.LMClassifyWarning):
        long, short = model.predict_joint_log_proba(["lunch on Friday at noon", "lunch on Friday"])
    np.testing.assert_allclose(long, short)


def test_a_single_label_is_refused():
    with pytest.raises(DataError, match="one label only: use recipe plain"):
        LMClassifier(recipe="ngram").fit(TEXTS, ["a"] * 80)


def test_stage_1_of_recipe_tuned_is_the_same_whoever_listens():
    seen = []
    context = FitContext(Settings(recipe="ngram"), "cpu", 2, on_stage=seen.append)
    data = TrainingData.from_labels(TEXTS, LABELS, seed=0)
    result = fit_ngram(data, context)
    context.commit(result)
    context.commit(result)
    assert seen == [result]
    again = fit_ngram(data, FitContext(Settings(recipe="ngram"), "cpu", 1))
    np.testing.assert_array_equal(
        again.model.predict_joint_log_proba(NEW), result.model.predict_joint_log_proba(NEW)
    )


class Countdown(StopSignal):
    """A stop signal that is set after so many questions, whatever the clock says."""

    def __init__(self, questions):
        super().__init__()
        self._questions = questions

    def is_set(self):
        self._questions -= 1
        return self._questions < 0

    def end_after(self, seconds):
        """Not by the clock."""


class Left(TimeLimit):
    """A time limit of which always the same is left."""

    @property
    def left(self):
        return self.seconds


@pytest.mark.parametrize(
    ("questions", "texts"), [(0, None), (70, range(20, 1000)), (10_000, range(20, 2400))], ids=str
)
def test_with_too_little_time_it_learns_from_a_sample(questions, texts):
    many = [f"{text} {number}" for number in range(30) for text in TEXTS]
    data = TrainingData.from_labels(many, LABELS * 30, seed=0)
    lines = []
    context = FitContext(Settings(recipe="ngram"), "cpu", 2, time_limit=Left(0.3), stop=Countdown(questions))
    context.progress.stages = planned_stages(data, context, NGRAM_STAGE)
    context.progress.say = lines.append
    if texts is None:
        with pytest.raises(TrainingError, match="0.3 s are too short for 2,400 texts with 2 labels"):
            fit_ngram_stage(data, context, np.random.default_rng(0))
        return
    stage = fit_ngram_stage(data, context, np.random.default_rng(0))
    assert len(stage.sample.texts) in texts
    assert any("0.3 s are too short for all texts" in line for line in lines)
    assert np.isclose(np.exp(stage.model.log_priors).sum(), 1)


def test_it_does_not_import_torch(tmp_path):
    program = (
        "import sys; from lmclassify import LMClassifier; "
        "LMClassifier(recipe='ngram').fit(['a b', 'c d', 'a e', 'c f'], ['x', 'y', 'x', 'y']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_lstms_decide_only_if_they_improve_held_out_loss():
    classifier = LMClassifier(**TINY).fit(TEXTS, LABELS)
    first, second = classifier.model_.training_entries("stage")
    decide = second["log_loss"] < second["log_loss_before"]
    assert second["lstms_decide"] == decide == classifier.model_.combination.lstms_decide
    assert first["log_loss"] == second["log_loss_before"]
    if not decide:
        mask = classifier.model_.cascade_mask(np.zeros((3, 2)), [1, 2, 3])
        assert not mask.any()
        ngram = LMClassifier(recipe="ngram", random_state=0).fit(TEXTS, LABELS)
        np.testing.assert_array_equal(
            classifier.predict_joint_log_proba(NEW), ngram.predict_joint_log_proba(NEW)
        )


def test_recipe_plain_needs_an_epoch_of_each_label():
    with pytest.raises(TrainingError, match="too short to train a language model of each label"):
        trainer(SMALL, time_limit=TimeLimit(1.0, started=-1e12)).fit(TEXTS, LABELS)


def test_a_rare_word_does_not_decide_unspaced_texts():
    """As in Chinese, whole texts are words that no other text has; one word stands by itself, rarely."""
    rng = np.random.default_rng(0)
    words = {"A": ["抽奖", "促销", "发票", "贷款"], "B": ["午餐", "报告", "花园", "电影"]}

    def unspaced(label, n):
        return ["".join(rng.choice([*words[label] * 2, "的", "了", "今天", "明天"], 7)) for _ in range(n)]

    texts = [*unspaced("A", 150), *unspaced("B", 150)]
    for row in (150, 200, 250):
        texts[row] += " 谢谢"
    model = LMClassifier(recipe="ngram", random_state=0).fit(texts, ["A"] * 150 + ["B"] * 150)
    new = [text + " 谢谢" for text in unspaced("A", 20)]
    assert (model.predict(new) == "A").mean() >= 0.9
    explanation = model.explain(new[0])
    assert max(abs(word["contribution"]) for word in explanation["words"]) < 20


@pytest.mark.parametrize("seed", range(3))
def test_one_text_with_both_labels_equally_often_has_both_equally_likely(seed):
    model = LMClassifier(recipe="ngram", random_state=seed).fit(["same text"] * 40, ["ham", "spam"] * 20)
    assert model.predict_proba(["same text"])[0] == pytest.approx([0.5, 0.5], abs=0.05)


def test_texts_longer_than_the_training_texts_are_not_decided_by_their_length():
    """Evidence of longer texts counts like that of texts of usual length; what is said of words still sums."""
    long = [" ".join(TEXTS[start : start + 20]) for start in (0, 20, 80, 100)]
    model = LMClassifier(recipe="ngram", random_state=0).fit(TEXTS, LABELS).model_
    length = model.combination.usual_length
    assert np.mean([len(ids) > length for ids in model.subwords.sequences(TEXTS)]) <= 0.05
    joint = model.predict_joint_log_proba(long)
    usual = abs(np.diff(model.held_out.joint, axis=1)).max()
    assert abs(np.diff(joint, axis=1)).max() < 2 * usual
    for text, expected in zip(long, joint, strict=True):
        explanation = model.explain(text)
        parts = [explanation["prior"], *explanation["words"], explanation["end_of_text"]]
        for name, value in zip(model.label_names, expected, strict=True):
            assert sum(part["contributions"][name] for part in parts) == pytest.approx(value, abs=1e-6)

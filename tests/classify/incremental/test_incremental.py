"""One label's models added, corrected, removed; the others' files stay as they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

import lmclassify
from lmclassify import DataError, LMClassifier, OutputError
from lmclassify.classify.incremental.add_label import add_label
from lmclassify.classify.incremental.update import update
from lmclassify.classify.ngram_models import NgramModel
from lmclassify.classify.training.context import FitContext, SizeLimits
from lmclassify.persistence.journal import model_state
from lmclassify.persistence.reading import read_model
from lmclassify.text.ngrams import NgramAnalyzer
from tests.conftest import SMALL, TUNED, bundled, trainer

TEXTS, LABELS = bundled(limit=150)
NOTICES = [
    "Your parcel 4471 has left the depot", "Parcel 88 was delivered to your neighbour",
    "Delivery of parcel 12 is delayed", "Track parcel 7 on its way to the depot",
    "We missed you: parcel 31 is at the depot", "Parcel 5 will be delivered tomorrow",
]  # fmt: skip
NEW_NOTICES = ["Parcel 90 is at the depot", "Your parcel was delivered", "Delivery of your parcel"]


@pytest.fixture(scope="module")
def three():
    """A classifier of two labels that has kept held-out texts."""
    return LMClassifier(**TUNED, keep_held_out=True).fit(TEXTS, LABELS)


def copy(classifier):
    other = LMClassifier(**classifier.get_params())
    other.classes_, other.class_log_prior_ = classifier.classes_, classifier.class_log_prior_
    other.model_ = replace(classifier.model_)
    return other


def files_of(folder, *, but=None):
    """Return the bytes of each label's files, by role and label."""
    config = json.loads((folder / "config.json").read_text())
    return {
        (file["role"], config["labels"][file["label"]]): (file["name"], (folder / file["name"]).read_bytes())
        for file in config["files"]
        if "label" in file and config["labels"][file["label"]] != but
    }


def test_a_label_is_added_beside_kept_texts(three, tmp_path):
    three.save(tmp_path / "model")
    before = files_of(tmp_path / "model")
    loaded = LMClassifier.load(tmp_path / "model").set_params(random_state=0)
    loaded.add_label("notice", NOTICES)
    assert loaded.classes_.tolist() == ["ham", "notice", "spam"]
    assert np.exp(loaded.class_log_prior_).sum() == pytest.approx(1)
    assert loaded.class_log_prior_[1] == pytest.approx(np.log(6 / 156))
    assert (loaded.predict(NEW_NOTICES) == "notice").sum() >= 2
    agree = (loaded.predict(TEXTS) == three.predict(TEXTS)).mean()
    assert agree > 0.95
    loaded.save(tmp_path / "model")
    assert files_of(tmp_path / "model", but="notice") == before  # names and bytes
    again = lmclassify.load(tmp_path / "model")
    assert np.array_equal(
        again.predict_joint_log_proba(NEW_NOTICES + TEXTS[:20]),
        loaded.predict_joint_log_proba(NEW_NOTICES + TEXTS[:20]),
    )
    assert np.isfinite(again.novelty(NEW_NOTICES)).all()
    assert set(again.held_out.codes.tolist()) == {0, 1, 2}
    parts = again.explain(NEW_NOTICES[0])
    total = (
        parts["prior"]["contribution"]
        + parts["end_of_text"]["contribution"]
        + sum(w["contribution"] for w in parts["words"])
    )
    assert total == pytest.approx(parts["decision"], abs=1e-5)


def test_adding_and_removing_leaves_the_model_as_it_was(three, tmp_path):
    changed = copy(three).add_label("notice", NOTICES).remove_label("notice")
    assert changed.classes_.tolist() == three.classes_.tolist()
    np.testing.assert_allclose(changed.class_log_prior_, three.class_log_prior_, rtol=1e-12)
    assert (changed.predict(TEXTS) == three.predict(TEXTS)).all()
    assert set(changed.model_.held_out.codes.tolist()) == {0, 1}
    assert len(changed.model_.held_out_texts.texts) == len(three.model_.held_out_texts.texts)


@pytest.fixture(scope="module", params=["plain", "tuned"])
def added(request, classifier, tuned):
    """A model without kept texts, before and after a label was added."""
    before = (classifier if request.param == "plain" else tuned).model_
    context = FitContext(before.settings, "cpu", 1, limits=SizeLimits(sampled_texts=200))
    return before, add_label(before, "notice", NOTICES * 3, context, 0)


def test_a_label_is_added_without_any_kept_text(added):
    _, changed = added
    assert changed.classes_.tolist() == ["ham", "notice", "spam"]
    assert (changed.predict(NEW_NOTICES) == "notice").sum() >= 2
    assert np.isfinite(changed.novelty(TEXTS)).all()
    assert changed.unknown_threshold() > 0
    assert changed.predict_proba(TEXTS).shape == (150, 3)


def test_thresholds_hold_after_a_label_was_added(added):
    before, after = added
    unseen = bundled("emails.csv")[0]
    shares = [(model.novelty(unseen) > model.unknown_threshold(0.1)).mean() for model in added]
    assert abs(shares[1] - shares[0]) < 0.1
    others = after.held_out.codes != 1
    np.testing.assert_array_equal(after.held_out.ood_features[others], before.held_out.ood_features)
    np.testing.assert_array_equal(after.held_out.cross_entropies[others], before.held_out.cross_entropies)
    assert 0 < (~others).sum() < len(before.held_out.codes) / 2


@pytest.mark.long
def test_labels_may_be_numbers(tmp_path):
    codes = np.array([label == "spam" for label in LABELS], dtype=np.int64)
    numbers = LMClassifier(**{**SMALL, "max_epochs": 1}).fit(TEXTS, codes)
    numbers.update(TEXTS[:2], codes[:2], [None, np.int64(1 - codes[1])]).add_label(
        np.int64(7), NOTICES
    ).remove_label(np.int64(0))
    numbers.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    assert loaded.classes_.tolist() == [1, 7]
    assert loaded.training_entries("revision")[-1]["what"] == "remove"
    for label in (2**70, True, 0.5, "8"):
        with pytest.raises(DataError):
            numbers.add_label(label, NOTICES)


@pytest.mark.long
def test_other_parameters_of_the_estimator_change_no_revision(classifier, tmp_path):
    whole = copy(classifier).set_params(num_lstm_units=5, cell="gru")
    whole.add_label("notice", NOTICES).update(TEXTS[:1], LABELS[:1]).save(tmp_path / "model")
    assert lmclassify.load(tmp_path / "model").models[1].num_lstm_units == classifier.num_lstm_units


def test_a_model_changed_meanwhile_is_not_overwritten(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    before = model_state(tmp_path / "model")
    copy(classifier).remove_label("ham").save(tmp_path / "model")
    with pytest.raises(OutputError, match="changed by another process"):
        classifier.model_.save(tmp_path / "model", replaces=before)
    assert lmclassify.load(tmp_path / "model").classes_.tolist() == ["spam"]
    classifier.model_.save(tmp_path / "model", replaces=model_state(tmp_path / "model"))


def test_one_text_makes_a_label(three):
    changed = copy(three).add_label("notice", ["Parcel at the depot"])
    p = changed.predict_proba(["Parcel at the depot", *TEXTS])[:, 1]
    assert p[0] > 2 * p[1:].max()


@pytest.mark.parametrize("recipe", ["plain", "tuned"])
def test_a_label_is_removed(recipe, tmp_path):
    labels = ["c" if index % 4 == 0 else label for index, label in enumerate(LABELS)]
    settings = {**(SMALL if recipe == "plain" else TUNED), "max_epochs": 1}
    classifier = LMClassifier(**settings).fit(TEXTS, labels)
    classifier.save(tmp_path / "model")
    before = files_of(tmp_path / "model", but="ham")
    classifier.model_.exact = True  # else fewer labels are near others, and language models asked less
    joint = classifier.predict_joint_log_proba(TEXTS[:30])
    classifier.remove_label("ham")
    assert classifier.classes_.tolist() == ["c", "spam"]
    found = classifier.predict_joint_log_proba(TEXTS[:30])
    odds = [scores[:, -1] - scores[:, 0] for scores in (joint, found)]
    # What no label but the removed one had known is known no more to the n-gram models.
    np.testing.assert_allclose(*odds, atol=1e-6 if recipe == "plain" else 0.3)
    classifier.save(tmp_path / "model")
    assert files_of(tmp_path / "model") == before
    loaded = replace(lmclassify.load(tmp_path / "model"), exact=True)
    assert np.array_equal(loaded.predict_joint_log_proba(TEXTS[:30]), found)
    classifier.remove_label("c")
    assert set(classifier.predict(TEXTS)) == {"spam"}
    with pytest.raises(DataError, match="only label"):
        classifier.remove_label("spam")


def test_misuse_changes_nothing(tuned):
    whole = copy(tuned)
    model = whole.model_
    for wrong, message in (
        (lambda: whole.add_label("spam", ["a"]), "there already"),
        (lambda: whole.add_label(3, ["a"]), "no str"),
        (lambda: whole.add_label("new", []), "no texts"),
        (lambda: whole.add_label("new", [None]), "missing"),
        (lambda: whole.remove_label("new"), "no label 'new'"),
    ):
        with pytest.raises(DataError, match=message):
            wrong()
        assert whole.model_ is model


def test_ngrams_that_become_known_later_have_no_weight_under_the_labels_before():
    view = NgramAnalyzer("word", 2)
    windows = view.occurrences(["a b", "b c"], [])
    keys = np.unique(windows.keys[windows.complete])
    rng = np.random.default_rng(0)
    small = NgramModel(
        view, keys, rng.uniform(1, 2, len(keys)).astype(np.float32),
        rng.normal(size=(len(keys), 2)).astype(np.float32), np.zeros(2, np.float32),
        np.ones((len(keys), 2), np.float32),
    )  # fmt: skip
    before = small.scores(["a b c"], [])
    more = small.with_ngrams(view.occurrences(["c d", "d"], []), idf=3.0)
    assert len(more.keys) == len(keys) + 2  # d, and c d
    np.testing.assert_allclose(more.scores(["a b c"], [])[0], before[0])
    new = np.setdiff1d(np.arange(len(more.keys)), more.known_to(0))
    assert (more.svm_weights[new] == 0).all()
    assert (more.counts[new] == 0).all()
    assert (more.idf[new] == 3.0).all()
    np.testing.assert_array_equal(more.keys[more.known_to(0)], small.keys)
    ones = np.ones(len(more.keys), np.float32)
    third = more.with_label(1, ones, 0.5, ones)
    assert third.known == [len(keys), len(more.keys), len(keys)]
    np.testing.assert_array_equal(third.without_label(1).svm_weights, more.svm_weights)
    assert small.with_ngrams(view.occurrences(["a b"], []), idf=1.0) is small


@pytest.mark.long
def test_many_labels_share_one_embedding(tmp_path):
    limits = SizeLimits(min_labels_to_share=2, sampled_texts=50)
    texts, labels = bundled(limit=40)
    model = trainer({**TUNED, "max_epochs": 1}, limits=limits).fit(texts, labels)
    context = FitContext(model.settings, "cpu", 1, limits=limits)
    model = add_label(model, "note", ["note to self", "note: buy milk", "a note"], context, 0)
    model = update(model, ["win a note now"], ["note"])
    own = {"layers.0.weight_hh_l0", "output.bias"}
    for lstm in (*model.models, *model.tuned):
        assert lstm.arrays["embedding.weight"] is not None
        np.testing.assert_array_equal(
            lstm.arrays["embedding.weight"], model.background.arrays["embedding.weight"]
        )
    model.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_joint_log_proba(texts), model.predict_joint_log_proba(texts))
    of_labels = [part for part in read_model(tmp_path / "model").files if part.role in ("lm", "tuned-lm")]
    for part in of_labels:
        stored = safetensors.numpy.load(part.content)
        assert "embedding.weight" not in stored
        assert own <= set(stored)
    shared = [lstm.arrays["embedding.weight"] for lstm in loaded.models]
    assert all(array is loaded.background.arrays["embedding.weight"] for array in shared)

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_limits

from lmclassify.comparison import baselines
from lmclassify.comparison.baselines import NBSVM, Baseline, FastText, log_count_ratio
from lmclassify.comparison.methods import METHODS, Setup, choose_methods
from lmclassify.datasets.labelled import read_tables
from lmclassify.errors import OptionError
from tests.conftest import SAMPLE, bundled

SCIKIT_LEARN = ["svm", "logreg", "nb", "cnb", "nbsvm"]
QUESTIONS = ["who is it", "who was that", "who won", "where is it", "where was that", "when ?", "when is it"]
ANSWERS = ["person", "person", "person", "place", "place", "time", "time"]


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def build(key: str) -> Baseline:
    return METHODS[key].build(Setup(seed=0, threads=1, device="cpu"))


class GivenScores(ClassifierMixin, BaseEstimator):
    """Returns scores that are written in the texts."""

    def fit(self, texts, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, texts):
        scores = self.decision_function(texts)
        return self.classes_[scores.argmax(axis=1) if scores.ndim > 1 else (scores > 0).astype(int)]

    def decision_function(self, texts):
        scores = np.array([[float(number) for number in text.split()] for text in texts])
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("temperature", [0.2, 6.0])
def test_calibration_finds_the_temperature_that_generated_the_labels(labels, temperature):
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(1500, labels)) * 3 * temperature
    cumulative = softmax(scores / temperature, axis=1).cumsum(axis=1)
    codes = (generator.random((len(scores), 1)) > cumulative).sum(axis=1)
    texts = [" ".join(map(str, row)) for row in scores.tolist()]
    baseline = Baseline(GivenScores).fit(texts, codes.tolist()).calibrate(texts, codes.tolist())
    assert baseline.temperature_ == pytest.approx(temperature, rel=0.15)


def test_few_texts_that_are_all_right_do_not_make_certain():
    texts, labels = ["0 5", "5 0", "0 6", "6 0"], ["b", "a", "b", "a"]
    baseline = Baseline(GivenScores).fit(texts, labels).calibrate(texts, labels)
    assert baseline.temperature_ < 0.1
    assert baseline.predict_proba(["0 1"])[0] == pytest.approx([1 / 12, 11 / 12])  # (1 - 1/6) + 1/6 * 1/2


@pytest.mark.parametrize(
    ("key", "many"), [("svm", False), ("nb", False), *((key, True) for key in SCIKIT_LEARN)]
)
def test_calibration_keeps_predictions_and_does_not_raise_the_loss(key, many):
    texts, labels = bundled(limit=150)
    if many:
        labels = [f"{label}{'?' in text}" for text, label in zip(texts, labels, strict=True)]
    train, test = (texts[:100], labels[:100]), (texts[100:], labels[100:])
    baseline = build(key).fit(*train)
    before = baseline.predict_proba(test[0])
    baseline.calibrate(*train)
    after = baseline.predict_proba(test[0])
    assert after.sum(axis=1) == pytest.approx(1)
    plain = baseline._make().fit(*train).predict(test[0])
    for probabilities in (before, after):
        assert baseline.classes_[probabilities.argmax(axis=1)].tolist() == plain.tolist()
    true = np.searchsorted(baseline.classes_, test[1])
    loss = [-np.log(p[np.arange(len(true)), true]).mean() for p in (before, after)]
    assert loss[1] < loss[0] + 0.05


@pytest.mark.parametrize("key", SCIKIT_LEARN)
def test_labels_with_one_text_or_two(key):
    texts, labels = [*QUESTIONS, "how many"], [*ANSWERS, "number"]
    baseline = build(key).fit(texts, labels).calibrate(texts, labels)
    probabilities = baseline.predict_proba(["who is that", "unheard"])
    assert probabilities.shape == (2, 4)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert baseline.classes_[probabilities[0].argmax()] == "person"


@pytest.mark.parametrize("key", SCIKIT_LEARN)
def test_one_text_per_label_is_not_calibrated(key):
    baseline = build(key).fit(["abc", "xyz"], ["a", "b"]).calibrate(["abc", "xyz"], ["a", "b"])
    assert baseline.temperature_ == 1


def test_log_count_ratio_by_hand():
    counts = sparse.csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]]))
    ratio = log_count_ratio(counts, np.array([True, True, False]), 1.0)
    # inside: 1 + (2, 1, 0), sum 6; outside: 1 + (0, 1, 1), sum 5
    assert ratio == pytest.approx(np.log([(3 / 6) / (1 / 5), (2 / 6) / (2 / 5), (1 / 6) / (2 / 5)]))


def test_nb_svm_is_one_versus_rest():
    counts = sparse.csr_matrix(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]))
    three = NBSVM().fit(counts, ["a", "b", "c", "a"])
    assert three.decision_function(counts).shape == (4, 3)
    assert three.predict(counts).tolist() == ["a", "b", "c", "a"]
    one = NBSVM().fit(counts, ["z", "z", "c", "z"])
    assert one.decision_function(counts).shape == (4,)
    assert one.predict(counts).tolist() == ["z", "z", "c", "z"]


def test_words_of_one_letter_and_punctuation_are_features():
    vectorizer = baselines.naive_bayes()[0].fit(["I see: a?"])
    assert set(vectorizer.vocabulary_) >= {"i", "a", "?", ":", "a ?"}


@pytest.mark.long
def test_accuracy_on_the_sample():
    train, test = (
        read_tables([str(SAMPLE / name)], say=str.strip) for name in ("subjects.csv", "emails.csv")
    )
    expected = {"svm": 0.84, "logreg": 0.825, "nb": 0.845, "cnb": 0.845, "nbsvm": 0.805}
    for key, accuracy in expected.items():
        baseline = build(key).fit(train.texts, train.labels)
        predicted = baseline.classes_[baseline.predict_proba(test.texts).argmax(axis=1)]
        assert np.mean(predicted == np.array(test.labels)) == pytest.approx(accuracy, abs=0.011), key


class ModuleLikeFastText(types.ModuleType):
    """Diverges at a high learning rate; predicts every label's share of the training lines."""

    def train_supervised(self, path, *, label, lr, **options):
        if lr > 0.1:
            raise RuntimeError("Encountered NaN.")
        with open(path, encoding="utf-8") as file:
            self.lines = file.read().splitlines()
        names = [line.split(" ", 1)[0] for line in self.lines]
        assert all(name.startswith(label) for name in names)
        shares = {name: names.count(name) / len(names) for name in names}

        class Model:
            def predict(self, lines, k):
                assert k == -1
                return [list(shares)] * len(lines), [list(shares.values())] * len(lines)

        return Model()


def test_fasttext_escapes_labels_and_lowers_its_learning_rate(monkeypatch):
    module = ModuleLikeFastText("fasttext")
    monkeypatch.setitem(sys.modules, "fasttext", module)
    texts = ["#label#1 Is it\nthis?", "b \ud800", "c"]
    model = FastText(threads=1, seed=0).fit(texts, ["not spam", "spam", "spam"])
    assert module.lines[0] == "#label#0 # label # 1 is it this ?"
    assert np.exp(model.predict_log_proba(texts)) == pytest.approx(np.array([[1 / 3, 2 / 3]] * 3))


if METHODS["fasttext"].installed:  # an extra that no test environment needs

    def test_fasttext_itself():
        baseline = build("fasttext").fit(QUESTIONS, ANSWERS).calibrate(QUESTIONS, ANSWERS)
        assert baseline.predict_proba(["who ?", ""]).sum(axis=1) == pytest.approx(1)


def test_methods_are_chosen_by_name():
    assert [method.key for method in choose_methods(["nb", "svm"])] == ["nb", "svm"]
    default = [method.key for method in choose_methods(None)]
    assert default[:4] == ["lmclassify", "ngram", "svm", "logreg"]
    assert "plain" not in default
    with pytest.raises(OptionError, match="unknown 'best'; known are lmclassify, plain, ngram, svm"):
        choose_methods(["nb", "best"])
    with pytest.raises(OptionError, match="names nb twice"):
        choose_methods(["nb", "nb"])


def test_a_method_whose_library_is_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "fasttext" not in [method.key for method in choose_methods(None)]
    with pytest.raises(OptionError, match=r"fasttext is not installed: .*pip install .*\[fasttext\]"):
        choose_methods(["fasttext"])

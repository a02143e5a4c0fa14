"""scikit-learn's contract: its checks that apply to text, by name, and text versions of the others."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags

from lmclassify import LMClassifier
from tests.conftest import SMALL, bundled

TEXTS, LABELS = bundled(limit=60)
METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "log_likelihood",
    "decision_function",
]


def a_fit(texts=TEXTS, labels=LABELS, **options) -> LMClassifier:
    fit = {key: options.pop(key) for key in ("sample_weight",) if key in options}
    return LMClassifier(**{**SMALL, "max_epochs": 1, **options}).fit(texts, labels, **fit)


@pytest.fixture(scope="module")
def fitted() -> LMClassifier:
    return a_fit()


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_estimators_unfitted,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_of_scikit_learn_that_apply(check):
    check("LMClassifier", LMClassifier(max_epochs=1))


def test_tags():
    tags = get_tags(LMClassifier())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.estimator_type == "classifier"
    assert tags.target_tags.required


@pytest.mark.parametrize("method", [*METHODS, "score", "perplexity", "suggest", "generate"])
def test_unfitted(method):
    arguments = {
        "score": (TEXTS, LABELS),
        "perplexity": (TEXTS, "spam"),
        "suggest": ("a",),
        "generate": ("a",),
    }
    with pytest.raises(NotFittedError):
        getattr(LMClassifier(), method)(*arguments.get(method, (TEXTS,)))


def test_fit_returns_self_and_changes_no_parameter():
    classifier = LMClassifier(**SMALL).set_params(max_epochs=1)
    before = dict(classifier.get_params())
    public = set(vars(classifier))
    assert classifier.fit(TEXTS, LABELS) is classifier
    assert classifier.get_params() == before
    assert all(name.endswith("_") for name in set(vars(classifier)) - public)


def test_prediction_changes_nothing(fitted):
    before = pickle.dumps(fitted.model_.models[0].arrays)
    names = set(vars(fitted))
    for method in METHODS:
        getattr(fitted, method)(TEXTS)
    assert set(vars(fitted)) == names
    assert pickle.dumps(fitted.model_.models[0].arrays) == before


def test_fit_is_idempotent():
    first = a_fit()
    expected = first.predict_joint_log_proba(TEXTS)
    again = first.fit(TEXTS, LABELS).predict_joint_log_proba(TEXTS)
    assert np.array_equal(expected, again)
    assert np.array_equal(expected, clone(first).fit(TEXTS, LABELS).predict_joint_log_proba(TEXTS))


def test_global_random_state_decides_where_none_is_given():
    scores = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        scores.append(a_fit(random_state=None).log_likelihood(TEXTS[:5]))
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    "form",
    [
        list,
        tuple,
        np.array,
        lambda items: np.array(items, dtype=object),
        pd.Series,
        lambda items: pd.Series(items, dtype="category"),
        lambda items: pd.Series(items, index=range(1000, 1000 + len(items)), dtype="string"),
        lambda items: [np.str_(item) for item in items],
    ],
    ids=["list", "tuple", "str", "object", "series", "category", "string", "np.str_"],
)
def test_forms_of_input(fitted, form):
    same = a_fit(form(TEXTS), form(LABELS))
    assert np.array_equal(same.classes_, fitted.classes_)
    assert np.array_equal(same.predict_proba(form(TEXTS)), fitted.predict_proba(TEXTS))


def test_read_only_input(fitted):
    texts, labels = np.array(TEXTS), np.array(LABELS)
    texts.setflags(write=False)
    labels.setflags(write=False)
    assert np.array_equal(a_fit(texts, labels).predict_proba(texts), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("method", METHODS)
def test_order_and_subsets_of_texts_change_nothing(fitted, method):
    whole = getattr(fitted, method)(TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = getattr(fitted, method)([TEXTS[index] for index in order])
    one_by_one = np.concatenate([getattr(fitted, method)([text]) for text in TEXTS])
    for other in (shuffled, one_by_one[order]):
        if method == "predict":
            assert np.array_equal(other, whole[order])
        else:
            assert np.abs(other - whole[order]).max() <= 1e-5


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_nothing(fitted, threads):
    other = a_fit(n_jobs=threads)
    assert np.array_equal(other.log_likelihood(TEXTS * 10), fitted.log_likelihood(TEXTS * 10))


def test_shapes_and_consistency(fitted):
    n, k = len(TEXTS), 2
    joint = fitted.predict_joint_log_proba(TEXTS)
    assert joint.shape == (n, k)
    assert np.allclose(joint, fitted.class_log_prior_ + fitted.log_likelihood(TEXTS), atol=1e-9)
    log_proba = fitted.predict_log_proba(TEXTS)
    assert np.allclose(log_proba, joint - np.logaddexp.reduce(joint, axis=1)[:, None])
    assert np.allclose(fitted.predict_proba(TEXTS).sum(axis=1), 1)
    assert np.allclose(fitted.predict_proba(TEXTS), np.exp(log_proba))
    decision = fitted.decision_function(TEXTS)
    assert decision.shape == (n,)
    assert np.allclose(decision, joint[:, 1] - joint[:, 0])
    assert np.array_equal(fitted.predict(TEXTS), fitted.classes_[(decision > 0).astype(int)])
    assert fitted.score(TEXTS, LABELS) == np.mean(fitted.predict(TEXTS) == np.array(LABELS))


def test_three_labels():
    labels = [f"{label}{index % 3 == 0}" for index, label in enumerate(LABELS)]
    fitted = a_fit(TEXTS, labels)
    assert fitted.decision_function(TEXTS).shape == (len(TEXTS), 4)
    assert np.array_equal(fitted.decision_function(TEXTS), fitted.predict_joint_log_proba(TEXTS))


def test_nothing_to_predict(fitted):
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize(
    "labels",
    [
        [1 if label == "spam" else -3 for label in LABELS],
        [label == "spam" for label in LABELS],
        np.array([1.0 if label == "spam" else 0.0 for label in LABELS]),
        np.array([np.int64(label == "spam") for label in LABELS], dtype=object),
    ],
    ids=["int", "bool", "float", "object"],
)
def test_labels_of_other_types(labels, tmp_path):
    fitted = a_fit(TEXTS, labels)
    assert np.array_equal(fitted.classes_, np.unique(np.array(list(labels))))
    assert set(fitted.predict(TEXTS).tolist()) <= set(fitted.classes_.tolist())
    fitted.save(tmp_path / "model")
    again = LMClassifier.load(tmp_path / "model")
    assert again.classes_.dtype == fitted.classes_.dtype
    assert np.array_equal(again.predict(TEXTS), fitted.predict(TEXTS))


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ("one string", ["a"], "got one string"),
        (["a", None], ["x", "y"], "text 1 is missing"),
        (["a", float("nan")], ["x", "y"], "text 1 is missing"),
        (["a", pd.NA], ["x", "y"], "text 1 is missing"),
        (["a", 3], ["x", "y"], "text 1 is no str: 3"),
        ([b"a", "b"], ["x", "y"], "text 0 is no str"),
        (np.array([["a"], ["b"]]), ["x", "y"], "2 dimensions"),
        (["a", "b"], None, "requires y to be passed, but the target y is None"),
        (["a", "b"], ["x"], "2 texts but 1 label"),
        (["a", "b"], ["x", None], "label 1 is None"),
        (["a", "b"], ["x", float("nan")], "label 1 is nan"),
        (["a", "b"], np.array([1.0, np.nan]), "label 1 is nan"),
        (["a", "b"], ["x", 1], "mix str with numbers"),
        (["a", "b"], pd.Series(["x", pd.NA], dtype="string"), "label 1 is <NA>"),
        (["a", "b"], np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]"), "labels must be"),
        (["a", "b"], ["x", "x\0"], "NUL"),
        (["a", "b"], np.array(["x", 1], dtype=object), "mix str with numbers"),
        (["a", "b", "c"], [0.1, 0.2, 0.35], "Unknown label type"),
        (["a", "b"], [["x", "y"], ["x", "z"]], "1d array|bad input shape"),
        ([], [], "0 samples"),
        (7, ["x"], "several texts"),
    ],
)
def test_input_that_cannot_be_used(texts, labels, message):
    with pytest.raises(ValueError, match=message):
        a_fit(texts, labels)


def test_predicting_missing_texts_is_an_error_and_an_empty_text_is_a_text(fitted):
    with pytest.raises(ValueError, match="text 1 is missing"):
        fitted.predict(["a", None])
    assert fitted.predict([""])[0] in fitted.classes_
    assert np.isfinite(fitted.log_likelihood(["", "  "])).all()
    assert a_fit(["", "a", "", "b"], ["x", "x", "y", "y"]).predict([""]).shape == (1,)


def test_a_column_of_labels_warns():
    with pytest.warns(DataConversionWarning):
        a_fit(TEXTS, np.array(LABELS).reshape(-1, 1))


def test_one_label_and_one_text_a_label():
    one = a_fit(["good morning", "good day", "hello"], ["only"] * 3)
    assert one.predict(["zzz"]).tolist() == ["only"]
    assert one.predict_proba(["zzz"]).tolist() == [[1.0]]
    assert one.predict_log_proba(["zzz"]).tolist() == [[0.0]]
    single = a_fit(["win a prize", "see you at lunch", "third"], ["a", "b", "c"])
    assert single.predict_proba(["lunch"]).shape == (1, 3)


def test_priors():
    texts, labels = TEXTS[:40], ["a"] * 30 + ["b"] * 10
    assert np.exp(a_fit(texts, labels).class_log_prior_) == pytest.approx([0.75, 0.25])
    assert np.exp(a_fit(texts, labels, fit_prior=False).class_log_prior_) == pytest.approx([0.5, 0.5])
    given = a_fit(texts, labels, class_prior=[0.1, 0.9])
    assert np.exp(given.class_log_prior_) == pytest.approx([0.1, 0.9])
    named = a_fit(texts, labels, class_prior={"b": 9, "a": 1})
    assert np.exp(named.class_log_prior_) == pytest.approx([0.1, 0.9])
    assert np.array_equal(named.log_likelihood(texts), given.log_likelihood(texts))
    for wrong in ([1.0], [0.5, -0.5], [1.0, float("nan")], {"a": 1.0}):
        with pytest.raises(ValueError, match="class_prior"):
            a_fit(texts, labels, class_prior=wrong)


def test_class_weight():
    texts, labels = TEXTS[:40], ["a"] * 30 + ["b"] * 10
    balanced = a_fit(texts, labels, class_weight="balanced")
    assert np.exp(balanced.class_log_prior_) == pytest.approx([0.5, 0.5])
    named = a_fit(texts, labels, class_weight={"a": 1.0, "b": 9.0})
    assert np.exp(named.class_log_prior_) == pytest.approx([0.25, 0.75])
    for wrong in ("equal", {"c": 1.0}, {"a": float("nan")}, {"a": -1.0}, {"a": float("inf")}):
        with pytest.raises(ValueError, match="class_weight"):
            a_fit(texts, labels, class_weight=wrong)


def test_sample_weight():
    weights = np.ones(len(TEXTS))
    assert np.array_equal(a_fit(sample_weight=weights).log_likelihood(TEXTS), a_fit().log_likelihood(TEXTS))
    for form in (weights * 2, pd.Series(weights * 2), [2.0] * len(TEXTS)):
        assert a_fit(sample_weight=form).class_log_prior_ == pytest.approx(a_fit().class_log_prior_)
    weights[10:] = 0
    without = a_fit(TEXTS[:10], LABELS[:10])
    assert a_fit(sample_weight=weights).class_log_prior_ == pytest.approx(without.class_log_prior_)
    tokens = set(a_fit(sample_weight=weights).model_.tokenizer.tokens)
    assert tokens == set(without.model_.tokenizer.tokens)  # texts of weight 0 teach nothing
    for wrong in (weights[:5], -weights, weights * np.nan):
        with pytest.raises(ValueError, match="sample_weight"):
            a_fit(sample_weight=wrong)
    with pytest.raises(ValueError, match="weight 0"):
        a_fit(sample_weight=[float(label == "ham") for label in LABELS])


def test_pickle(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_model_selection_and_pipelines():
    classifier = LMClassifier(**{**SMALL, "max_epochs": 1})
    scores = cross_val_score(classifier, TEXTS, LABELS, cv=2)
    assert scores.shape == (2,)
    assert cross_val_predict(classifier, TEXTS, LABELS, cv=2, method="predict_proba").shape == (60, 2)
    search = GridSearchCV(classifier, {"num_lstm_units": [4, 8], "tokenizer": ["word"]}, cv=2)
    search.fit(pd.Series(TEXTS), pd.Series(LABELS))
    assert search.best_params_["num_lstm_units"] in (4, 8)
    assert search.predict(TEXTS).shape == (60,)
    shout = FunctionTransformer(lambda texts: [text.upper() for text in texts])
    pipeline = make_pipeline(shout, classifier).fit(TEXTS, LABELS)
    assert np.array_equal(pipeline.predict(TEXTS), pipeline.predict([text.lower() for text in TEXTS]))


def test_temperature_calibration(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scikit-learn's search tries huge temperatures
        calibrated = CalibratedClassifierCV(FrozenEstimator(fitted), method="temperature")
        calibrated.fit(TEXTS, LABELS)
    assert np.array_equal(calibrated.predict(TEXTS), fitted.predict(TEXTS))

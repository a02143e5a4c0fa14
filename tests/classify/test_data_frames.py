"""Texts and labels from data frames."""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline

import lmclassify
from lmclassify import LMClassifier, LMClassifyWarning, ModelError
from lmclassify.classify.data_frames import read_training_data, recognise_text_column
from lmclassify.classify.storage import fields_from_stored, to_stored
from tests.conftest import SMALL, bundled

TEXTS, LABELS = bundled(limit=60)
FRAME = pd.DataFrame(
    {"id": range(60), "subject": TEXTS, "label": LABELS}, index=[f"mail {row}" for row in range(60)]
)
QUICK = {**SMALL, "max_epochs": 1}

EXAMPLE = """
>>> import pandas as pd
>>> from lmclassify import LMClassifier
>>> train = pd.DataFrame({
...     "subject": ["win a prize now", "lunch at noon?", "cheap prize, win", "notes of the meeting"],
...     "kind": ["spam", "ham", "spam", "ham"],
... })
>>> clf = LMClassifier(recipe="ngram", random_state=0).fit(train, text="subject", label="kind")
>>> test = pd.DataFrame({"from": ["Ann", "Bob"], "subject": ["win a cheap prize", "meeting at noon"]})
>>> test.assign(kind=clf.predict(test))["kind"].tolist()
['spam', 'ham']
>>> clf.score(train, train["kind"])
1.0
>>> clf.model_.text_column
'subject'
"""


@pytest.fixture(scope="module")
def fitted() -> LMClassifier:
    return LMClassifier(**QUICK).fit(FRAME, text="subject", label="label")


def test_example_of_the_documentation():
    test = doctest.DocTestParser().get_doctest(EXAMPLE, {}, "example", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_a_data_frame_is_read_as_its_columns_are(fitted):
    same = LMClassifier(**QUICK).fit(FRAME["subject"], FRAME["label"])
    assert same.model_.text_column is None
    for method in ("predict", "predict_proba", "predict_joint_log_proba", "log_likelihood", "novelty"):
        assert np.array_equal(getattr(fitted, method)(FRAME), getattr(same, method)(TEXTS)), method
        assert np.array_equal(getattr(fitted, method)(FRAME), getattr(same, method)(FRAME)), method
    assert fitted.predict(FRAME).shape == (60,)
    assert fitted.score(FRAME, FRAME["label"]) == same.score(TEXTS, LABELS)
    assert fitted.perplexity(FRAME, "spam") == same.perplexity(TEXTS, "spam")
    assert fitted.informative_words(FRAME[:9], 2) == same.informative_words(TEXTS[:9], 2)
    assert fitted.predict(FRAME[:0]).shape == (0,)
    assert np.array_equal(fitted.predict(TEXTS), same.predict(TEXTS))
    one_column = LMClassifier(**QUICK).fit(FRAME[["subject"]], LABELS)
    assert np.array_equal(one_column.predict_proba(FRAME), same.predict_proba(TEXTS))


def test_the_model_remembers_the_column(fitted, tmp_path):
    other = FRAME.assign(text="other words", note=TEXTS)[["text", "note", "subject"]]
    assert np.array_equal(fitted.predict_proba(other), fitted.predict_proba(TEXTS))
    fitted.save(tmp_path / "model")
    again = LMClassifier.load(tmp_path / "model")
    assert again.model_.text_column == "subject"
    assert again.model_.reading.text_columns == ("subject",)
    assert again.read_mail(b"Subject: win\nFrom: a@b.c\n\nlunch\n") == "win"
    assert np.array_equal(again.predict_proba(other), fitted.predict_proba(TEXTS))
    assert np.array_equal(lmclassify.load(tmp_path / "model").predict(other), fitted.predict(TEXTS))
    with pytest.raises(
        ValueError, match="no column 'subject', which the model was fitted on; its columns: id"
    ):
        again.predict(FRAME[["id"]])
    assert again.update(FRAME[:2], ["spam", "spam"]).model_.text_column == "subject"
    stored = to_stored(again.model_)
    stored.config["text_column"] = ["subject"]
    with pytest.raises(ModelError, match="text column"):
        fields_from_stored(stored)


def test_a_column_may_have_a_number_as_name(tmp_path):
    frame = pd.DataFrame({0: LABELS, 1: TEXTS})
    fitted = LMClassifier(**QUICK).fit(frame, text=1, label=0)
    fitted.save(tmp_path / "model")
    assert lmclassify.load(tmp_path / "model").text_column == 1
    assert LMClassifier(**QUICK).fit(frame, LABELS).model_.text_column == 1


def test_missing_texts_are_empty_and_counted_once(fitted):
    gaps = FRAME.copy()
    gaps["subject"] = gaps["subject"].astype(object)
    for row, value in ((1, None), (5, float("nan")), (7, pd.NA)):
        gaps.iloc[row, 1] = value
    filled = ["" if row in (1, 5, 7) else text for row, text in enumerate(TEXTS)]
    with pytest.warns(LMClassifyWarning, match="^3 of 60 texts in column 'subject' are missing") as caught:
        probabilities = fitted.predict_proba(gaps)
    assert len(caught) == 1
    assert np.array_equal(probabilities, fitted.predict_proba(filled))
    with pytest.warns(LMClassifyWarning, match="^1 of 2 texts in column 'subject' is missing"):
        assert fitted.predict(gaps[:2].astype("string")).shape == (2,)
    with pytest.warns(LMClassifyWarning, match="^3 of 60 texts") as caught:
        learned = LMClassifier(**QUICK).fit(gaps, text="subject", label="label")
    assert len(caught) == 1
    assert np.array_equal(
        learned.predict_proba(filled), LMClassifier(**QUICK).fit(filled, LABELS).predict_proba(filled)
    )


def test_unlabelled_texts_may_be_a_data_frame():
    read = read_training_data(FRAME, None, FRAME[:3], "subject", "label")
    assert (list(read.unlabelled), list(read.labels)) == (TEXTS[:3], LABELS)
    assert list(read_training_data(TEXTS, LABELS, FRAME[["subject"]], None, None).unlabelled) == TEXTS


@pytest.mark.parametrize(
    ("columns", "label", "expected"),
    [
        ({"text": ["a", "b"], "subject": ["c", "d"]}, None, "text"),
        ({"Subject": ["a", "b"], "from": ["c", "d"]}, None, "Subject"),
        ({"v1": ["ham", "spam"], "v2": ["c", "d"]}, None, "v2"),
        ({"n": [1, 2], "words": ["a", None]}, None, "words"),
        ({"words": ["a", "b"], "kind": ["c", "d"]}, "kind", "words"),
        ({"words": ["a", "b"], "empty": [None, None]}, None, "words"),
        ({"kind": ["a", "b"] * 5, "words": [f"some words {i}" for i in range(10)]}, None, "words"),
        ({"text": [1, 2], "words": ["c", "d"]}, None, "words"),
        ({3: ["a", "b"], "n": [1, 2]}, None, 3),
        ({"text": []}, None, "text"),
    ],
)
def test_recognised_columns(columns, label, expected):
    assert recognise_text_column(pd.DataFrame(columns), label) == expected


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (FRAME, {}, r"requires y .* is None; or name the column of labels \(label=...\); the columns: id, subject, label"),
        (FRAME, {"text": "body", "label": "label"}, "no column 'body'; its columns: id, subject, label"),
        (FRAME, {"label": "kind"}, "no column 'kind'; its columns: id, subject, label"),
        (FRAME, {"y": LABELS, "label": "label"}, "given twice"),
        (FRAME, {"text": "label", "label": "label"}, "'label' is named for both"),
        (FRAME, {"y": LABELS, "text": "id"}, "text 0 is no str: 0"),
        (FRAME, {"y": LABELS[:9]}, "60 texts but 9 labels"),
        (FRAME, {"text": [["subject"], "id"], "label": "label"}, r"or a list of such names, not \['subject'\]"),
        (FRAME[["id"]], {"y": LABELS}, "no column that is clearly the texts .* its columns: id; name it"),
        (
            pd.DataFrame({"a": ["x", "y"], "b": ["z", "w"]}),
            {"y": ["s", "t"]},
            r"clearly the texts .*: a, b; name it in fit \(text='a'\), or pass one column only",
        ),
        (pd.DataFrame([["a", "b", "s"]], columns=["text", "text", "label"]), {"label": "label"}, "2 columns named 'text'"),
        (TEXTS, {"y": LABELS, "text": "subject"}, "name columns of a data frame, but X is a list"),
        (FRAME["subject"], {"label": "label"}, "name columns of a data frame, but X is a Series"),
    ],
)  # fmt: skip
def test_data_frames_that_cannot_be_used(frame, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        LMClassifier(**QUICK).fit(frame, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [object, "string", "category"])
def test_missing_labels_are_an_error_that_names_the_row(kind):
    frame = FRAME.assign(label=FRAME["label"].astype(object))
    frame.iloc[[4, 7], 2] = None
    frame = frame.astype({"label": kind})
    message = (
        r"column 'label': row 4 \(counted from 0; index 'mail 4'\) has no label, the first of 2 such rows"
    )
    with pytest.raises(ValueError, match=message):
        LMClassifier(**QUICK).fit(frame, label="label")


def test_scikit_learn_takes_data_frames_too():
    classifier = LMClassifier(**QUICK)
    assert cross_val_score(classifier, FRAME, FRAME["label"], cv=2).shape == (2,)
    pipeline = make_pipeline("passthrough", clone(classifier))
    pipeline.fit(FRAME, lmclassifier__text="subject", lmclassifier__label="label")
    assert np.array_equal(pipeline.predict(FRAME), clone(classifier).fit(TEXTS, LABELS).predict(TEXTS))
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(classifier).set_fit_request(text=True)
        renamed = FRAME.rename(columns={"subject": "words", "id": "text"}).astype({"text": str})
        scores = cross_validate(asking, renamed, renamed["label"], cv=2, params={"text": "words"})
    assert np.array_equal(scores["test_score"], cross_val_score(classifier, TEXTS, LABELS, cv=2))


def test_pandas_is_not_imported():
    code = "import sys, lmclassify.classify.model; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_columns_make_a_text(tmp_path):
    frame = FRAME.assign(note=[None if row % 7 == 0 else f"note\n{row % 3}" for row in range(len(FRAME))])
    with pytest.warns(LMClassifyWarning, match="texts in column 'note' are missing and count as empty"):
        model = LMClassifier(**QUICK).fit(frame, text=["subject", "note"], label="label")
    model.save(tmp_path / "model")
    pairs = [*zip(frame["subject"], frame["note"].fillna(""), strict=True)]
    joined = [f"{subject}\n{' '.join(note.split())}" for subject, note in pairs]
    for fitted in (model, lmclassify.load(tmp_path / "model")):
        expected = fitted.predict_proba(joined)
        assert np.array_equal(fitted.predict_proba(pairs), expected)
        shuffled = frame[["note", "id", "subject"]].fillna("")
        assert np.array_equal(fitted.predict_proba(shuffled), expected)
        with pytest.raises(ValueError, match="no column 'note', which the model was fitted on"):
            fitted.predict(FRAME)
    assert lmclassify.load(tmp_path / "model").text_column == ["subject", "note"]
    assert {word["field"] for word in model.explain(joined[1])["words"]} == {"subject", "note"}
    again = LMClassifier(**QUICK).fit(pairs, frame["label"])
    assert np.array_equal(again.predict_proba(pairs), expected)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ([], "text names no column"),
        (["subject", "subject"], "text names column 'subject' twice"),
        (["subject", "label"], "'label' is named for both"),
        (["subject", "x"], "no column 'x'"),
        (["subject", "id"], "column 'id': text 0 is no str: 0"),
    ],
)
def test_columns_that_make_no_text(text, problem):
    with pytest.raises(ValueError, match=problem):
        LMClassifier(**QUICK).fit(FRAME, text=text, label="label")

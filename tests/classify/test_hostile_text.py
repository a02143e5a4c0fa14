"""Any text has finite scores, in time linear in its length."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify.explain import explain
from lmclassify.errors import DataError, LMClassifyWarning
from tests.conftest import SMALL, TINY

ANY_CHARACTER = st.characters(exclude_categories=())  # of every plane, and lone surrogates
WEIRD = [
    "\0", "\u202e\u202e", "\ud800", "\U0010ffff", "\x1b[2J", "\u0301" * 50, "👩‍👩‍👧", "\ufffe", "\u200b", "\xa0", " ", "", "a",
]  # fmt: skip


def check(model, texts: list[str]) -> None:
    proba = model.predict_proba(texts)
    assert np.isfinite(proba).all()
    assert np.allclose(proba.sum(axis=1), 1)
    assert np.isfinite(model.predict_joint_log_proba(texts)).all()
    assert np.isfinite(model.novelty(texts)).all()


def check_explanation(model, text: str) -> None:
    explanation = model.explain(text)
    assert np.isfinite(explanation["decision"])
    assert explanation["text"] == re.sub("[\ud800-\udfff]", "\ufffd", text)
    assert all(np.isfinite(found["probability"]) for found in model.suggest(text))


TEXTS = st.lists(st.text(ANY_CHARACTER, max_size=40), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(texts=TEXTS)
def test_any_text_has_finite_scores(model, texts):
    check(model, texts)
    check_explanation(model, texts[0])


@settings(max_examples=15, deadline=None)
@given(texts=TEXTS)
def test_any_text_has_finite_scores_in_recipe_tuned_too(golden_tuned, texts):
    check(golden_tuned, texts)
    check_explanation(golden_tuned, texts[0])


@pytest.mark.parametrize("recipe", [{**SMALL, "max_epochs": 1}, TINY], ids=["plain", "tuned"])
@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (WEIRD * 2, ["x", "y"] * len(WEIRD)),
        (list("abcdefgh"), list("xyxyxyxy")),
        (["same"] * 8, list("xyxyxyxy")),
        (["\ud800", "\0"], ["x", "y"]),
    ],
    ids=["weird", "single characters", "identical", "one a label"],
)
def test_fitted_on_any_text(tmp_path, recipe, texts, labels):
    fitted = LMClassifier(**recipe, keep_held_out=recipe["recipe"] == "tuned").fit(texts, labels)
    check(fitted, WEIRD)
    fitted.save(tmp_path / "model")
    check(lmclassify.load(tmp_path / "model"), WEIRD)
    assert fitted.generate("x", prefix="\ud800a", seed=0)[0].encode().startswith("\ufffda".encode())


def test_labels_are_text(model):
    with pytest.raises(DataError, match=r"label '\\ud800' holds half of a surrogate pair"):
        LMClassifier(**SMALL).fit(["a", "b"], ["\ud800", "x"])


KINDS = {
    "words": "free prize waiting for lunch on friday ",
    "one word": "x",
    "spaces": " ",
    "quotes": '"',
    "emoji": "👩‍👩‍👧‍👦",
    "combining marks": "\u0301\u0316",
    "surrogates": "\ud800",
    "apostrophes": "a'",
}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_time_is_linear_in_length(tuned, kind):
    def seconds(use, characters):
        text = (KINDS[kind] * characters)[:characters]
        started = time.process_time()
        use(text)
        return time.process_time() - started

    for use in (lambda text: tuned.predict([text]), tuned.explain):
        seconds(use, 1000)
        short = min(seconds(use, 2_000) for _ in range(2))
        long = min(seconds(use, 16_000) for _ in range(2))
        assert long < 24 * short + 0.5  # 64 times in quadratic time


def test_an_explanation_of_many_words_merges_the_last_ones(model):
    text = "free prize waiting for you  now"
    whole = model.explain(text)
    with pytest.warns(LMClassifyWarning, match="the last 4 of 6 words are explained as one"):
        cut = explain(model, text, max_words=3)
    assert [word["word"] for word in cut["words"]] == ["free", "prize", "waiting for you  now"]
    assert cut["decision"] == pytest.approx(whole["decision"])
    assert cut["words"][-1]["contribution"] == pytest.approx(
        sum(word["contribution"] for word in whole["words"][2:])
    )

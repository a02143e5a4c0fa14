"""How the predictor of recipe tuned scores texts."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, LMClassifyWarning
from lmclassify.classify.tuned_predictor import distinct_texts
from tests.conftest import GOLDEN, TINY, bundled

TEXTS, LABELS = bundled(limit=30)
NEW = ["", "Free prize", "lunch on Friday?", "\U0001f600 \x00 ﬀ", "zq" * 400]


def test_tuned_is_the_default_recipe():
    assert LMClassifier().recipe == "tuned"


def test_the_decision_is_the_arg_max_of_normalized_joint_scores(golden_tuned):
    joint = golden_tuned.predict_joint_log_proba(NEW)
    log_p = golden_tuned.predict_log_proba(NEW)
    np.testing.assert_allclose(log_p, joint - np.logaddexp.reduce(joint, axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(golden_tuned.predict_proba(NEW).sum(axis=1), 1)
    assert golden_tuned.predict(NEW).tolist() == golden_tuned.classes_[joint.argmax(axis=1)].tolist()
    np.testing.assert_array_equal(golden_tuned.decision_function(NEW), joint[:, 1] - joint[:, 0])


def test_the_joint_score_is_the_combination_of_its_experts(golden_tuned):
    model = replace(golden_tuned, settings=replace(golden_tuned.settings, disguised_label="none"))
    subwords = model.subwords.sequences(TEXTS)
    scores = [scores for ngrams in model.ngrams for scores in ngrams.scores(TEXTS, subwords)]
    scores += [replace(model, models=lstms).log_likelihood(TEXTS) for lstms in (model.models, model.tuned)]
    lengths = [len(sequence) for sequence in subwords]
    for exact, expected in (
        (False, model.combination.cascade_joint(scores, lengths)),
        (True, model.combination.joint(scores, lengths)),
    ):
        found = replace(model, exact=exact).predict_joint_log_proba(TEXTS)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert len(model.combination.experts) == len(scores) == 8


def test_scores_do_not_depend_on_other_texts(golden_tuned):
    together = golden_tuned.predict_joint_log_proba([*NEW, *TEXTS])
    alone = np.concatenate([golden_tuned.predict_joint_log_proba([text]) for text in [*NEW, *TEXTS[:10]]])
    np.testing.assert_allclose(together[: len(alone)], alone, atol=1e-5)


def test_neither_fits_nor_scores_depend_on_threads():
    one, two = (LMClassifier(**TINY, n_jobs=n_jobs).fit(TEXTS, LABELS) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.predict_joint_log_proba(NEW), two.predict_joint_log_proba(NEW))


def test_equal_texts_are_scored_once(golden_tuned):
    texts = [TEXTS[3], TEXTS[0], TEXTS[3], "", TEXTS[0], ""]
    scored = golden_tuned.score_texts(texts)
    for found, alone in zip(scored, golden_tuned.score_texts([TEXTS[3], TEXTS[0], ""]), strict=True):
        np.testing.assert_allclose(found, alone[[0, 1, 0, 2, 1, 2]], rtol=1e-9, atol=1e-9)
    distinct, rows = distinct_texts(texts)
    assert distinct == [TEXTS[3], TEXTS[0], ""]
    assert rows.tolist() == [0, 1, 0, 2, 1, 2]


def test_no_texts(golden_tuned):
    assert golden_tuned.predict_joint_log_proba([]).shape == (0, 2)
    assert golden_tuned.predict([]).tolist() == []


def test_long_texts_are_decided_as_with_all_language_models(golden_three):
    """LSTM scores add up over a text, unlike those of n-gram models, so long texts need them more."""
    texts = [" ".join(TEXTS[start : start + 10]) for start in range(20)]
    exact = replace(golden_three, exact=True)
    assert (golden_three.predict(texts) == exact.predict(texts)).all()


def test_truncated_texts_are_scored_by_their_beginning():
    model = lmclassify.load(GOLDEN / "tuned-truncated" / "model")
    long = " ".join(["free prize"] * 20)
    with pytest.warns(LMClassifyWarning, match="scored by their beginning only"):
        cut = model.predict_joint_log_proba([long, "see you"])
    with pytest.warns(LMClassifyWarning, match="scored by their beginning only"):
        other = model.predict_joint_log_proba([long + " noon", "see you"])
    np.testing.assert_array_equal(cut, other)


def test_saving_and_loading_change_nothing(golden_tuned, tmp_path):
    golden_tuned.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    for method in ("predict_joint_log_proba", "log_likelihood"):
        np.testing.assert_array_equal(getattr(loaded, method)(NEW), getattr(golden_tuned, method)(NEW))
    assert loaded.suggest("Your account", n=3) == golden_tuned.suggest("Your account", n=3)
    assert loaded.generate("spam", 3, seed=0) == golden_tuned.generate("spam", 3, seed=0)
    assert loaded.num_parameters == golden_tuned.num_parameters
    loaded.save(tmp_path / "again")
    files = [
        sorted(path.read_bytes() for path in (tmp_path / name).glob("*.safetensors"))
        for name in ("model", "again")
    ]
    assert files[0] == files[1]


def test_a_saved_model_needs_neither_torch_nor_scikit_learn():
    program = (
        "import sys, lmclassify; lmclassify.load('model').predict_proba(['a']);"
        "sys.exit(str([name for name in ('torch', 'sklearn', 'scipy', 'pandas') if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=GOLDEN / "tuned", capture_output=True, check=False
    )
    assert done.stderr.decode().strip() == "[]"

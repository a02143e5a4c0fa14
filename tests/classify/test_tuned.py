"""Recipe "tuned" as a whole, on little."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify.next_words import next_token_model
from lmclassify.classify.training.ngrams import ANALYZERS
from lmclassify.errors import LMClassifyWarning
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from tests.conftest import TUNED, bundled

TEXTS, LABELS = bundled(limit=120)
NEW = ["", "Free prize", "lunch on Friday?", "\U0001f600 \x00 ﬀ", "zq" * 400]


def test_it_is_the_default():
    assert LMClassifier().recipe == "tuned"


def test_the_decision_is_the_arg_max_of_normalised_joint_scores(tuned):
    joint = tuned.predict_joint_log_proba(NEW)
    log_p = tuned.predict_log_proba(NEW)
    np.testing.assert_allclose(log_p, joint - np.logaddexp.reduce(joint, axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(tuned.predict_proba(NEW).sum(axis=1), 1)
    assert tuned.predict(NEW).tolist() == tuned.classes_[joint.argmax(axis=1)].tolist()
    np.testing.assert_array_equal(tuned.decision_function(NEW), joint[:, 1] - joint[:, 0])


def test_the_joint_score_is_the_combination_of_its_experts(tuned):
    model = tuned.model_
    texts = TEXTS[:20]
    scores = [
        part for ngrams in model.ngrams for part in ngrams.scores(texts, model.subwords.sequences(texts))
    ]
    scores += [replace(model, models=models).log_likelihood(texts) for models in (model.models, model.tuned)]
    lengths = [len(sequence) for sequence in model.subwords.sequences(texts)]
    for exact, expected in (
        (False, model.combination.cascade_joint(scores, lengths)),
        (True, model.combination.joint(scores)),
    ):
        found = replace(model, exact=exact).predict_joint_log_proba(texts)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert len(model.combination.experts) == 2 * len(ANALYZERS) + 2


def test_scores_do_not_depend_on_company_or_threads(tuned):
    together = tuned.predict_joint_log_proba([*NEW, *TEXTS])
    alone = np.concatenate([tuned.predict_joint_log_proba([text]) for text in [*NEW, *TEXTS[:10]]])
    np.testing.assert_allclose(together[: len(alone)], alone, atol=1e-5)
    other = LMClassifier(**TUNED, n_jobs=1).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(other.predict_joint_log_proba(NEW), tuned.predict_joint_log_proba(NEW))


def test_saving_and_loading_change_nothing(tuned, tmp_path):
    tuned.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    for method in ("predict_joint_log_proba", "log_likelihood"):
        np.testing.assert_array_equal(getattr(loaded, method)(NEW), getattr(tuned, method)(NEW))
    assert loaded.suggest("Your account", n=3) == tuned.suggest("Your account", n=3)
    assert loaded.generate("spam", 3, seed=0) == tuned.generate("spam", 3)
    assert loaded.num_parameters == tuned.model_.num_parameters
    loaded.save(tmp_path / "again")
    files = [
        sorted(path.read_bytes() for path in (tmp_path / name).glob("*.safetensors"))
        for name in ("model", "again")
    ]
    assert files[0] == files[1]


def test_using_it_needs_neither_torch_nor_scikit_learn(tuned, tmp_path):
    tuned.save(tmp_path / "model")
    program = (
        "import sys, lmclassify; lmclassify.load('model').predict_proba(['a']);"
        "sys.exit(str([name for name in ('torch', 'sklearn', 'scipy', 'pandas') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert done.stderr.decode().strip() == "[]"


def test_truncated_texts_count_by_their_beginning():
    options = {**TUNED, "long_texts": "truncate", "max_length": 8, "tokenizer": "word"}
    with pytest.warns(LMClassifyWarning, match="longer than max_length"):
        fitted = LMClassifier(**options).fit(TEXTS, LABELS)
    long = " ".join(["free prize"] * 20)
    with pytest.warns(LMClassifyWarning, match="scored by their beginning only"):
        cut = fitted.predict_joint_log_proba([long, "see you"])
    with pytest.warns(LMClassifyWarning, match="scored by their beginning only"):
        other = fitted.predict_joint_log_proba([long + " noon", "see you"])
    np.testing.assert_array_equal(cut, other)


def test_next_words_come_from_the_lstm_and_the_n_grams_of_the_label(tuned):
    model = tuned.model_
    assert len(model.token_ngrams) == 2
    prefix = "Your account"
    ids = model.tokenizer.sequences([prefix])[:1]
    begun = ids[0][np.newaxis, :-1]
    for label, name in enumerate(model.label_names):
        log_p, _ = next_token_model(model, label).read(begun)
        alone = [one.read(begun)[0] for one in (model.models[label], model.token_ngrams[label])]
        np.testing.assert_allclose(np.exp(log_p), np.mean(np.exp(alone), axis=0), rtol=1e-6)
        own = [
            model.tokenizer.sequences([text])[0] for text, of in zip(TEXTS, LABELS, strict=True) if of == name
        ]
        learnt = TokenNgrams.fit(own, model.tokenizer.vocab_size)
        np.testing.assert_array_equal(model.token_ngrams[label].read(begun)[0], learnt.read(begun)[0])


@pytest.mark.parametrize("kind", ["word", "subword", "char"])
def test_neither_suggested_nor_written_is_what_is_unknown(kind):
    fitted = LMClassifier(**{**TUNED, "tokenizer": kind, "vocab_size": 30}).fit(TEXTS[:60], LABELS[:60])
    suggested = [found["word"] for found in fitted.suggest("Your", n=20)]
    assert len(set(suggested)) == len(suggested) > 0
    if kind == "word":
        assert set(suggested) <= set(fitted.model_.tokenizer.tokens)
    for text in fitted.generate("spam", 20, temperature=2.0):
        assert text
        assert fitted.model_.tokenizer.unknown_id not in fitted.model_.tokenizer.sequences([text])[0]
        text.encode()


def test_long_texts_are_decided_as_by_all_language_models(tuned):
    """What LSTMs say adds up over a text, unlike what n-gram models say, so long texts need them more."""
    model = replace(tuned.model_, combination=replace(tuned.model_.combination))
    texts = [" ".join(TEXTS[start : start + 20]) for start in range(60)]
    exact = replace(model, exact=True)
    assert (model.predict(texts) == exact.predict(texts)).all()


def test_equal_texts_are_scored_alike(tuned):
    texts = [TEXTS[3], TEXTS[0], TEXTS[3], "", TEXTS[0], ""]
    scored = tuned.model_.score_texts(texts)
    for found, alone in zip(scored, tuned.model_.score_texts([TEXTS[3], TEXTS[0], ""]), strict=True):
        np.testing.assert_allclose(found, alone[[0, 1, 0, 2, 1, 2]], rtol=1e-9, atol=1e-9)

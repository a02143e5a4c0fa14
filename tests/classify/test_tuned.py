"""Recipe "tuned" as a whole, on little."""

import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import lmclassify
from lmclassify import LMClassifier
from lmclassify.classify.next_words import next_token_model
from lmclassify.classify.training.discriminative import labels_to_compare
from lmclassify.classify.training.ngrams import VIEWS, learn_ngram_models
from lmclassify.classify.training.recipes import BACKGROUND
from lmclassify.errors import DataError, LMClassifyWarning, OptionError
from lmclassify.lm.ngram.token_ngrams import TokenNgrams
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import SMALL, TUNED, bundled

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
    assert len(model.combination.experts) == 2 * len(VIEWS) + 2


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


def test_maximum_likelihood_models_are_kept_beside_the_tuned(tuned):
    model = tuned.model_
    assert model.background is not None
    assert len(model.models) == len(model.tuned) == 2
    assert np.isfinite(tuned.perplexity(TEXTS, "ham"))
    kinds = [entry["kind"] for entry in model.training]
    assert kinds.count("label") == 2
    assert kinds.count("background") == kinds.count("tuning") == 1


def test_a_class_prior_shifts_the_joint_by_its_logarithm():
    labels = (["ham"] * 3 + ["spam"]) * 30
    learnt = LMClassifier(**TUNED).fit(TEXTS, labels)
    given = LMClassifier(**TUNED, class_prior={"ham": 0.1, "spam": 0.9}).fit(TEXTS, labels)
    shift = given.predict_joint_log_proba(NEW) - learnt.predict_joint_log_proba(NEW)
    expected = np.log([0.1, 0.9]) - np.log([0.75, 0.25])
    np.testing.assert_allclose(shift, np.tile(expected, (len(NEW), 1)), atol=1e-9)
    np.testing.assert_allclose(np.exp(learnt.class_log_prior_), [0.75, 0.25])


def test_weight_zero_is_a_text_left_out():
    weights = np.ones(120)
    weights[100:] = 0
    weighted = LMClassifier(**TUNED).fit(TEXTS, LABELS, sample_weight=weights)
    without = LMClassifier(**TUNED).fit(TEXTS[:100], LABELS[:100])
    np.testing.assert_allclose(
        weighted.predict_joint_log_proba(NEW), without.predict_joint_log_proba(NEW), atol=1e-9
    )


def test_heavier_texts_pull_decisions_their_way():
    weight = {"spam": 20.0}
    plain = LMClassifier(**TUNED).fit(TEXTS, LABELS)
    heavy = LMClassifier(**TUNED, class_weight=weight).fit(TEXTS, LABELS)
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
    fitted = LMClassifier(**TUNED).fit(texts, labels)
    probabilities = fitted.predict_proba([*texts, "new"])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_one_label():
    fitted = LMClassifier(**TUNED).fit(TEXTS, ["only"] * 120)
    assert fitted.predict_proba(NEW).tolist() == [[1.0]] * len(NEW)


@pytest.mark.parametrize("few", [True, False])
def test_held_out_texts_decide_where_there_are_many(few, monkeypatch):
    monkeypatch.setattr("lmclassify.classify.training.recipes._FEW", 1000 if few else 10)
    told = []
    fitted = LMClassifier(**TUNED, callback=lambda label, record: told.append(label)).fit(TEXTS, LABELS)
    entry = fitted.model_.training_entries("label")[0]
    assert (entry["validation_texts"] == 0) == few
    assert {BACKGROUND, "ham", "spam", None} == set(told)
    assert fitted.score(TEXTS, LABELS) > 0.8


def test_many_labels_are_told_from_their_likeliest_rivals():
    joint = np.array([[0.0, 3.0, 1.0, 2.0], [5.0, 0.0, 4.0, 1.0]])
    assert labels_to_compare(np.array([0, 2]), joint, 3).tolist() == [[0, 1, 3], [2, 0, 3]]
    assert labels_to_compare(np.array([0, 2]), joint).shape == (2, 4)


def test_held_out_scores_are_those_of_models_that_have_not_seen_the_text():
    codes = np.array([label == "spam" for label in LABELS], dtype=np.intp)
    folds = np.arange(120) % 3
    subwords = Tokenizer.train("subword", TEXTS, 200)
    _, held_out, _ = learn_ngram_models(TEXTS, subwords, codes, 2, folds)
    inside, outside = np.flatnonzero(folds != 1), np.flatnonzero(folds == 1)
    models, _, _ = learn_ngram_models(
        [TEXTS[index] for index in inside],
        subwords,
        codes[inside],
        2,
        folds[inside],
    )
    texts = [TEXTS[index] for index in outside]
    expected = [part for model in models for part in model.scores(texts, subwords.sequences(texts))]
    for of_fold, of_model in zip(held_out, expected, strict=True):
        np.testing.assert_allclose(of_fold[outside], of_model, rtol=1e-3, atol=1e-3)


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


def test_ctrl_c_in_tuning_keeps_the_best_so_far(monkeypatch):
    monkeypatch.setattr("lmclassify.classify.training.recipes._FEW", 10)

    def interrupt(label, record):
        if label is None and record.epoch == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(LMClassifyWarning, match="interrupted: the best weights so far are kept"):
        fitted = LMClassifier(**TUNED, callback=interrupt).fit(TEXTS, LABELS)
    assert fitted.predict(TEXTS).shape == (120,)
    assert fitted.model_.training_entries("tuning")[0]["epochs"] == 1


def test_ctrl_c_before_there_is_a_model():
    def interrupt(label, record):
        if label == BACKGROUND:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LMClassifier(**TUNED, callback=interrupt).fit(TEXTS, LABELS)


def test_it_beats_chance_by_far_on_texts_it_has_not_seen():
    options = {"max_epochs": 4, "num_lstm_units": 16, "embedding_dim": 16, "random_state": 0}
    fitted = LMClassifier(**options).fit(*bundled())
    assert fitted.score(*bundled("emails.csv")) > 0.75


def test_ctrl_c_while_models_of_a_part_train_leaves_none():
    def interrupt(label, record):
        if label is None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        LMClassifier(**TUNED, callback=interrupt).fit(TEXTS, LABELS)


def test_a_labels_only_text_is_learnt_from(monkeypatch):
    monkeypatch.setattr("lmclassify.classify.training.recipes._FEW", 10)
    fitted = LMClassifier(**TUNED).fit(TEXTS, [*LABELS[:-1], "single"])
    entries = {entry["label"]: entry for entry in fitted.model_.training_entries("label")}
    assert entries["single"]["training_texts"] == 1
    assert entries["single"]["validation_texts"] == 0


def test_words_are_the_tokens_unless_they_leave_most_held_out_text_unknown():
    common = ["win a prize now", "see you at lunch"] * 20
    assert LMClassifier(**TUNED).fit(common, LABELS[:40]).model_.tokenizer.kind == "word"
    joined = ["".join(f"{a}{b}" for a in "abc") * 2 + str(b) for b in range(120)]
    fitted = LMClassifier(**TUNED).fit(joined, LABELS)
    assert fitted.model_.tokenizer.kind == "subword"
    assert LMClassifier(**TUNED, tokenizer="word").fit(joined, LABELS).model_.tokenizer.kind == "word"


@pytest.mark.long
@pytest.mark.parametrize("weights", [None, np.full(120, 2.0)])
def test_unlabelled_texts_teach_the_background_model(weights):
    more = ["an altogether different subject"] * 50
    options = {**TUNED, "tokenizer": "char"}
    without = LMClassifier(**options).fit(TEXTS, LABELS, sample_weight=weights)
    fitted = LMClassifier(**options).fit(TEXTS, LABELS, sample_weight=weights, unlabelled=more)
    (entry,) = fitted.model_.training_entries("background")
    assert entry["training_texts"] == 120 + 50
    for label in ("ham", "spam"):
        assert fitted.perplexity(more, label) < without.perplexity(more, label)


def test_a_labels_likelihood_does_not_depend_on_how_heavy_all_its_texts_are():
    codes = np.array([label == "spam" for label in LABELS], dtype=np.intp)
    subwords = Tokenizer.train("subword", TEXTS, 200)
    sequences = subwords.sequences(TEXTS)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
    light, heavy = (
        learn_ngram_models(TEXTS, subwords, codes, 2, np.arange(120) % 3, weights=weights * of_label)[0]
        for of_label in (np.ones(120), np.where(codes == 1, 20.0, 0.1))
    )
    for before, after in zip(light, heavy, strict=True):
        likelihoods = [model.scores(TEXTS, sequences)[1] for model in (before, after)]
        np.testing.assert_allclose(*likelihoods, rtol=1e-4)


def test_more_labels_than_are_compared():
    labels = [f"label {number % 8}" for number in range(120)]
    fitted = LMClassifier(**TUNED).fit(TEXTS, labels)
    assert fitted.predict_proba(NEW).shape == (len(NEW), 8)
    assert fitted.score(TEXTS, labels) > 0.25


def test_unlabelled_texts_need_a_background_model():
    with pytest.warns(LMClassifyWarning, match="with one label there is no background model"):
        LMClassifier(**TUNED).fit(TEXTS, ["only"] * 120, unlabelled=["more"])
    with pytest.raises(OptionError, match="only recipe 'tuned' has"):
        LMClassifier(**SMALL).fit(TEXTS, LABELS, unlabelled=["more"])
    with pytest.raises(DataError, match="expected several texts"):
        LMClassifier(**TUNED).fit(TEXTS, LABELS, unlabelled="more")


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


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_every_device_there_is_trains(device):
    found = LMClassifier(**TUNED, device=device).fit(TEXTS, LABELS)
    assert found.score(TEXTS, LABELS) > 0.9

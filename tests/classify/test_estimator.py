from __future__ import annotations

import copy
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify import FittedModel, LMClassifier, LMClassifyWarning, OptionError, TrainingError
from lmclassify.lm.inference.forward import perplexity
from tests.conftest import SMALL, bundled

TEXTS, LABELS = bundled(limit=120)


def test_callback_gets_every_epoch():
    seen = []
    LMClassifier(**SMALL, callback=lambda label, record: seen.append((label, record.epoch))).fit(
        TEXTS, LABELS
    )
    assert sorted(seen) == [("ham", 1), ("ham", 2), ("spam", 1), ("spam", 2)]


def test_training_record(classifier):
    record = classifier.model_.training
    (whole,) = classifier.model_.training_entries("fit")
    assert whole["texts"] == 300
    assert whole["texts_cut"] == 0
    for label in classifier.model_.training_entries("label"):
        assert label["training_texts"] + label["validation_texts"] == bundled(limit=300)[1].count(
            label["label"]
        )
        assert label["validation_texts"] == round(0.1 * bundled(limit=300)[1].count(label["label"]))
        epochs = [entry for entry in record if entry["kind"] == "epoch" and entry["label"] == label["label"]]
        assert len(epochs) == label["epochs"] == 2


def test_vocabulary_comes_from_the_training_part_alone():
    """A word of one text is in the vocabulary only if that text was trained on."""
    texts = [f"common word{index} word{index}" for index in range(60)]
    labels = ["a", "b"] * 30
    fitted = LMClassifier(**SMALL, tokenizer="word", validation_fraction=0.5).fit(texts, labels).model_
    known = [f"word{index}" in fitted.tokenizer.tokens for index in range(60)]
    trained = sum(entry["training_texts"] for entry in fitted.training_entries("label"))
    assert sum(known) == trained == 30


def test_max_length_cuts_training_and_says_so():
    texts = [*TEXTS, "long " * 40]
    with pytest.warns(LMClassifyWarning, match="of 121 texts are longer than max_length") as said:
        fitted = LMClassifier(**{**SMALL, "max_length": 40}).fit(texts, [*LABELS, "ham"])
    (whole,) = fitted.model_.training_entries("fit")
    cut = sum(len(sequence) > 40 for sequence in fitted.model_.tokenizer.sequences(texts))
    assert whole["texts_cut"] == cut >= 1
    assert str(said[0].message).startswith(f"{cut} of 121")


def test_long_texts_are_scored_whole_or_cut_as_asked():
    with pytest.warns(LMClassifyWarning):
        chunked = LMClassifier(**{**SMALL, "max_length": 12}).fit(TEXTS, LABELS)
    text = " ".join(TEXTS[:30])
    (sequence,) = chunked.model_.tokenizer.sequences([text])
    assert len(sequence) > 100
    for index, lm in enumerate(chunked.model_.models):
        nll, _ = lm.token_nll(sequence[np.newaxis, :-1], sequence[np.newaxis, 1:])
        assert chunked.log_likelihood([text])[0, index] == pytest.approx(-nll.sum(), abs=1e-4)

    with pytest.warns(LMClassifyWarning):
        cut = LMClassifier(**{**SMALL, "max_length": 12, "long_texts": "truncate"}).fit(TEXTS, LABELS)
    with pytest.warns(LMClassifyWarning, match="beginning only"):
        score = cut.log_likelihood([text])
    with pytest.warns(LMClassifyWarning):
        same = cut.log_likelihood([text + " and some more words"])
    assert np.array_equal(score, same)
    nll, _ = cut.model_.models[0].token_nll(sequence[np.newaxis, :11], sequence[np.newaxis, 1:12])
    assert score[0, 0] == pytest.approx(-nll.sum(), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_any_texts_score_alone_as_together(classifier, texts):
    together = classifier.log_likelihood(texts)
    alone = np.concatenate([classifier.log_likelihood([text]) for text in texts])
    assert np.abs(together - alone).max() <= 1e-5
    assert np.isfinite(together).all()
    assert (together < 0).all()


def test_a_text_scores_as_torch_says(classifier):
    from lmclassify.lm import LanguageModel

    model = classifier.model_
    lm = model.models[0]
    module = LanguageModel(
        lm.vocab_size, 256, lm.num_lstm_units, embedding_dim=lm.embedding_dim, tie_weights=True
    ).eval()
    module.load_arrays(lm.arrays)
    for text in TEXTS[:20]:
        (sequence,) = model.tokenizer.sequences([text])
        ids = torch.from_numpy(sequence)[None]
        with torch.no_grad():
            nll = module.token_nll(ids[:, :-1], ids[:, 1:]).numpy()[0]
        ours, _ = lm.token_nll(sequence[None, :-1], sequence[None, 1:])
        assert np.abs(ours[0] - nll).max() <= 1e-5


def test_perplexity_divides_once(classifier):
    texts = ["a short one", "and another one that is quite a bit longer than the first"]
    tokens = sum(len(sequence) - 1 for sequence in classifier.model_.tokenizer.sequences(texts))
    nats = -classifier.log_likelihood(texts)[:, 1].sum()
    assert classifier.perplexity(texts, "spam") == pytest.approx(perplexity(nats, tokens), rel=1e-6)
    assert classifier.perplexity(["x"], "spam") != classifier.perplexity(["x"], "ham")
    with pytest.raises(OptionError, match="no label 'eggs' in this model; there are: ham, spam"):
        classifier.perplexity(texts, "eggs")


def test_suggest(classifier):
    mixed = classifier.suggest("Your account", n=3)
    assert [set(suggestion) for suggestion in mixed] == [{"word", "probability"}] * 3
    assert mixed == sorted(mixed, key=lambda suggestion: -suggestion["probability"])
    by_label = [classifier.suggest("Your account", label, 50) for label in ("ham", "spam")]
    values = [{s["word"]: s["probability"] for s in found}[mixed[0]["word"]] for found in by_label]
    assert min(values) * 0.98 <= mixed[0]["probability"] <= max(values) * 1.02
    assert len(classifier.suggest("", n=1)) == 1
    with pytest.raises(OptionError, match="no label"):
        classifier.suggest("a", "eggs")
    with pytest.raises(OptionError, match="n must be"):
        classifier.suggest("a", n=0)


def test_generate(classifier):
    texts = classifier.generate("spam", 3)
    assert len(set(texts)) == 3
    assert classifier.generate("spam", 2) == texts[:2]  # random_state is the seed
    assert classifier.generate("spam", 3, seed=1) != texts
    assert classifier.model_.generate("spam", 3, seed=0) == texts
    assert classifier.generate("ham", 3) != texts
    assert all(
        text.startswith("Your account") for text in classifier.generate("ham", 5, prefix="Your account")
    )
    (greedy,) = set(classifier.generate("ham", 2, prefix="Your", temperature=0, max_tokens=1))
    assert len(classifier.model_.generate("ham")) == 1
    likeliest = classifier.model_.tokenizer.sequences([greedy])[0]
    assert len(likeliest) <= 2 + len(classifier.model_.tokenizer.sequences(["Your"])[0])
    with pytest.raises(OptionError, match="no label 'eggs' in this model; there are: ham, spam"):
        classifier.generate("eggs")
    with pytest.raises(OptionError, match="n must be at least 1, not 0"):
        classifier.generate("ham", 0)
    with pytest.raises(OptionError, match="top_p must be above 0"):
        classifier.generate("ham", top_p=0.0)


def test_generate_writes_what_was_learnt():
    texts = ["good morning dear friend", "good morning dear neighbour"] * 40
    options = {**SMALL, "max_epochs": 15, "learning_rate": 0.02}
    fitted = LMClassifier(**options).fit(texts, ["only"] * 80)
    written = fitted.generate("only", 40, prefix="good morning", temperature=0.5)
    assert sum(text in texts for text in written) > 30
    assert set(texts) <= set(written)


def test_suggest_learns_what_follows():
    texts = ["good morning dear friend", "good morning dear neighbour"] * 40
    options = {**SMALL, "max_epochs": 15, "learning_rate": 0.02}
    fitted = LMClassifier(**options).fit(texts, ["only"] * 80)
    assert fitted.suggest("good morning")[0]["word"] == "dear"
    assert {suggestion["word"] for suggestion in fitted.suggest("good morning dear", n=2)} == {
        "friend",
        "neighbour",
    }


def test_ctrl_c_keeps_the_best_so_far_and_says_so():
    def interrupt(label: str, record) -> None:
        if label == "ham" and record.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    settings_ = {**SMALL, "max_epochs": 10_000, "patience": 10_000}
    with pytest.warns(LMClassifyWarning, match="interrupted: the best weights so far are kept"):
        fitted = LMClassifier(**settings_, callback=interrupt).fit(TEXTS, LABELS)
    assert fitted.predict(TEXTS).shape == (120,)
    for entry in fitted.model_.training_entries("label"):
        assert 1 <= entry["best_epoch"] <= entry["epochs"] < 10_000


def test_learning_uses_the_number_of_threads_that_torch_had():
    before = torch.get_num_threads()
    LMClassifier(**SMALL, n_jobs=2).fit(TEXTS, LABELS)
    assert torch.get_num_threads() == before


def test_long_texts_score_alone_as_together(classifier):
    texts = [" ".join(TEXTS[start:] + TEXTS[:start]) for start in range(0, 60, 10)]
    assert all(len(sequence) > 1000 for sequence in classifier.model_.tokenizer.sequences(texts))
    together = classifier.log_likelihood(texts)
    alone = np.concatenate([classifier.log_likelihood([text]) for text in texts])
    assert np.abs(together - alone).max() <= 1e-5


def test_training_that_diverges_is_an_error():
    with pytest.raises(TrainingError, match="diverged.*lower the learning rate"):
        LMClassifier(**SMALL, learning_rate=1e30).fit(TEXTS, LABELS)


def test_settings_may_be_numpy_scalars(tmp_path):
    plain = LMClassifier(**SMALL).fit(TEXTS, LABELS)
    options = {key: np.array([value])[0] for key, value in SMALL.items()}
    fitted = LMClassifier(**options, lowercase=np.False_, max_length=256.0).fit(TEXTS, LABELS)
    fitted.save(tmp_path / "model")
    assert np.array_equal(
        LMClassifier.load(tmp_path / "model").predict_proba(TEXTS), plain.predict_proba(TEXTS)
    )


def test_threads_can_be_set_after_fitting(classifier):
    other = copy.deepcopy(classifier).set_params(n_jobs=1)
    assert np.array_equal(other.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    assert other.model_.n_jobs == 1


def test_a_huge_label_costs_its_size_once():
    labels = [*LABELS[:-1], "x" * 1_000_000]
    fitted = LMClassifier(**{**SMALL, "max_epochs": 1}).fit(TEXTS, labels)
    assert len(fitted.classes_) == 3


def test_options_of_the_estimator():
    with pytest.raises(OptionError, match="device must be one of"):
        LMClassifier(**SMALL, device="tpu").fit(TEXTS, LABELS)
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="no CUDA device"):
            LMClassifier(**SMALL, device="cuda").fit(TEXTS, LABELS)
    with pytest.raises(OptionError, match="n_jobs"):
        LMClassifier(**SMALL, n_jobs=0).fit(TEXTS, LABELS)


@pytest.mark.parametrize("options", [{"tokenizer": "word"}, {"tokenizer": "char"}, {"num_lstm_layers": 2}])
@pytest.mark.parametrize("more", [{"tie_weights": False}, {"embedding_dim": None, "lowercase": True}])
def test_other_settings_learn_and_load(options, more, tmp_path):
    fitted = LMClassifier(**{**SMALL, "max_epochs": 1, **options, **more}).fit(TEXTS, LABELS)
    fitted.save(tmp_path / "model")
    loaded = LMClassifier.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert loaded.get_params() == fitted.get_params()


def test_parameters_come_back(tmp_path):
    options = {"class_prior": {"ham": 0.3, "spam": 0.7}, "class_weight": {"spam": 2.0}, "random_state": 5}
    fitted = LMClassifier(**{**SMALL, **options}).fit(TEXTS, LABELS)
    fitted.save(tmp_path / "model")
    loaded = LMClassifier.load(tmp_path / "model")
    assert isinstance(loaded, LMClassifier)
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.class_log_prior_, fitted.class_log_prior_)
    assert isinstance(loaded.model_, FittedModel)


@pytest.mark.long
def test_it_tells_spam_from_ham_it_has_not_seen():
    """FitResult well enough to beat a coin by far on the bundled e-mails."""
    options = {"max_epochs": 12, "num_lstm_units": 32, "embedding_dim": 32, "random_state": 0}
    fitted = LMClassifier(**options).fit(*bundled())
    assert fitted.score(*bundled("emails.csv")) > 0.65

"""Forward, backward and both, through fitting, saving, loading and scoring."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, ModelError, OptionError
from lmclassify.classify.training.context import SizeLimits
from lmclassify.lm.inference.directions import DirectedLanguageModel
from lmclassify.persistence import layout
from tests.classify.test_explain import check
from tests.conftest import SMALL, TINY, bundled, run_cli, trainer

TEXTS, LABELS = bundled(limit=30)
HARD = ["", "win a prize now", "lunch " * 2000, "ｆ\u0301 \n中文"]


@pytest.fixture(scope="module", params=["plain", pytest.param("tuned", marks=pytest.mark.long)])
def fitted(request) -> dict[str, LMClassifier]:
    options = {**TINY, "recipe": request.param, "validation_fraction": 0.3}
    return {
        direction: LMClassifier(**options, direction=direction).fit(TEXTS, LABELS)
        for direction in ("forward", "backward", "both")
    }


def test_both_is_the_mean_of_the_two(fitted):
    """The models of a pair are those that each direction alone has."""
    forward, backward, both = (fitted[name].log_likelihood(TEXTS) for name in fitted)
    np.testing.assert_allclose(both, (forward + backward) / 2, rtol=1e-6)
    assert np.abs(forward - backward).max() > 1e-3
    perplexities = [classifier.perplexity(TEXTS, "spam") for classifier in fitted.values()]
    assert perplexities[2] == pytest.approx(np.sqrt(perplexities[0] * perplexities[1]), rel=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("direction", ["backward", "both"])
def test_explain_sums_to_the_decision(fitted, direction):
    for text in HARD:
        check(fitted[direction].model_, text)


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_saved_and_loaded(fitted, direction, tmp_path):
    classifier = fitted[direction]
    classifier.save(tmp_path / "model")
    for loaded in (lmclassify.load(tmp_path / "model"), LMClassifier.load(tmp_path / "model")):
        np.testing.assert_array_equal(
            loaded.predict_joint_log_proba(TEXTS), classifier.predict_joint_log_proba(TEXTS)
        )
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    roles = [(file["role"], file.get("label")) for file in config["files"]]
    expected = {"forward": ["lm"], "backward": ["backward-lm"], "both": ["lm", "backward-lm"]}[direction]
    assert [role for role in roles if "tuned" not in role[0] and role[0].endswith("lm")] == [
        (role, label) for label in (0, 1) for role in expected
    ]
    assert any(role == "backward-background" for role, _ in roles) == (
        classifier.recipe == "tuned" and direction != "forward"
    )
    assert classifier.model_.num_parameters == lmclassify.load(tmp_path / "model").num_parameters
    kinds = {entry["kind"] for entry in classifier.model_.training}
    assert ("backward label" in kinds) == (direction == "both")
    for other in {"forward", "backward", "both"} - {direction}:
        config["settings"]["direction"] = other
        config["checksum"] = layout.config_checksum(config)
        (tmp_path / "model" / "config.json").write_bytes(layout.render_config(config))
        with pytest.raises(ModelError, match="holds no usable model"):
            lmclassify.load(tmp_path / "model")


def test_suggest_needs_a_model_that_reads_forward(fitted):
    with pytest.raises(OptionError, match="suggest needs .* forward; .* fit with direction forward or both"):
        fitted["backward"].suggest("Your")
    assert fitted["both"].suggest("Your", "spam") == fitted["forward"].suggest("Your", "spam")
    assert fitted["both"].suggest("Your", n=3) == fitted["forward"].suggest("Your", n=3)


def test_a_backward_model_predicts_what_comes_before():
    """Second words follow from first ones, but not the other way round, so probabilities tell the direction."""
    pairs = ["a x", "b y", "c x", "d y"]
    texts = pairs * 10
    options = {
        "max_epochs": 30,
        "learning_rate": 0.02,
        "num_lstm_units": 8,
        "embedding_dim": 8,
        "dropout": 0.0,
    }
    options |= {"recipe": "plain", "tokenizer": "word", "batch_size": 8, "random_state": 0}
    for direction in ("forward", "backward", "both"):
        classifier = LMClassifier(**options, direction=direction).fit(texts, ["l"] * len(texts))
        assert classifier.perplexity(texts, "l") == pytest.approx(4 ** (1 / 3), rel=0.05)
        (language_model,) = classifier.model_.models
        assert isinstance(language_model, DirectedLanguageModel) == (direction != "forward")
        words = [classifier.explain(pair)["words"] for pair in pairs]
        nats = [np.mean([word[k]["log_probability"]["l"] for word in words]) for k in (0, 1)]
        expected = {"forward": (0.25, 1.0), "backward": (0.5, 0.5), "both": (0.125**0.5, 0.5**0.5)}[direction]
        assert np.exp(nats) == pytest.approx(expected, rel=0.1)


def test_ctrl_c_keeps_models_of_both_directions_or_none():
    told = []

    def interrupt_at(count):
        def interrupt(label, record):
            told.append(label)
            if len(told) == count:
                signal.raise_signal(signal.SIGINT)

        told.clear()
        return interrupt

    options = {**SMALL, "direction": "both", "n_jobs": 1}  # two labels, two epochs, two directions
    with pytest.raises(KeyboardInterrupt):
        LMClassifier(**options, callback=interrupt_at(4)).fit(TEXTS, LABELS)
    with pytest.warns(match="interrupted: the best weights so far are kept"):
        kept = LMClassifier(**options, callback=interrupt_at(7)).fit(TEXTS, LABELS)
    assert kept.predict(TEXTS).shape == (len(TEXTS),)


def test_ctrl_c_in_the_first_directions_tuning_leaves_none():
    def interrupt(label, record):
        if label is None:
            signal.raise_signal(signal.SIGINT)

    limits = SizeLimits(min_texts_to_hold_out=10)
    with pytest.raises(KeyboardInterrupt):
        trainer({**TINY, "direction": "both", "callback": interrupt}, limits=limits).fit(TEXTS, LABELS)


@pytest.mark.parametrize("long_texts", ["chunk", "truncate"])
def test_texts_that_training_cuts(long_texts):
    options = {**SMALL, "max_length": 6, "long_texts": long_texts, "direction": "both"}
    read = "beginning" if long_texts == "truncate" else "beginning and end"
    with pytest.warns(match=f"longer than max_length.*reads their {read} only"):
        classifier = LMClassifier(**options).fit(TEXTS, LABELS)
    assert classifier.model_.training_entries("fit")[0]["texts_cut"] > 0
    if long_texts == "truncate":
        with pytest.warns(match="by their beginning only"):
            scores = classifier.log_likelihood(["win a prize " * 9, "win a prize " * 7 + "lunch"])
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.long
def test_the_option(tmp_path):
    quick = ["--recipe", "plain", "--max-epochs", 1, "--num-lstm-units", 8, "--embedding-dim", 8]
    done = run_cli("fit", "--direction", "both", *quick, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert "spam, backward: " in done.stderr.decode()
    assert run_cli("suggest", "Your", cwd=tmp_path).returncode == 0
    assert run_cli("fit", "--direction", "backward", *quick, "--force", cwd=tmp_path).returncode == 0
    refused = run_cli("suggest", "Your", cwd=tmp_path)
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) == 1

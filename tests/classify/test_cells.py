"""Every cell through fitting, saving, loading and scoring, in both recipes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, ModelError
from lmclassify.persistence import layout
from tests.conftest import GOLDEN, SMALL, TINY, bundled, run_cli

TEXTS, LABELS = bundled(limit=40)
CELLS = ["gru", "peephole", "coupled"]


@pytest.mark.parametrize("cell", CELLS)
def test_fitted_saved_and_loaded(cell, tmp_path):
    options = {**SMALL, "max_epochs": 1, "num_lstm_units": 8}
    classifier = LMClassifier(**options, cell=cell, num_lstm_layers=2, max_length=12)
    with pytest.warns(match="longer than max_length"):
        classifier.fit([*TEXTS, "win " * 40], [*LABELS, "spam"])
    classifier.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    assert {(model.cell, model.num_lstm_layers) for model in loaded.models} == {(cell, 2)}
    texts = ["lunch " * 500, *TEXTS]
    np.testing.assert_array_equal(
        loaded.predict_joint_log_proba(texts), classifier.predict_joint_log_proba(texts)
    )
    assert loaded.suggest("Your") == classifier.suggest("Your")
    assert loaded.explain("win a prize")["decision"] == pytest.approx(
        np.abs(np.diff(loaded.predict_joint_log_proba(["win a prize"])))[0, 0], abs=1e-5
    )


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, marks=pytest.mark.long if cell != "gru" else ()) for cell in CELLS]
)
def test_recipe_tuned(cell, tmp_path):
    classifier = LMClassifier(**TINY, cell=cell).fit(TEXTS, LABELS)
    model = classifier.model_
    assert {lstm.cell for lstm in (*model.models, *model.tuned, model.background)} == {cell}
    classifier.save(tmp_path / "model")
    np.testing.assert_array_equal(
        lmclassify.load(tmp_path / "model").predict_proba(TEXTS), classifier.predict_proba(TEXTS)
    )


def test_another_cell_than_the_settings_say_is_refused(tmp_path):
    lmclassify.load(GOLDEN / "plain-both" / "model").save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["settings"]["cell"] == "gru"
    config["settings"]["cell"] = "lstm"
    config["checksum"] = layout.config_checksum(config)
    (tmp_path / "model" / "config.json").write_bytes(layout.render_config(config))
    with pytest.raises(ModelError, match="of another cell or number of layers than the settings say; "):
        lmclassify.load(tmp_path / "model")


def test_models_saved_before_there_was_the_setting_have_lstms(saved, tmp_path):
    model = lmclassify.load(saved)
    model.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["settings"]["cell"]
    config["checksum"] = layout.config_checksum(config)
    (tmp_path / "model" / "config.json").write_bytes(layout.render_config(config))
    older = lmclassify.load(tmp_path / "model")
    assert older.settings.cell == "lstm"
    np.testing.assert_array_equal(older.predict_proba(TEXTS), model.predict_proba(TEXTS))


@pytest.mark.long
def test_the_option(tmp_path):
    quick = ["--recipe", "plain", "--max-epochs", 1, "--num-lstm-units", 8, "--embedding-dim", 8]
    done = run_cli("fit", "--cell", "gru", *quick, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    info = json.loads(run_cli("info", "--format", "json", cwd=tmp_path).stdout)
    assert info["settings"]["cell"] == "gru"
    wrong = run_cli("fit", "--cell", "rnn", *quick, cwd=tmp_path)
    assert wrong.returncode == 2
    assert b"--cell" in wrong.stderr

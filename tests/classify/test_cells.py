"""Every cell through fitting, saving, loading and scoring, in both recipes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lmclassify
from lmclassify import LMClassifier, ModelError
from lmclassify.persistence import layout
from tests.conftest import SMALL, TUNED, bundled, run_cli

TEXTS, LABELS = bundled(limit=80)
CELLS = ["gru", "peephole", "coupled"]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_fitted_saved_and_loaded(cell, layers, tmp_path):
    classifier = LMClassifier(**SMALL, cell=cell, num_lstm_layers=layers, max_length=12)
    with pytest.warns(match="longer than max_length"):
        classifier.fit([*TEXTS, "win " * 40], [*LABELS, "spam"])
    classifier.save(tmp_path / "model")
    loaded = lmclassify.load(tmp_path / "model")
    assert {(model.cell, model.num_lstm_layers) for model in loaded.models} == {(cell, layers)}
    long = ["lunch " * 5000, *TEXTS]  # read piece by piece, state carried
    np.testing.assert_array_equal(
        loaded.predict_joint_log_proba(long), classifier.predict_joint_log_proba(long)
    )
    assert loaded.suggest("Your") == classifier.suggest("Your")
    assert loaded.explain("win a prize")["decision"] == pytest.approx(
        np.abs(np.diff(loaded.predict_joint_log_proba(["win a prize"])))[0, 0], abs=1e-5
    )


@pytest.mark.parametrize("cell", CELLS)
def test_recipe_tuned(cell, tmp_path):
    classifier = LMClassifier(**TUNED, cell=cell).fit(TEXTS, LABELS)
    model = classifier.model_
    assert {of.cell for of in (*model.models, *model.tuned, model.background)} == {cell}
    classifier.save(tmp_path / "model")
    np.testing.assert_array_equal(
        lmclassify.load(tmp_path / "model").predict_proba(TEXTS), classifier.predict_proba(TEXTS)
    )


def test_another_cell_than_the_settings_say_is_refused(saved, tmp_path):
    LMClassifier(**SMALL, cell="gru").fit(TEXTS, LABELS).save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["settings"]["cell"] = "lstm"
    config["checksum"] = layout.config_checksum(config)
    (tmp_path / "model" / "config.json").write_bytes(layout.render_config(config))
    with pytest.raises(ModelError, match="of another cell or number of layers than the settings say; "):
        lmclassify.load(tmp_path / "model")


def test_a_model_of_before_there_were_cells_is_one_of_lstms(saved, tmp_path):
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

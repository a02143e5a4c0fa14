"""Cells and directions side by side, on little."""

import json
import sys

import numpy as np
import pytest

from benchmarks import cells
from lmclassify.classify.settings import Settings
from lmclassify.datasets.labelled import read_tables
from tests.conftest import SMALL, bundled

pytestmark = pytest.mark.long  # of a script that takes long

TEXTS, LABELS = bundled(limit=60)
OTHERS = {
    name: value for name, value in SMALL.items() if name not in ("recipe", "max_epochs", "random_state")
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "Settings", lambda **settings: Settings(**OTHERS, **settings))
    for part, rows in (("train", slice(None)), ("test", slice(0, 40))):
        lines = [json.dumps(t) + "," + label for t, label in zip(TEXTS[rows], LABELS[rows], strict=True)]
        (tmp_path / f"mail.{part}.csv").write_text("\n".join(["text,label", *lines]).replace('\\"', '""'))
    return tmp_path


def test_every_model_has_figures_and_runs_go_on_where_they_stopped(data, monkeypatch, capsys):
    results = data / "cells.jsonl"
    arguments = ["cells", "mail", "--data", str(data), "--epochs", "1", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--models", "GRU"])
    cells.main()
    assert "| GRU |" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", arguments)
    cells.main()
    printed = capsys.readouterr().out
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(record["model"] for record in records) == sorted(cells.MODELS)
    for record in records:
        assert f"| {record['model']} |" in printed
        assert set(record["figures"]) == set(cells.FIGURES)
        assert np.isfinite(list(record["figures"].values())).all()
    assert len({record["figures"]["perplexity"] for record in records}) == len(cells.MODELS)
    cells.main()
    assert capsys.readouterr().out == printed
    assert len(results.read_text().splitlines()) == len(cells.MODELS)


def test_the_figures_are_the_classifiers(data):
    name = "LSTM, both directions"
    training, test = (read_tables([str(data / f"mail.{part}.csv")], say=print) for part in ("train", "test"))
    figures = cells.measure(training, test, name, 1, 5)
    settings = cells.Settings(recipe="plain", max_epochs=1, **cells.MODELS[name])
    training_data = cells.TrainingData.from_labels(training.texts, training.labels, 5)
    model = cells.fit_plain(training_data, cells.FitContext(settings, "cpu", 1)).model
    assert figures["accuracy"] == (model.predict(test.texts) == np.array(test.labels)).mean()
    nats = tokens = 0.0
    for label in model.classes_:
        own = [text for text, other in zip(test.texts, test.labels, strict=True) if other == label]
        own_tokens = sum(len(sequence) - 1 for sequence in model.tokenizer.sequences(own))
        nats += np.log(model.perplexity(own, label)) * own_tokens
        tokens += own_tokens
    assert figures["perplexity"] == pytest.approx(np.exp(nats / tokens), rel=1e-6)

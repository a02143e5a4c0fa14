"""What parts add, on little."""

import json
import sys

import numpy as np
import pytest

from benchmarks import ablation
from lmclassify.classify.settings import Settings
from lmclassify.classify.training.tuned import fit_tuned
from lmclassify.comparison.methods import METHODS, Setup
from tests.conftest import TINY, bundled

TEXTS, LABELS = bundled(limit=40)


@pytest.fixture
def quick(monkeypatch):
    names = ("batch_size", "embedding_dim", "max_epochs", "num_lstm_units")
    small = {name: TINY[name] for name in names}
    monkeypatch.setattr(ablation, "Settings", lambda **settings: Settings(**small, **settings))


def test_every_variant_has_figures_and_runs_go_on_where_they_stopped(quick, tmp_path, monkeypatch, capsys):
    for part, rows in (("train", slice(None)), ("test", slice(0, 40))):
        lines = [
            json.dumps(text) + "," + label for text, label in zip(TEXTS[rows], LABELS[rows], strict=True)
        ]
        (tmp_path / f"mail.{part}.csv").write_text("\n".join(["text,label", *lines]).replace('\\"', '""'))
    results = tmp_path / "ablation.jsonl"
    arguments = ["ablation", "mail", "--data", str(tmp_path), "--seeds", "1", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", arguments)
    ablation.main()
    printed = capsys.readouterr().out
    variants = [*ablation.WITHOUT, "equal weights and one temperature", *ablation.OTHER_TRAINERS]
    for variant in variants:
        assert f"| {variant} |" in printed
    (record,) = [json.loads(line) for line in results.read_text().splitlines()]
    losses = [figures["log_loss"] for figures in record["figures"].values()]
    assert np.isfinite(losses).all()
    assert len(set(losses)) > len(variants) // 2
    ablation.main()
    assert capsys.readouterr().out == printed
    assert len(results.read_text().splitlines()) == 1


def test_leaving_out_names_experts_that_there_are(quick):
    data = ablation.TrainingData.from_labels(TEXTS, LABELS, 0)
    context = ablation.FitContext(ablation.Settings(), "cpu", 2)
    combination = fit_tuned(data, context).model.combination
    experts = ablation.fit_experts(data, context, TEXTS[:20])
    joint = experts.joint(ablation.WITHOUT["the whole recipe"])
    np.testing.assert_allclose(joint, combination.joint(experts.test), rtol=1e-9)
    for variant, left_out in ablation.WITHOUT.items():
        kept = [expert for expert in combination.experts if not left_out(expert)]
        assert len(kept) > 0
        assert (len(kept) < len(combination.experts)) == (variant != "the whole recipe")


def test_n_grams_alone():
    method = METHODS["ngrams"]
    classifier = method.build(Setup(seed=0, threads=1, device="cpu")).fit(TEXTS, LABELS)
    probabilities = classifier.predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (classifier.classes_[probabilities.argmax(axis=1)] == np.array(LABELS)).mean() > 0.9

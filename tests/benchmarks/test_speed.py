"""The speed script: its counts by hand, and the whole on little."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.flops import forward_flops, matrix_peak
from benchmarks.simple_training_loop import PlainModel, measure
from benchmarks.speed_rows import distinct_share
from lmclassify.classify.settings import Settings
from lmclassify.lm import LanguageModel
from tests.conftest import bundled


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # gates x units x (input + units), then projection and output, or the output alone; 2 each
        ({"tie_weights": True}, 2 * (4 * 3 * (5 + 3) + 3 * 5 + 5 * 7)),
        ({}, 2 * (4 * 3 * (5 + 3) + 3 * 7)),
        ({"num_lstm_layers": 2}, 2 * (4 * 3 * (5 + 3) + 4 * 3 * (3 + 3) + 3 * 7)),
        ({"cell": "gru"}, 2 * (3 * 3 * (5 + 3) + 3 * 7)),
        ({"cell": "peephole"}, 2 * (4 * 3 * (5 + 3) + 3 * 7)),
    ],
)
def test_operations_are_those_worked_by_hand(options, expected):
    model = LanguageModel(7, 10, 3, **{"num_lstm_layers": 1, **options}, embedding_dim=5)
    assert forward_flops(model.arrays()) == expected


def test_the_plain_model_is_as_large_as_ours():
    settings = Settings(recipe="plain")
    ours = LanguageModel(
        300,
        settings.max_length,
        settings.num_lstm_units,
        settings.num_lstm_layers,
        embedding_dim=settings.embedding_dim,
        tie_weights=settings.tie_weights,
    )
    plain = PlainModel(300, settings)
    assert sum(p.numel() for p in plain.parameters()) == sum(p.numel() for p in ours.parameters())


def test_rates_are_positive():
    assert all(rate > 0 for rate in matrix_peak(1, sizes=[8]).values())
    texts = [np.array([1, 3, 2]), np.array([1, 2]), np.arange(1, 9)] * 3
    tokens, steps = measure([texts, texts[:1]], 20, Settings(batch_size=2), 2)
    assert 0 < tokens < steps


def test_a_sequences_beginnings_are_told_apart_by_all_tokens_before():
    one, other = np.array([1, 5, 6, 5, 2]), np.array([1, 6, 6, 5, 2])
    assert distinct_share([one, one]) == 0.5
    assert distinct_share([one, other]) == 7 / 8


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.speed", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_everything_is_measured_in_one_run(tmp_path, tuned):
    texts, labels = bundled(limit=80)
    train = tmp_path / "train.csv"
    with open(train, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    tuned.save(tmp_path / "tuned")
    few = ["--repeats", 2, "--row-repeats", 1, "--epochs", 1, "--batches", 2]
    rows = ["--rows", train, "--model", tmp_path / "tuned", "--json", tmp_path / "speed.json"]
    done = run(train, *few, *rows)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "speed.json").read_text())
    for name, values in {**result["figures"], **result["ratios"]}.items():
        assert name in done.stdout
        assert len(values) == (1 if "texts/s" in name else 2)
        assert min(values) > 0
    assert {"fit, share of peak", "step, share of peak", "scoring, share of peak"} < set(result["ratios"])
    assert {"fit / plain loop, tokens/s", "tuned / svm, texts/s", "plain / svm, texts/s"} < set(
        result["ratios"]
    )
    assert 0 < result["distinct token prefixes, tuned"] <= 1
    assert 0.9 <= result["same labels, tuned and tuned exact"] <= 1
    assert result["training tokens"] > 500


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["no.csv"], "no.csv"),
        (["no.csv", "--repeats", "0"], "at least 1"),
        (["no.csv", "--model", "folder"], "give --rows too"),
    ],
)
def test_errors_take_one_line(arguments, error):
    done = run(*arguments)
    assert done.returncode == 1
    assert error in done.stderr
    assert done.stderr.count("\n") == 1

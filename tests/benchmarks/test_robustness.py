"""What spammers' tricks cost."""

import csv
import json
import sys

import pytest

from benchmarks import robustness as tricks
from lmclassify.datasets.labelled import LabelledTexts
from tests.conftest import bundled

SOME = LabelledTexts(["win money", "see you", "win now", "call me"], ["spam", "ham", "spam", "ham"])


def test_only_one_label_is_disguised():
    found = tricks.disguise(SOME, "spam", ["noon"], "padding", 2, 0)
    assert found == ["win money noon noon", "see you", "win now noon noon", "call me"]
    spaced = tricks.disguise(SOME, "spam", [], "spaced", 1.0, 0)
    assert spaced == ["w i n m o n e y", "see you", "w i n n o w", "call me"]


def test_accuracies_by_trick_and_rate():
    def predict(texts):
        return ["spam" if "win" in text.split() else "ham" for text in texts]

    found = tricks.measure(predict, SOME, "spam", ["noon"], 0)
    assert found["none"] == [1.0]
    assert found["padding"] == [1.0] * 4
    assert found["spaced"][-1] == found["homoglyphs"][-1] == 0.5


def test_tables():
    def record(method, clean, after):
        accuracy = {
            "none": [clean],
            **{trick: [after] * len(rates) for trick, rates in tricks.RATES.items()},
        }
        return {"set": "s", "method": method, "accuracy": accuracy}

    def targets(ours, best):
        lines = tricks.tables(
            [record(tricks.OURS, 0.95, ours), record("svm", 0.9, best), record("nb", 0.9, 0.1)]
        )
        return {line.split("|")[-2].strip() for line in lines.splitlines() if line.startswith("| spaced")}

    assert "| none | | 0.9500 | 0.9000 |" in tricks.tables(
        [record(tricks.OURS, 0.95, 0.9), record("svm", 0.9, 0.8)]
    )
    assert targets(0.91, 0.8) == {"reached"}  # 4 points of 10
    assert targets(0.89, 0.8) == {"missed"}  # 6 points of 10
    assert targets(0.95, 0.92) == {"reached"}  # nothing, where the best gains
    assert targets(0.94, 0.92) == {"missed"}


@pytest.mark.parametrize("validation", [False, True])
def test_the_script_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys, validation):
    texts, labels = bundled(limit=100)
    for part, chosen in (("train", slice(80)), ("test", slice(80, 100))):
        with open(tmp_path / f"x.{part}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerows([("text", "label"), *zip(texts[chosen], labels[chosen], strict=True)])
    results = tmp_path / "results.jsonl"
    command = ["tricks", str(tmp_path), "--sets", "x", "--models", str(tmp_path / "models")]
    command += ["--results", str(results), "--methods", "svm", "nb", *(["--validation"] * validation)]
    monkeypatch.setattr(sys, "argv", command)
    tricks.main()
    first, lines = capsys.readouterr().out, results.read_text().splitlines()
    assert "| padding | 20 |" in first
    assert [json.loads(line)["method"] for line in lines] == ["svm", "nb"]
    assert {json.loads(line)["texts"] for line in lines} == {16 if validation else 20}
    tricks.main()
    assert capsys.readouterr().out == first
    assert results.read_text().splitlines() == lines

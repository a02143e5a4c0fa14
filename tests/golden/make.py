"""Write the golden files: small models saved by this version, and what it computes from them.

Run as ``python -m tests.golden.make`` only where a change of outputs is intended, and say why in the commit.
The files in this folder were made by version 0.7.0 (commit 04a9cf4).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import shutil
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lmclassify
from lmclassify import LMClassifier, LMClassifyWarning

HERE = Path(__file__).parent
SUBJECTS = HERE.parent / "sample" / "subjects.csv"
SMALL = {
    "max_epochs": 2,
    "num_lstm_units": 8,
    "embedding_dim": 6,
    "vocab_size": 60,
    "batch_size": 8,
    "learning_rate": 0.02,
    "random_state": 0,
}
TOPICS = {
    "food": "soup bread pasta cheese dinner lunch recipe tomato butter sauce",
    "sport": "match goal team league coach player score final race win",
    "travel": "flight hotel train ticket airport beach tour visa map luggage",
}
TEXTS = [
    "Lunch on Friday?",
    "Your free prize is waiting",
    "F r e e  p r i z e, cl1ck n0w!",
    "Frеe pills and a cheap loan tomorrow meeting notes agenda budget review minutes",
    "Re: minutes of the meeting",
    "",
    "Ünïcode: 请点击领取奖品, δωρεάν 🎁",
    "the final score of the match after dinner at the hotel",
    "ticket ticket ticket ticket",
    " ".join(["invoice attached please pay today"] * 12),
    "Churсh аnd nonprofit mаiling rostеr, 210,000 rеcords, onе pricе",  # Cyrillic letters
    "10562 6 AOB Bea Knitting Quarterly Tallow Work at hone moms making 7k/month - see how",
    "soup brеаd раstа cheese dinner",
]


def bundled_rows(per_label: int) -> tuple[list[str], list[str]]:
    """Return the first subject lines of each label of the bundled sample."""
    with open(SUBJECTS, newline="", encoding="utf-8") as file:
        rows = [(row["subject"], row["label"]) for row in csv.DictReader(file)]
    kept = [row for label in ("spam", "ham") for row in [row for row in rows if row[1] == label][:per_label]]
    return [text for text, _ in kept], [label for _, label in kept]


def topic_rows(per_label: int) -> tuple[list[str], list[str]]:
    """Return made-up texts of three topics."""
    texts, labels = [], []
    for label, words in TOPICS.items():
        known = words.split()
        for number in range(per_label):
            texts.append(
                " ".join(known[(number * step + step) % len(known)] for step in (1, 3, 7)) + " the day"
            )
            labels.append(label)
    return texts, labels


def classifiers() -> Iterable[tuple[str, LMClassifier]]:
    """Yield each golden model's name and its fitted classifier."""
    mail, topics = bundled_rows(12), topic_rows(12)
    yield "plain", LMClassifier(recipe="plain", **SMALL).fit(*mail)
    stacked = {
        "direction": "both",
        "cell": "gru",
        "num_lstm_layers": 2,
        "long_texts": "truncate",
        "max_length": 16,
    }
    yield "plain-both", LMClassifier(recipe="plain", **SMALL, **stacked).fit(*mail)
    yield "tuned", LMClassifier(recipe="tuned", **SMALL).fit(*mail)
    both = {"direction": "both", "disguised_label": "1", "class_prior": [0.2, 0.3, 0.5]}
    numbers = [{"food": 1, "sport": 2, "travel": 3}[label] for label in topics[1]]
    yield (
        "tuned-both-three",
        LMClassifier(recipe="tuned", keep_held_out=True, **SMALL, **both).fit(topics[0], numbers),
    )
    short = {"tokenizer": "subword", "long_texts": "truncate", "max_length": 12}
    yield "tuned-truncated", LMClassifier(recipe="tuned", **SMALL, **short).fit(*mail)


def outputs(folder: Path) -> dict[str, Any]:
    """Return what a saved model computes, as plain data."""
    model = lmclassify.load(folder)
    scored = model.score_texts(TEXTS)
    first = model.classes_[0].item()
    found: dict[str, Any] = {
        "joint": model.predict_joint_log_proba(TEXTS).tolist(),
        "log_likelihood": model.log_likelihood(TEXTS).tolist(),
        "log_posterior": model.predict_log_proba(TEXTS).tolist(),
        "decision": model.decision_function(TEXTS).tolist(),
        "labels": model.predict(TEXTS).tolist(),
        "novelty": scored.novelty.tolist(),
        "cross_entropies": scored.cross_entropies.tolist(),
        "unknown_threshold": model.unknown_threshold(0.1),
        "positive_threshold": model.positive_threshold(first, 0.1).log_odds,
        "perplexity": model.perplexity(TEXTS, first),
        "suggest": model.suggest("the", n=4),
        "suggest_label": model.suggest("", label=first, n=4),
        "generate": model.generate(first, n=3, seed=1, max_tokens=8),
        "explain": [model.explain(text) for text in TEXTS],
        "informative_words": model.informative_words(TEXTS, n=5),
    }
    model.exact = True
    found["joint_exact"] = model.predict_joint_log_proba(TEXTS).tolist()
    found["explain_exact"] = model.explain(TEXTS[3])
    return found


COMMANDS = {
    "predict.csv": ["predict", "texts.csv", "-m", "model", "-q", "--unknown-label", "unknown"],
    "predict-exact.jsonl": ["predict", "texts.csv", "-m", "model", "-q", "--format", "jsonl", "--exact"],
    "evaluate.json": ["evaluate", "texts.csv", "-m", "model", "-q", "--format", "json"],
    "explain.json": ["explain", TEXTS[2], "-m", "model", "-q", "--format", "json"],
    "info.json": ["info", "-m", "model", "-q", "--format", "json"],
    "suggest.json": ["suggest", "the", "-m", "model", "-q", "--format", "json"],
}
"""What each golden output of the command line is the standard output of."""


def run(arguments: list[str], folder: Path) -> str:
    """Return what a command prints on standard output; it must succeed."""
    from typer.testing import CliRunner

    from lmclassify.cli.main import build_program

    with contextlib.chdir(folder):
        done = CliRunner().invoke(build_program(arguments), arguments)
    assert done.exit_code == 0, done.output
    return done.stdout.replace(f"{folder}/", "")  # the same in every checkout


def write_texts(path: Path, labels: list[Any]) -> None:
    """Write the texts as a table whose labels are the model's, in turn."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        for number, text in enumerate(TEXTS):
            writer.writerow([number, text, labels[number % len(labels)]])


def main() -> None:
    """Write everything anew."""
    for name, classifier in classifiers():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        classifier.save(folder / "model")
        write_texts(folder / "texts.csv", classifier.classes_.tolist())
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore", LMClassifyWarning)
            content = json.dumps(outputs(folder / "model"), ensure_ascii=False)
            (folder / "outputs.json").write_text(content + "\n", encoding="utf-8")
            for file, arguments in COMMANDS.items():
                (folder / file).write_text(run(arguments, folder), encoding="utf-8")
        print(name, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()), file=sys.stderr)


if __name__ == "__main__":
    main()

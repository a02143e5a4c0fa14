"""What texts without label bring: recipe ngram with and without them.

``python -m benchmarks.unlabelled --data FOLDER`` reads ``<set>.train.csv`` and ``<set>.test.csv`` of six
sets, draws labelled texts and 3,000 other ones of the training part, and prints a Markdown table: accuracy
and log-loss (nats per text) on the test part, mean and standard deviation over the draws. With ``--validate``
a part of the training data is tested instead: choices were made with it.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

from benchmarks.common import (
    accuracy_and_log_loss,
    append_record,
    errors_in_one_line,
    mean_and_spread,
    print_progress,
    read_records,
    table_head,
)
from benchmarks.label_order import parts, set_parser
from lmclassify import LMClassifier
from lmclassify.datasets.labelled import LabelledTexts

SIZES = (50, 200, 1000)
UNLABELLED = 3_000


def measure(pool: LabelledTexts, tested: LabelledTexts, size: int, seed: int) -> dict[str, dict[str, float]]:
    """Return accuracy, log-loss and seconds of the fit, without and with unlabelled texts."""
    others = pool.texts[size : size + UNLABELLED]
    found = {}
    for name, unlabelled in (("alone", None), ("with", others)):
        started = time.perf_counter()
        model = LMClassifier(recipe="ngram", random_state=seed)
        model.fit(pool.texts[:size], pool.labels[:size], unlabelled=unlabelled)
        seconds = time.perf_counter() - started
        probabilities = model.predict_proba(tested.texts)
        found[name] = accuracy_and_log_loss(model.classes_, probabilities, tested.labels)
        found[name]["seconds"] = round(seconds, 2)
    return found


def table(records: list[dict[str, Any]]) -> list[str]:
    """Return means and standard deviations, and how much better each figure is with unlabelled texts."""
    lines = table_head(
        "set", "labelled", "accuracy", "with unlabelled", "gain", "log-loss", "with unlabelled"
    )
    for key in dict.fromkeys((record["set"], record["size"]) for record in records):
        runs = [record["figures"] for record in records if (record["set"], record["size"]) == key]

        def cell(name: str, figure: str, factor: float, digits: int, runs: list[Any] = runs) -> str:
            return mean_and_spread([factor * run[name][figure] for run in runs], digits)

        gain = statistics.mean(100 * (run["with"]["accuracy"] - run["alone"]["accuracy"]) for run in runs)
        cells = [cell("alone", "accuracy", 100, 1), cell("with", "accuracy", 100, 1), f"{gain:+.1f}"]
        cells += [cell("alone", "log_loss", 1, 3), cell("with", "log_loss", 1, 3)]
        lines.append(f"| {key[0]} | {key[1]:,} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run all sets and print the table."""
    parser = set_parser(__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # labels with few texts
    with errors_in_one_line():
        records = read_records(options.results) if options.results else []
        done = {(one["set"], one["size"], one["seed"]) for one in records}
        for seed in range(options.seeds):
            for name in options.sets:
                pool, tested = parts(options.data, name, seed, options.validate)
                for size in options.sizes:
                    if (name, size, seed) in done:
                        continue
                    found = measure(pool, tested, size, seed)
                    record = {"set": name, "size": size, "seed": seed, "figures": found}
                    records.append(record)
                    if options.results:
                        append_record(options.results, record)
                    print_progress(f"{name} {size} {seed} {found}")
        print(
            "\n".join(table(sorted(records, key=lambda one: (options.sets.index(one["set"]), one["size"]))))
        )


if __name__ == "__main__":
    main()

"""Memory and time of the models of users in the scoring process of `lmclassify serve --models`.

Copies a model for each user, asks for a prediction of each user's model twice, in the same order, and prints
the peak memory of the process, and the median times of a prediction that loads its model, of a further one,
and of a lesson.

    python -m benchmarks.user_models MODEL --users 1 10 20 40 --max-models 20
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.resource_usage import measure_command
from lmclassify.service.model_scorer import load_models

TEXT = "Rehearsal moved to Thursday"
LESSONS = 20


def answer_all(folder: str, max_models: int) -> dict[str, float]:
    """Ask for a prediction of each user's model; return median milliseconds of several steps."""
    users = sorted(path.name for path in Path(folder).iterdir())
    models = load_models({"users": folder, "max_models": max_models, "deciding": {}})
    seconds: dict[str, list[float]] = {"load": [], "again": [], "learn": []}

    def timed(step: str, user: str, text: str, label: str | None = None) -> None:
        started = time.perf_counter()
        scorer = models.scorer(user, to_teach=label is not None)
        if label is None:
            scorer.predict([text])
        else:
            scorer.learn(text, label, None, False)
        seconds[step].append(time.perf_counter() - started)

    for _ in range(2):
        for user in users:
            if user not in models.loaded:
                timed("load", user, TEXT)
            timed("again", user, TEXT)
    labels = models.scorer(users[-1], to_teach=False).predict([TEXT])[0]["probabilities"]
    for number in range(LESSONS):
        timed("learn", users[-1], f"{TEXT} at {number} o'clock", list(labels)[number % 2])
    return {step: 1000 * statistics.median(values) for step, values in seconds.items()}


def main() -> None:
    """Run the benchmark, or (with ``--folder``) what one of its processes does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="model folder")
    parser.add_argument("--users", nargs="+", type=int, default=[1, 10, 20, 40])
    parser.add_argument("--max-models", type=int, default=20)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(answer_all(options.folder, options.max_models)))
        return
    print(
        "| users | peak memory, MB | first prediction, ms | further one, ms | lesson, ms |\n"
        "|---|---|---|---|---|"
    )
    for count in options.users:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(count):
                shutil.copytree(options.model, Path(folder) / f"user{number}")
            usage = measure_command(
                *(sys.executable, "-m", "benchmarks.user_models", "--folder", folder),
                *("--max-models", options.max_models),
            )
        times = json.loads(usage.output)
        row = [count, f"{usage.megabytes:.0f}", *(f"{value:.1f}" for value in times.values())]
        print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()

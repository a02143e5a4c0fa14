"""How long answers on the page of `lmclassify label` take while a model learns in the background.

``python -m benchmarks.label_answers --data FOLDER`` makes a CSV file of 100,000 different texts from those of
clinc150, 2,000 of them labelled with its 150 labels, starts ``lmclassify label`` on it, waits until the model
has chosen texts, and gives answers, one every quarter of a second. Printed is a Markdown table of the
milliseconds between an answer and the acknowledgement that it is in the file.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import errors_in_one_line, print_progress, read_table, table_head

PAUSE = 0.25
"""Seconds between answers: faster than anybody reads."""
MAX_WAIT = 1800.0


def write_texts(path: Path, folder: Path, rows: int, labelled: int) -> dict[str, str]:
    """Write the file; return the label of each text."""
    data = read_table(folder / "clinc150.train.csv")
    rng = np.random.default_rng(0)
    texts: dict[str, str] = {}
    while len(texts) < rows:
        first, second = rng.integers(len(data.texts), size=2)
        words = data.texts[second].split()
        texts[f"{data.texts[first]} {' '.join(words[: rng.integers(len(words) + 1)])} {len(texts)}"] = (
            data.labels[first]
        )
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows(
            (text, label if row < labelled else "") for row, (text, label) in enumerate(texts.items())
        )
    return texts


class Page:
    """Sends what the page sends."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._headers = {
            "Authorization": f"Bearer {token}",
            "X-Client": "benchmark",
            "Content-Type": "application/json",
        }

    def __call__(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}/v1/{path}", data, self._headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


def measure(page: Page, labels: dict[str, str], answers: int) -> tuple[list[float], float, int]:
    """Return the seconds of each answer, those until the model was ready, and how many texts had a guess."""
    started = time.monotonic()
    while page("state")["model"]["state"] != "ready":
        if time.monotonic() - started > MAX_WAIT:
            raise SystemExit("error: the model is not ready")
        time.sleep(0.5)
    ready = time.monotonic() - started
    seconds, guesses = [], 0
    items = page("next?count=3")["texts"]
    for _ in range(answers):
        item = items[0]
        guesses += item["guess"] is not None
        body = {"id": item["id"], "action": "label", "label": labels[item["text"]]}
        begun = time.perf_counter()
        items = page("answer", body)["next"]
        seconds.append(time.perf_counter() - begun)
        time.sleep(PAUSE)
    return seconds, ready, guesses


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of clinc150")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labelled", type=int, default=2_000)
    parser.add_argument("--answers", type=int, default=200)
    options = parser.parse_args()
    with errors_in_one_line(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.csv"
        labels = write_texts(path, options.data, options.rows, options.labelled)
        command = [sys.executable, "-m", "lmclassify", "label", str(path), "--no-browser"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                page = None
                for line in process.stderr:
                    print_progress(line.rstrip())
                    if found := re.search(r"label at (http\S+)/\?token=(\S+)", line):
                        page = Page(found[1], found[2])
                        break
                if page is None:
                    raise SystemExit("error: lmclassify label has ended")
                seconds, ready, guesses = measure(page, labels, options.answers)
            finally:
                process.kill()
        milliseconds = sorted(1000 * each for each in seconds)
        print(
            *table_head("answers", "median ms", "95% ms", "maximum ms", "with a guess", "first guess s"),
            sep="\n",
        )
        late = milliseconds[int(0.95 * len(milliseconds))]
        print(
            f"| {len(seconds)} | {statistics.median(milliseconds):.0f} | {late:.0f} | {milliseconds[-1]:.0f} "
            f"| {guesses} | {ready:.0f} |"
        )


if __name__ == "__main__":
    main()

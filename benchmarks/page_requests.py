"""How long the requests of the page of `lmclassify serve` take, one after the other.

``python -m benchmarks.page_requests MODEL`` starts ``lmclassify serve``, sends what the page sends while
texts are typed, and prints a Markdown table of milliseconds: the label of a text and the reasons (two
requests at once; the page shows the label first), next words of the label found, and next words of a mixture
of labels.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.common import errors_in_one_line, table_head

TEXTS = ("your free prize is waiting", "please transfer some money to my", "what is the weather like in")


def send(address: str, path: str, body: Any) -> Any:
    """Send a request and return the answer."""
    request = urllib.request.Request(
        f"{address}v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def measure(address: str, repeats: int) -> dict[str, list[float]]:
    """Return the milliseconds of each kind of request."""
    pool = ThreadPoolExecutor(2)

    waiting = []

    def verdict(text: str) -> None:
        predicting = pool.submit(send, address, "predict", {"texts": [text]})
        waiting.append(pool.submit(send, address, "explain", {"text": text}))
        predicting.result()

    def reasons(text: str) -> None:
        waiting.pop().result()

    def words_of_label(text: str) -> None:
        label = labels[text]
        send(address, "suggest", {"prefix": text, "label": label, "n": 5})

    labels = {text: send(address, "explain", {"text": text})["label"] for text in TEXTS}
    kinds: dict[str, Callable[[str], None]] = {
        "label": verdict,
        "reasons, after the label": reasons,
        "words of the label": words_of_label,
        "words of a mixture": lambda text: send(address, "suggest", {"prefix": text, "n": 5}),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for text in TEXTS:
            for kind, ask in kinds.items():
                started = time.perf_counter()
                ask(text)
                found[kind].append(1000 * (time.perf_counter() - started))
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model folder")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "lmclassify",
        "serve",
        "-m",
        options.model,
        "--port",
        "0",
        "--timeout",
        "60",
    ]
    with errors_in_one_line(), subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = None
            for line in process.stderr or ():
                if found := re.search(r"serving .* on (http\S+)", line):
                    address = found[1]
                    break
            if address is None:
                raise SystemExit("error: lmclassify serve has ended")
            print(*table_head("request", "median ms", "maximum ms"), sep="\n")
            for kind, values in measure(address, options.repeats).items():
                print(f"| {kind} | {statistics.median(values):.0f} | {max(values):.0f} |")
        finally:
            process.terminate()


if __name__ == "__main__":
    main()

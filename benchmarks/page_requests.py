"""How long the requests of the page of `lmclassify serve` take, one after the other.

``python -m benchmarks.page_requests MODEL`` starts ``lmclassify serve``, sends what the page sends while
texts are typed, and prints a Markdown table of milliseconds: the label of a text and the reasons (their
requests are sent one after the other, without waiting), the label of a text while the reasons of the text
before are still computed, next words of the label found, and next words of a mixture of labels.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from benchmarks.common import errors_in_one_line, table_head

TEXTS = ("your free prize is waiting", "please transfer some money to my", "what is the weather like in")


def begin(address: str, path: str, body: Any) -> HTTPConnection:
    """Send a request on a connection of its own."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("POST", f"/v1/{path}", json.dumps(body), {"Content-Type": "application/json"})
    return connection


def end(connection: HTTPConnection) -> Any:
    """Return the answer."""
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    if response.status != HTTPStatus.OK:
        raise SystemExit(f"error: {answer['detail']}")
    return answer


def measure(address: str, repeats: int) -> dict[str, list[float]]:
    """Return the response times of each kind of request, in milliseconds."""
    kinds = ("label", "reasons", "label behind reasons", "words of the label", "words of a mixture")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for text in TEXTS * repeats:
        started = time.perf_counter()

        def note(kind: str, started: float = started) -> None:
            found[kind].append(1000 * (time.perf_counter() - started))

        predicting = begin(address, "predict", {"texts": [text]})
        explaining = begin(address, "explain", {"text": text, "brief": True})
        end(predicting)
        note("label")
        label = end(explaining)["label"]
        note("reasons")
        other = begin(address, "explain", {"text": f"{text} again", "brief": True})
        started = time.perf_counter()
        end(begin(address, "predict", {"texts": [f"{text} now"]}))
        note("label behind reasons", started)
        end(other)
        for kind, asked in (("words of the label", label), ("words of a mixture", None)):
            started = time.perf_counter()
            end(begin(address, "suggest", {"prefix": text, "label": asked, "n": 5}))
            note(kind, started)
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

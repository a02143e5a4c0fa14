"""The service under load, beside the same application with other scorers: a script for docs/benchmarks.md.

``python -m benchmarks.service_load MODEL TRAIN TEXTS [--seconds 8] [--repeats 3] [--requests 200000]``
serves a fitted model, a constant and a linear SVM that learns from TRAIN, in turn, and asks each with wrk
(which must be installed) from 32 connections on this machine, one text of the CSV file TEXTS a request. Then
it asks the model at 70% of its own requests a second, and watches memory over many requests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.speed_rows import read_texts
from lmclassify.errors import LMClassifyError
from lmclassify.service.scoring import WorkerCommand
from lmclassify.service.server import listen_on_port, serve
from lmclassify.service.settings import ServiceSettings

_CONNECTIONS = 32
_SHARE = 0.7
_YARDSTICKS = "benchmarks.service_baselines"
_WRK = """
local bodies = {{}}
for line in io.lines("{bodies}") do bodies[#bodies + 1] = line end
local sent = {first}
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, bodies[sent % #bodies + 1])
end
local mean = {delay}
if mean > 0 then
  function delay() return -math.log(1 - math.random()) * mean end
end
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local function ms(percent) return latency:percentile(percent) / 1e3 end
  local names = '{{"requests": %d, "seconds": %f, "p50": %f, "p95": %f, "p99": %f, "failed": %d}}\\n'
  io.write(names:format(summary.requests, summary.duration / 1e6, ms(50), ms(95), ms(99), failed))
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of wrk found; latencies in milliseconds."""

    rate: float
    """Requests answered a second."""
    p50: float
    p95: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Served:
    """A service to measure."""

    command: WorkerCommand
    settings: ServiceSettings


@contextlib.contextmanager
def serving(served: Served) -> Iterator[tuple[str, int]]:
    """Run a service in a process of its own and give its address and process id."""
    with listen_on_port("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(served, listener))
        process.start()
    try:
        _wait_until_ready(url, process)
        yield url, process.pid or 0
    finally:
        process.terminate()
        process.join()


def _serve(served: Served, listener: socket.socket) -> None:
    serve(served.command, served.settings, listener)


def _wait_until_ready(url: str, process: multiprocessing.process.BaseProcess) -> None:
    while process.is_alive():
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=120):
            return
        time.sleep(0.1)
    raise LMClassifyError("the service ended before it was ready")


def ask(url: str, bodies: Path, seconds: float, *, delay: float = 0.0, first: int = 0) -> Load:
    """Send requests from `_CONNECTIONS` connections, each after the answer to the last one and a pause.

    Parameters
    ----------
    url : str
    bodies : Path
        A JSON body a line.
    seconds : float
    delay : float, default=0
        Mean pause before a request, milliseconds, drawn from an exponential distribution.
    first : int, default=0
        Which line to begin with.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_WRK.format(bodies=bodies, delay=delay, first=first))
        script.flush()
        options = ["-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}", "--timeout", "10", "-s", script.name]
        done = subprocess.run(
            ["wrk", *options, f"{url}/v1/predict"], check=True, capture_output=True, text=True
        )
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["requests"] / found["seconds"]
    return Load(rate, found["p50"], found["p95"], found["p99"], found["failed"])


def median(loads: Sequence[Load]) -> Load:
    """Return the median of each figure, and all failures."""
    values = {
        name: statistics.median(getattr(load, name) for load in loads)
        for name in ("rate", "p50", "p95", "p99")
    }
    return Load(**values, failed=sum(load.failed for load in loads))


def children_of(process: int) -> list[int]:
    """Return the processes that a process started and that run (Linux)."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def megabytes(process: int, *, with_children: bool = True) -> float:
    """Return what a process holds in memory, with those that it started or without (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    own = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return own + sum(map(megabytes, children_of(process) if with_children else ()))


def at_share(url: str, bodies: Path, seconds: float, rate: float) -> Load:
    """Ask at about so many requests a second, by pauses."""
    delay = 1000 * _CONNECTIONS / rate
    for _ in range(3):  # what answers take is a part of the time between requests
        found = ask(url, bodies, min(seconds, 4), delay=delay)
        delay = max(0.0, delay + 1000 * _CONNECTIONS * (1 / rate - 1 / found.rate))
    return ask(url, bodies, seconds, delay=delay)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_load")
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200_000)
    options = parser.parse_args(arguments)
    if shutil.which("wrk") is None:
        raise LMClassifyError("this needs wrk: apt-get install wrk")
    on = ServiceSettings()
    off = replace(on, batching=False)
    ours = WorkerCommand({"folder": options.model, "deciding": {}})
    constant = WorkerCommand({"kind": "constant"}, _YARDSTICKS)
    svm = WorkerCommand({"kind": "svm", "train": options.train}, _YARDSTICKS)
    plan = {
        "constant, batching": Served(constant, on),
        "constant, one by one": Served(constant, off),
        "lmclassify, batching": Served(ours, on),
        "lmclassify, one by one": Served(ours, off),
        "linear SVM, batching": Served(svm, on),
        "linear SVM, one by one": Served(svm, off),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        bodies = Path(folder) / "bodies"
        texts = [text for text in read_texts(options.texts) if text.strip()]
        bodies.write_text("".join(json.dumps({"texts": [text]}) + "\n" for text in texts))
        running = {name: stack.enter_context(serving(served)) for name, served in plan.items()}
        loads: dict[str, list[Load]] = {name: [] for name in plan}
        for repeat in range(options.repeats + 1):  # the first one warms up
            for name, (url, _) in running.items():
                found = ask(url, bodies, options.seconds if repeat else 2, first=repeat * len(texts) // 3)
                if repeat:
                    loads[name].append(found)
                    print(f"{name}: {asdict(found)}", file=sys.stderr)
        found_by = {name: median(of_name) for name, of_name in loads.items()}
        print("| scorer | requests/s | of the constant's | p50 ms | p95 ms | p99 ms | failed |")
        print("|---" * 7 + "|")
        for name, found in found_by.items():
            share = found.rate / found_by[f"constant, {name.split(', ')[1]}"].rate
            print(_row(name, found, f"{share:.2f}"))
        url, process = running["lmclassify, batching"]
        rate = found_by["lmclassify, batching"].rate
        print(_row(f"lmclassify at {_SHARE:.0%}", at_share(url, bodies, options.seconds, _SHARE * rate), ""))
        before, done, start = megabytes(process), 0.0, time.perf_counter()
        while done < options.requests:
            done += ask(url, bodies, 10, first=int(done)).rate * 10
        after = megabytes(process)
        seconds = time.perf_counter() - start
        print(f"\nmemory {before:.1f} MB, after {done:,.0f} more requests in {seconds:.0f} s {after:.1f} MB")


def _row(name: str, found: Load, share: str) -> str:
    return (
        f"| {name} | {found.rate:,.0f} | {share} | {found.p50:.1f} | {found.p95:.1f} | {found.p99:.1f} "
        f"| {found.failed} |"
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (LMClassifyError, OSError) as error:
        sys.exit(f"error: {error}")

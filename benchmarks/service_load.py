"""Load test of the service, compared with the same application around other scorers (docs/experiments.md).

``python -m benchmarks.service_load MODEL TRAIN TEXTS [--seconds 8] [--repeats 3] [--requests 200000]``
serves a fitted model, a constant and a linear SVM trained on TRAIN, in turn, and sends requests with wrk
(which must be installed) over 32 connections on this machine, each with one text of the CSV file TEXTS. Then
it sends 70% of the model's maximum rate, and measures memory over many requests.
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
from lmclassify.service.server import serve
from lmclassify.service.settings import ServiceSettings
from lmclassify.service.sockets import listen_on_port
from lmclassify.service.worker_process import WorkerCommand

_CONNECTIONS = 32
_PARTIAL_LOAD = 0.7
_BASELINES = "benchmarks.service_baselines"
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
    """Results of one run of wrk; latencies in milliseconds."""

    rate: float
    """Answered requests per second."""
    p50: float
    p95: float
    p99: float
    failed: int


@dataclass(frozen=True)
class Setup:
    """A service to measure."""

    command: WorkerCommand
    settings: ServiceSettings


@contextlib.contextmanager
def serving(setup: Setup) -> Iterator[tuple[str, int]]:
    """Run a service in a process of its own; yield its address and process id."""
    with listen_on_port("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(setup, listener))
        process.start()
    try:
        _wait_until_ready(url, process)
        yield url, process.pid or 0
    finally:
        process.terminate()
        process.join()


def _serve(setup: Setup, listener: socket.socket) -> None:
    serve(setup.command, setup.settings, listener)


def _wait_until_ready(url: str, process: multiprocessing.process.BaseProcess) -> None:
    while process.is_alive():
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=120):
            return
        time.sleep(0.1)
    raise LMClassifyError("the service ended before it was ready")


def run_wrk(url: str, bodies: Path, seconds: float, *, delay: float = 0.0, first: int = 0) -> Load:
    """Send requests over `_CONNECTIONS` connections, each after the previous answer and a pause.

    Parameters
    ----------
    url : str
    bodies : Path
        File with one JSON body per line.
    seconds : float
    delay : float, default=0
        Mean pause before a request in milliseconds, exponentially distributed.
    first : int, default=0
        Line to start with.
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
    """Return the median of each figure, and the sum of failures."""
    values = {
        name: statistics.median(getattr(load, name) for load in loads)
        for name in ("rate", "p50", "p95", "p99")
    }
    return Load(**values, failed=sum(load.failed for load in loads))


def child_processes(process: int) -> list[int]:
    """Return the ids of the running children of a process (Linux)."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in tasks for child in file.read_text().split()]


def megabytes(process: int, *, with_children: bool = True) -> float:
    """Return the resident memory of a process, with or without that of its children (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    if "VmRSS:" not in status:
        raise ProcessLookupError(f"process {process} has ended")
    own = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return own + sum(map(megabytes, child_processes(process) if with_children else ()))


def at_rate(url: str, bodies: Path, seconds: float, rate: float) -> Load:
    """Send about `rate` requests per second, by pausing between requests."""
    delay = 1000 * _CONNECTIONS / rate
    for _ in range(3):  # the time between requests includes that of the answers
        found = run_wrk(url, bodies, min(seconds, 4), delay=delay)
        delay = max(0.0, delay + 1000 * _CONNECTIONS * (1 / rate - 1 / found.rate))
    return run_wrk(url, bodies, seconds, delay=delay)


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
    constant = WorkerCommand({"kind": "constant"}, _BASELINES)
    svm = WorkerCommand({"kind": "svm", "train": options.train}, _BASELINES)
    plan = {
        "constant, batching": Setup(constant, on),
        "constant, one by one": Setup(constant, off),
        "lmclassify, batching": Setup(ours, on),
        "lmclassify, one by one": Setup(ours, off),
        "linear SVM, batching": Setup(svm, on),
        "linear SVM, one by one": Setup(svm, off),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        bodies = Path(folder) / "bodies"
        texts = [text for text in read_texts(options.texts) if text.strip()]
        bodies.write_text("".join(json.dumps({"texts": [text]}) + "\n" for text in texts))
        running = {name: stack.enter_context(serving(setup)) for name, setup in plan.items()}
        loads: dict[str, list[Load]] = {name: [] for name in plan}
        for repeat in range(options.repeats + 1):  # the first one warms up
            for name, (url, _) in running.items():
                found = run_wrk(url, bodies, options.seconds if repeat else 2, first=repeat * len(texts) // 3)
                if repeat:
                    loads[name].append(found)
                    print(f"{name}: {asdict(found)}", file=sys.stderr)
        found_by = {name: median(runs) for name, runs in loads.items()}
        print("| scorer | requests/s | of the constant's | p50 ms | p95 ms | p99 ms | failed |")
        print("|---" * 7 + "|")
        for name, found in found_by.items():
            share = found.rate / found_by[f"constant, {name.split(', ')[1]}"].rate
            print(_row(name, found, f"{share:.2f}"))
        url, process = running["lmclassify, batching"]
        rate = found_by["lmclassify, batching"].rate
        print(
            _row(
                f"lmclassify at {_PARTIAL_LOAD:.0%}",
                at_rate(url, bodies, options.seconds, _PARTIAL_LOAD * rate),
                "",
            )
        )
        before, done, start = megabytes(process), 0.0, time.perf_counter()
        while done < options.requests:
            done += run_wrk(url, bodies, 10, first=int(done)).rate * 10
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

"""Time and peak memory of a command, measured over its whole process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import NamedTuple

# A process inherits the peak memory of its parent, so a small process starts the command.
_STARTER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
with open(sys.argv[1], "w") as file:
    json.dump([seconds, peak / 1024, used.ru_utime + used.ru_stime], file)
sys.exit(status)
"""


class Usage(NamedTuple):
    """Time and memory of a command, and its standard output."""

    seconds: float
    megabytes: float
    """Peak resident memory."""
    output: bytes
    cpu_seconds: float


def measure_command(*command: object) -> Usage:
    """Run a command and measure it.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    with tempfile.NamedTemporaryFile() as figures:
        run = [sys.executable, "-S", "-c", _STARTER, figures.name, *map(str, command)]
        done = subprocess.run(run, stdout=subprocess.PIPE, check=True)
        seconds, megabytes, cpu_seconds = json.load(figures)
    return Usage(seconds, megabytes, done.stdout, cpu_seconds)


def measure_lmclassify(*arguments: object) -> Usage:
    """Run ``lmclassify`` with some arguments; see `measure_command`."""
    return measure_command(sys.executable, "-m", "lmclassify", *arguments)

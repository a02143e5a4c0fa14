"""What a run of the program takes: seconds and memory of the whole process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from typing import NamedTuple

# A process begins with the peak memory of the one that starts it, so a small one does.
_STARTER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
status = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
with open(sys.argv[1], "w") as file:
    json.dump([seconds, peak / 1024], file)
sys.exit(status)
"""


class Cost(NamedTuple):
    """What a command took, and what it printed."""

    seconds: float
    megabytes: float
    """Resident, at its peak."""
    output: bytes


def cost_of(*command: object) -> Cost:
    """Run a command and return what it took.

    Raises
    ------
    subprocess.CalledProcessError
        If it fails.
    """
    with tempfile.NamedTemporaryFile() as figures:
        run = [sys.executable, "-S", "-c", _STARTER, figures.name, *map(str, command)]
        done = subprocess.run(run, stdout=subprocess.PIPE, check=True)
        seconds, megabytes = json.load(figures)
    return Cost(seconds, megabytes, done.stdout)


def cost_of_program(*arguments: object) -> Cost:
    """Run lmclassify with some arguments; see `cost_of`."""
    return cost_of(sys.executable, "-m", "lmclassify", *arguments)

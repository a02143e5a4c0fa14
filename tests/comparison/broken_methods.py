"""Classifiers that fail, importable by the processes that the benchmark starts."""

from __future__ import annotations

import os
import signal

from lmclassify.comparison.methods import Setup


def raises(setup: Setup) -> object:
    raise RuntimeError("no such\nluck")


def is_killed(setup: Setup) -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None

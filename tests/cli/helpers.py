"""Options and readers of output that the tests of commands share."""

from __future__ import annotations

import csv
import io
import subprocess

from tests.conftest import SAMPLE

QUICK = [
    "--recipe",
    "plain",
    "--max-epochs",
    "1",
    "--num-lstm-units",
    "8",
    "--embedding-dim",
    "8",
    "--vocab-size",
    "100",
]
"""Options of a fit that takes a moment."""
EMAILS = SAMPLE / "emails.csv"


def one_line(done: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    """Return the only error line of a run that failed, and check that nothing else was said."""
    assert done.returncode == status, done.stderr.decode()
    assert done.stdout == b""
    lines = [line for line in done.stderr.decode().splitlines() if ": text column '" not in line]
    errors = [line for line in lines if line.startswith("lmclassify: error: ")]
    assert len(errors) == 1, lines
    assert "Traceback" not in done.stderr.decode()
    assert lines[-1] == errors[0]
    return errors[0]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))

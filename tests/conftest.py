"""Fixtures for all tests, and CI's rule that nothing is skipped."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmclassify import FittedModel, LMClassifier, bundled_data

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "recipe": "plain",
    "max_epochs": 2,
    "num_lstm_units": 12,
    "embedding_dim": 8,
    "vocab_size": 150,
    "batch_size": 16,
    "random_state": 0,
}
"""Settings that train in a moment."""
TUNED = {**SMALL, "recipe": "tuned", "vocab_size": None}


def bundled(name: str = "subjects.csv", limit: int | None = None) -> tuple[list[str], list[str]]:
    """Return bundled texts and labels."""
    with open(bundled_data(name), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:limit]
    return [row["subject"] for row in rows], [row["label"] for row in rows]


@pytest.fixture(scope="session")
def classifier() -> LMClassifier:
    """A small classifier of spam and ham; tests must not change it."""
    return LMClassifier(**SMALL).fit(*bundled(limit=300))


@pytest.fixture(scope="session")
def model(classifier: LMClassifier) -> FittedModel:
    return classifier.model_


@pytest.fixture(scope="session")
def tuned() -> LMClassifier:
    """A small classifier of recipe "tuned"; tests must not change it."""
    return LMClassifier(**TUNED).fit(*bundled(limit=120))


@pytest.fixture(scope="session")
def saved(classifier: LMClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved model; tests must not change it."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    classifier.save(folder)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared data sets, where they lie beside the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data")
    return folder


def run_cli(
    *arguments: object, cwd: Path, stdin: bytes | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Run the program as a user does."""
    command = [sys.executable, "-m", "lmclassify", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, timeout=timeout, check=False)


def pytest_configure() -> None:
    # A shell's background job inherits an ignored SIGINT, and so would what the Ctrl-C tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skips_fail(terminalreporter):
        terminalreporter.write_line("skipped tests count as failures here (LMCLASSIFY_NO_SKIPS)", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if _skips_fail(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips_fail(reporter: pytest.TerminalReporter | None) -> bool:
    """Say whether there are skips that count; workers of pytest-xdist have no reporter, and do not say."""
    return bool(reporter and os.environ.get("LMCLASSIFY_NO_SKIPS") and reporter.stats.get("skipped"))

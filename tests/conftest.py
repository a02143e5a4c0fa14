"""Fixtures for all tests, and CI's rule that nothing is skipped."""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from lmclassify import FittedModel, LMClassifier
from lmclassify.classify.settings import Settings

if TYPE_CHECKING:
    from lmclassify.classify.training.fit import ClassifierTrainer

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "tests" / "sample"
"""The sample of version 0.7: the figures that tests expect belong to it."""
SMALL = {
    "recipe": "plain",
    "vectors": "none",
    "max_epochs": 2,
    "num_lstm_units": 12,
    "embedding_dim": 8,
    "vocab_size": 150,
    "batch_size": 16,
    "random_state": 0,
}
"""Settings that train in a moment."""
TUNED = {**SMALL, "recipe": "tuned", "vocab_size": None}
TINY = {**TUNED, "max_epochs": 1, "num_lstm_units": 8}
"""Recipe tuned where the result only has to be a model: with 40 texts a second of processor time."""


def bundled(name: str = "subjects.csv", limit: int | None = None) -> tuple[list[str], list[str]]:
    """Return texts and labels of `SAMPLE`."""
    with open(SAMPLE / name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:limit]
    return [row["subject"] for row in rows], [row["label"] for row in rows]


def trainer(parameters: dict[str, Any], **options: Any) -> ClassifierTrainer:
    """Return the trainer that the program uses.

    Parameters
    ----------
    parameters : dict
        Those of an `LMClassifier`, such as `SMALL`.
    **options
        What only the trainer has: limits, checkpoints, cluster.
    """
    from lmclassify.classify.training.fit import ClassifierTrainer

    names = {item.name for item in fields(Settings)}
    settings = Settings(**{name: value for name, value in parameters.items() if name in names})
    others = {name: value for name, value in parameters.items() if name not in names}
    return ClassifierTrainer(settings=settings, **others, **options)


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


GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def golden_tuned() -> FittedModel:
    """The golden model of recipe "tuned", which loads in milliseconds; tests must not change it."""
    return FittedModel.load(GOLDEN / "tuned" / "model")


@pytest.fixture(scope="session")
def golden_three() -> FittedModel:
    """The golden model of three labels (1, 2, 3) and both directions; tests must not change it."""
    return FittedModel.load(GOLDEN / "tuned-both-three" / "model")


@pytest.fixture(scope="session")
def saved(classifier: LMClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved model; tests must not change it."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    classifier.save(folder)
    return folder


PROGRAM = [sys.executable, "-m", "lmclassify"]
"""The command line of the program in a process of its own."""


def free_port() -> int:
    """Return a port that nothing listens on, for a program that cannot take port 0.

    It is below those that systems give to outgoing connections, which could take it before the program does.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


def run_cli(*arguments: object, cwd: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the program in this process as a user would: arguments, standard streams, folder, exit status.

    It is many times faster than a process, which has to import torch or the tokenizers anew. What the
    program changes in the process (streams, signals, environment, warnings, log handlers) is put back.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _run_main(arguments, cwd, stdin, out.fileno(), err.fileno())
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(map(str, arguments)), status, out.read(), err.read())


def run_cli_on_terminal(*arguments: object, cwd: Path) -> tuple[int, str]:
    """Run the program in this process with a terminal as standard output and error; return status and text."""
    master, slave = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(master, 1 << 16):
                shown.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        status = _run_main(arguments, cwd, None, slave, slave)
    finally:
        os.close(slave)
        reader.join()
        os.close(master)
    return status, b"".join(shown).decode(errors="replace")


def run_cli_process(
    *arguments: object,
    cwd: Path,
    stdin: bytes | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """Run the program in a process of its own: for signals, closed pipes, imports and Ray."""
    command = [*PROGRAM, *map(str, arguments)]
    environment = None if env is None else {**os.environ, **env}
    return subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, timeout=timeout, check=False, env=environment
    )


def _run_main(arguments: Sequence[object], cwd: Path, stdin: bytes | None, out: int, err: int) -> int:
    with _process_state_restored(), _standard_streams(stdin, out, err):
        os.chdir(cwd)
        sys.argv = ["lmclassify", *map(str, arguments)]
        _warn_like_a_program()
        return _exit_status_of_main()


def _exit_status_of_main() -> int:
    from lmclassify.cli.main import main

    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _warn_like_a_program() -> None:
    """Print warnings on standard error, with Python's default filters instead of pytest's."""

    def show(message: Warning | str, category: type[Warning], filename: str, line: int, *_: object) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, line))

    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = show


@contextlib.contextmanager
def _process_state_restored() -> Iterator[None]:
    folder, arguments, environment = os.getcwd(), sys.argv, dict(os.environ)
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    loggers = [logging.getLogger(name) for name in ("lmclassify", "lmclassify.texts", "uvicorn")]
    logs = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        sys.argv = arguments
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in signals.items():
            signal.signal(number, handler)
        for logger, handlers, level in logs:
            logger.handlers[:] = handlers
            logger.setLevel(level)


@contextlib.contextmanager
def _standard_streams(stdin: bytes | None, out: int, err: int) -> Iterator[None]:
    """Let descriptors 0 to 2 and sys.stdin, sys.stdout and sys.stderr be a pipe that holds `stdin` and two files."""
    streams = sys.stdin, sys.stdout, sys.stderr
    for stream in streams[1:]:
        stream.flush()
    descriptors = [os.dup(number) for number in range(3)]
    reader, writer = os.pipe()
    feeder = threading.Thread(target=_feed, args=(writer, stdin or b""), daemon=True)
    feeder.start()
    for number, file in enumerate((reader, out, err)):
        os.dup2(file, number)
    os.close(reader)
    try:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = mine = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
        yield
        mine.flush()
        sys.stderr.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, file in enumerate(descriptors):
            os.dup2(file, number)
            os.close(file)
        feeder.join()


def _feed(writer: int, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(writer, "wb") as pipe:
        pipe.write(content)


# Examples may take as long as they like: a slow machine must not fail a test.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")


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

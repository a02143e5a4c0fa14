"""Run a mail filter in this process."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

FilterRun = tuple[int | str | None, bytes]
"""Exit status and standard output."""


@pytest.fixture
def run_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Callable[[], object], bytes], FilterRun]]:
    """A function that runs a filter with a message on standard input; signal handlers are restored."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    handlers = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def run(program: Callable[[], object], message: bytes) -> FilterRun:
        out = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(message)))
            patch.setattr(sys, "stdout", stdout := io.TextIOWrapper(out))
            try:
                status = program()
            except SystemExit as end:
                status = end.code
        assert status is None or isinstance(status, int | str)
        stdout.flush()
        restore()
        return status, out.getvalue()

    yield run
    restore()

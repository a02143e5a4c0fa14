"""The service's handle on a worker process: start it, exchange messages with it, end it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.mail.local_service import TOKEN
from lmclassify.service.messages import Message, read_message_async, write_message

_log = logging.getLogger("lmclassify.service")

PIPE_BUFFER_BYTES = 1 << 20
"""Read-ahead from the worker: the answer to a batch of 256 texts usually fits."""


@dataclass(frozen=True)
class WorkerCommand:
    """How to start a worker process."""

    options: Mapping[str, Any]
    """JSON-compatible options; sent to the process as its first message."""
    module: str = "lmclassify.service.model_scorer"
    """Module to run. It calls `lmclassify.service.worker.run_worker`."""


class WorkerProcess:
    """A running worker process whose model is loaded; see `lmclassify.service.worker`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: WorkerCommand) -> WorkerProcess:
        """Start a process and wait until its model is loaded.

        Raises LMClassifyError if the process cannot be started or cannot load the model.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", command.module),
                stdin=PIPE,
                stdout=PIPE,
                env=_environment(),
                limit=PIPE_BUFFER_BYTES,
                start_new_session=True,  # Ctrl-C goes to the service only
            )
        except OSError as error:  # such as too many open files or processes
            raise LMClassifyError(f"cannot start the scoring process: {error.strerror}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_message(process.stdin, dict(command.options))
            value, _ = await read_message_async(process.stdout)
        except (asyncio.IncompleteReadError, OSError):
            await process.wait()
            raise LMClassifyError(
                f"the scoring process ended with status {process.returncode} before it was ready"
            ) from None
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if "error" in value:
            await process.wait()
            raise (OptionError if value["misuse"] else LMClassifyError)(value["error"])
        for note in value["notes"]:
            _log.info("%s", note)
        return cls(process)

    def send(self, value: Any) -> None:
        """Send a message."""
        assert self._process.stdin is not None
        write_message(self._process.stdin, value)

    async def receive(self) -> Message:
        """Return the next message. Raises asyncio.IncompleteReadError or OSError if the process has ended."""
        assert self._process.stdout is not None
        return await read_message_async(self._process.stdout)

    async def wait(self) -> int:
        """Wait until the process has ended and return its exit status."""
        return await self._process.wait()

    def close(self) -> None:
        """Close the process's input; it answers what it has received, then ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self) -> None:
        """Kill the process."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


def _environment() -> dict[str, str]:
    """Return the worker's environment: same import path, no tokenizer threads, no token."""
    inherited = {name: value for name, value in os.environ.items() if name != TOKEN}
    import_path = os.pathsep.join(entry for entry in sys.path if entry)
    return {"TOKENIZERS_PARALLELISM": "false", **inherited, "PYTHONPATH": import_path}

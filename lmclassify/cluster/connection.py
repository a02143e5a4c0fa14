"""Connects to a Ray cluster, or starts a local one for the duration of a command."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType

from lmclassify.errors import OptionError, shorten
from lmclassify.extras import install_extra
from lmclassify.parallel import number_of_threads

OBJECT_STORE_BYTES = 256 << 20
"""Shared memory of a local cluster: few chunks of rows are in it at a time."""
SECONDS_TO_ANSWER = 5.0
"""How long to wait for a cluster's head: Ray itself tries for many minutes."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a warning
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its errors reach us as exceptions
}


def require_ray() -> ModuleType:
    """Return the package ray, with its usage statistics and messages switched off.

    Raises OptionError if it is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
            import ray.data
    except ImportError:
        raise OptionError(f"--engine ray needs Ray: {install_extra('ray')}") from None
    return ray


@contextlib.contextmanager
def connect(
    address: str | None = None,
    processes: int | None = None,
    *,
    object_store_bytes: int = OBJECT_STORE_BYTES,
) -> Iterator[int]:
    """Connect to a cluster and yield the number of processes to use on it; disconnect at the end.

    Standard output is discarded in between, as Ray prints there why its processes died. Raises OptionError if
    Ray is not installed, or no cluster answers.

    Parameters
    ----------
    address : str, optional
        ``auto`` for the cluster that this machine belongs to, or ``host:port`` of a cluster's head. None:
        start a cluster of this machine only, which ends with the connection.
    processes : int, optional
        Default: one per processor of the cluster.
    object_store_bytes : int
        Shared memory of a cluster that is started here.
    """
    ray = require_ray()
    common = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "configure_logging": True,
    }
    if address is not None:
        _check_answer(address)
    with warnings.catch_warnings(), _quiet_start():
        warnings.simplefilter("ignore")
        if address is None:
            ray.init(
                address="local",  # whatever RAY_ADDRESS says
                num_cpus=number_of_threads(processes),
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=object_store_bytes,
                **common,
            )
        else:
            try:
                ray.init(address=address, **common)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise OptionError(f"--address {shorten(address)}: {_why(error)}") from None
        _quieten(ray)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            yield processes or max(1, int(ray.cluster_resources().get("CPU", 1)))
        finally:
            ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise OptionError unless something listens at an address."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or "/" in host:
        raise OptionError(
            f"--address {shorten(address)} is neither auto nor HOST:PORT of a cluster's head, as head:6379"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER):
            pass
    except (OSError, OverflowError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise OptionError(f"--address {shorten(address)}: no Ray cluster answers ({why})") from None


def _why(error: BaseException) -> str:
    """Return why Ray could not connect, for the user."""
    causes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    if any("authentication token" in text.lower() for text in causes):
        return (
            "the Ray cluster asks for a token: set RAY_AUTH_MODE=token, with the cluster's token in "
            "RAY_AUTH_TOKEN or ~/.ray/auth_token"
        )
    return f"no Ray cluster answers ({' '.join(causes[0].split())[:160]})"


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Discard what Ray's native part prints as it starts, and restore the handler of SIGTERM."""
    handler = signal.getsignal(signal.SIGTERM)
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _quieten(ray: ModuleType) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    for name in ("ray", "ray.data"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False

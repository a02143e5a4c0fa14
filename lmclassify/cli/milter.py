"""`lmclassify milter`: labels the mail that Postfix or Sendmail receives."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.common import DEFAULT_MODEL, Exact, Fields, Model, load_model
from lmclassify.cli.filter import Positive, Reason, Socket, Unsure, verdict_of_model
from lmclassify.errors import OptionError, shorten
from lmclassify.mail.local_service import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    import socket as sockets

    from lmclassify.mail.verdicts import Verdict

SERVICE_THREADS = 16
"""Requests to a service at the same time. It scores what waits as one batch."""
SOCKET_MODE = 0o660
"""The mail server runs as another user: a group may be shared with it."""
_DEFAULT_ADDRESS = "inet:127.0.0.1:8895"
_EXAMPLES = (
    "lmclassify milter -m model",
    "lmclassify milter -m model --listen unix:/run/lmclassify/milter --reason --quarantine-above 0.999",
    "lmclassify milter --socket /run/lmclassify/socket --listen inet:127.0.0.1:8895",
)


Listen = Annotated[
    str,
    typer.Option(
        "--listen",
        metavar="ADDRESS",
        help="Where the mail server connects, as Postfix writes it: `inet:HOST:PORT` or `unix:PATH`, "
        "which this user and group can open.",
    ),
]
RejectAbove = Annotated[
    float | None,
    typer.Option(
        "--reject-above",
        metavar="P",
        help="Reject messages that are labelled as spam with a probability above this. Default: off.",
    ),
]
QuarantineAbove = Annotated[
    float | None,
    typer.Option(
        "--quarantine-above",
        metavar="P",
        help="Quarantine messages that are labelled as spam with a probability above this: the mail "
        "server keeps them until its administrator releases them. Default: off.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="How long a message waits for its label; then it is accepted without one.",
    ),
]


def milter(
    run: Run,
    listen: Listen = _DEFAULT_ADDRESS,
    model: Model = DEFAULT_MODEL,
    socket: Socket = None,
    fields: Fields = None,
    positive: Positive = None,
    unsure: Unsure = None,
    reason: Reason = False,
    reject_above: RejectAbove = None,
    quarantine_above: QuarantineAbove = None,
    timeout: Timeout = DEFAULT_TIMEOUT,
    exact: Exact = False,
) -> None:
    """Label the mail that Postfix or Sendmail receives (a milter).

    Adds the same headers as `lmclassify filter` and removes those of the sender. After any failure the
    message is accepted without a label, and the log says why. SIGTERM finishes the messages under way and
    exits.
    """
    from lmclassify.cli.serve import log_to_standard_error
    from lmclassify.mail.milter import MilterSettings, run_milter

    for option, limit in (("--reject-above", reject_above), ("--quarantine-above", quarantine_above)):
        if limit is not None and not 0 <= limit <= 1:
            raise OptionError(f"{option} takes a probability, not {limit:g}")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise OptionError(f"--timeout must be a number of seconds above 0, not {timeout:g}")
    address = _parse_address(listen)
    classify = _classifier(run, model, socket, fields, positive, unsure, reason, timeout, exact)
    settings = MilterSettings(
        classify,
        num_threads=1 if socket is None else SERVICE_THREADS,
        timeout=timeout,
        reject_above=reject_above,
        quarantine_above=quarantine_above,
    )
    log_to_standard_error(run)
    with contextlib.ExitStack() as stack:
        listener, where = _listen(stack, address)
        run_milter(
            settings, listener, on_start=lambda: run.say(f"labelling mail for the mail server on {where}")
        )


def _classifier(
    run: Run,
    model: str,
    socket: str | None,
    fields: str | None,
    positive: str | None,
    unsure: str | None,
    reason: bool,
    timeout: float,
    exact: bool,
) -> Callable[[bytes], Verdict]:
    """Return the function that classifies a message, with a model or with a service."""
    from lmclassify.mail.client import classify_with_service
    from lmclassify.mail.fields import parse_fields
    from lmclassify.mail.filter import FilteredMessage
    from lmclassify.mail.verdicts import parse_unsure_zone

    if fields is not None:
        parse_fields(fields)
    unsure_zone = None if unsure is None else parse_unsure_zone(unsure)
    if socket is not None:
        if model != DEFAULT_MODEL or exact:
            raise OptionError("with --socket the service has the model; drop --model and --exact")

        def ask(message: bytes) -> Verdict:
            filtered = FilteredMessage(message)
            classify_with_service(
                filtered,
                socket,
                fields=fields,
                positive=positive,
                unsure=unsure,
                reason=reason,
                timeout=timeout,
            )
            assert filtered.verdict is not None
            return filtered.verdict

        return ask
    fitted = load_model(run, model, exact)
    names = fitted.reading.choose_fields(fields)

    def score(message: bytes) -> Verdict:
        return verdict_of_model(fitted, message, names, positive, unsure_zone, reason)

    score(b"Subject: warm up\n\n")  # also checks that the options fit the model
    return score


def _parse_address(listen: str) -> tuple[str, int] | str:
    """Return host and port, or a path."""
    kind, _, rest = listen.partition(":")
    if kind == "unix" and rest:
        return rest
    host, _, port = rest.rpartition(":")
    if kind == "inet" and host and port.isascii() and port.isdigit() and int(port) < 1 << 16:
        return host.removeprefix("[").removesuffix("]"), int(port)
    raise OptionError(f"--listen takes inet:HOST:PORT or unix:PATH, not {shorten(listen)}")


def _listen(stack: contextlib.ExitStack, address: tuple[str, int] | str) -> tuple[sockets.socket, str]:
    """Return a listening socket that is closed with the stack, and its address."""
    from lmclassify.service.sockets import listen_on_path, listen_on_port

    if isinstance(address, str):
        path = listen_on_path(address, mode=SOCKET_MODE, option="--listen")
        return stack.enter_context(path), f"unix:{address}"
    host, port = address
    listener = stack.enter_context(listen_on_port(host, port, "--listen"))
    shown = f"[{host}]" if ":" in host else host
    return listener, f"inet:{shown}:{listener.getsockname()[1]}"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "milter", milter, examples=_EXAMPLES, without=NOT_TRAINING)

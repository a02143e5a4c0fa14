"""`lmclassify serve`."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.common import (
    DEFAULT_MODEL,
    Exact,
    Model,
    require_packages,
)
from lmclassify.cli.decision_options import DECISION_OPTIONS
from lmclassify.errors import OptionError
from lmclassify.logs import log_formatter
from lmclassify.mail.local_service import TOKEN

if TYPE_CHECKING:
    import socket as sockets
    from collections.abc import Iterator

Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. Default: 127.0.0.1 (this machine only).")
]
Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port to listen on. Default: 8000. 0: any free port."),
]
Socket = Annotated[
    str | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help="Listen on a Unix socket that only this user can open, instead of a port.",
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        metavar="FOLDER",
        help="Serve a model for each user: FOLDER/NAME/ has the model of user NAME; paths begin with "
        "/v1/users/NAME/. The model of -m, if given, stands in for users without one.",
    ),
]
MaxModels = Annotated[
    int,
    typer.Option("--max-models", min=1, help="Maximum number of users' models in memory."),
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Reload the model when its files change, as SIGHUP does.")
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help=f"Require the bearer token in this file from requests. Default: the token in ${TOKEN}, if set.",
    ),
]
AllowedHost = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        help="Only answer requests for this host name. Repeatable. Default: on a loopback address, "
        "localhost and loopback addresses; else any name.",
    ),
]
MaxBodyBytes = Annotated[
    int, typer.Option("--max-body-bytes", min=1, help="Maximum size of a request, in bytes.")
]
MaxTexts = Annotated[int, typer.Option("--max-texts", min=1, help="Maximum number of texts per request.")]
MaxCharacters = Annotated[
    int, typer.Option("--max-characters", min=1, help="Maximum length of a text, in characters.")
]
MaxWaiting = Annotated[
    int, typer.Option("--max-waiting", min=1, help="Maximum number of requests waiting at once.")
]
MaxConnections = Annotated[
    int,
    typer.Option(
        "--max-connections",
        min=1,
        help="Maximum number of open connections; a new one replaces an idle one.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", min=0.001, help="Seconds until receiving a request, and answering it, times out."
    ),
]
BatchMilliseconds = Annotated[
    float,
    typer.Option(
        "--batch-milliseconds",
        min=0,
        max=1000,
        help="Milliseconds a text waits for others to share its batch while nothing is being scored.",
    ),
]
Batching = Annotated[
    bool, typer.Option("--batching/--no-batching", help="Score texts that are waiting as one batch.")
]
Learn = Annotated[
    bool | None,
    typer.Option(
        "--learn/--no-learn",
        help="Let requests teach the model. Default: on if only this machine can reach the service (a "
        "socket, or a loopback address without --allowed-host), else off.",
    ),
]
LogTexts = Annotated[
    bool, typer.Option("--log-texts", help="Write texts to the log. Default: no text is ever logged.")
]

_LOOPBACK = "127.0.0.1"
_PACKAGES = ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")
_EXAMPLES = (
    "lmclassify serve -m model",
    "lmclassify serve --host 0.0.0.0 --token-file /run/secrets/token --watch",
    "lmclassify serve --socket /run/user/1000/lmclassify",
    "lmclassify serve --models /var/lib/lmclassify/users --socket /run/lmclassify/socket",
)


def serve(
    run: Run,
    context: typer.Context,
    model: Model = DEFAULT_MODEL,
    models: Models = None,
    max_models: MaxModels = 20,
    host: Host = None,
    port: Port = None,
    socket: Socket = None,
    watch: Watch = False,
    token_file: TokenFile = None,
    allowed_host: AllowedHost = None,
    max_body_bytes: MaxBodyBytes = 1 << 20,
    max_texts: MaxTexts = 1000,
    max_characters: MaxCharacters = 20_000,
    max_waiting: MaxWaiting = 256,
    max_connections: MaxConnections = 1000,
    timeout: Timeout = 10.0,
    batch_milliseconds: BatchMilliseconds = 0.0,
    batching: Batching = True,
    learn: Learn = None,
    log_texts: LogTexts = False,
    exact: Exact = False,
    **decision_options: Any,
) -> None:
    """Serve a model over HTTP: a JSON API and a page to try it on.

    SIGTERM finishes the running requests and exits. SIGHUP reloads the model and the token.
    """
    if socket is not None and (host is not None or port is not None):
        raise OptionError("--socket excludes --host and --port")
    shared = _shared_model(context, model, models, watch)
    if not math.isfinite(timeout):
        raise OptionError(f"--timeout must be a number of seconds, not {timeout}")
    token = _token(token_file)
    reachable = socket is None and not _is_loopback(host or _LOOPBACK)
    if learn is None:
        learn = not reachable and not allowed_host
    elif learn and reachable and token is None:
        raise OptionError(f"--learn on {host}, which others can reach, needs a token; see --token-file")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a model to reload
    host, port = host or _LOOPBACK, 8000 if port is None else port
    require_packages("serve", *_PACKAGES, extra="serve")
    from lmclassify.service.server import serve as serve_on
    from lmclassify.service.settings import ServiceSettings
    from lmclassify.service.worker_process import WorkerCommand

    settings = ServiceSettings(
        max_body_bytes=max_body_bytes,
        max_texts=max_texts,
        max_characters=max_characters,
        max_waiting=max_waiting,
        max_connections=max_connections,
        timeout=timeout,
        batching=batching,
        batch_milliseconds=batch_milliseconds,
        token=token,
        allowed_hosts=_allowed_hosts(allowed_host or [], None if socket else host),
        user_models=models is not None,
        learn=learn,
        log_texts=log_texts,
    )
    log_to_standard_error(run, log_texts)
    loading = {"folder": shared, "exact": exact, "threads": run.threads, "deciding": decision_options}
    users = {"users": models, "max_models": max_models}
    worker = WorkerCommand({**loading, **users, "log_format": run.log_format})
    with _listening(host, port, socket) as (listener, where):
        if reachable and token is None:
            run.say("note: other machines can reach this address; require a token with --token-file")
        serve_on(
            worker,
            settings,
            listener,
            watch=model if watch else None,
            reload_token=None if token_file is None else lambda: _token(token_file),
            on_start=lambda: run.say(f"serving {shared or models} on {where}"),
        )


@contextlib.contextmanager
def _listening(host: str, port: int, path: str | None) -> Iterator[tuple[sockets.socket, str]]:
    """Listen on a local socket, or else on a port; yield the listening socket and its address for people."""
    from lmclassify.service.sockets import listen_on_path, listen_on_port

    if path is not None:
        with listen_on_path(path) as listener:
            yield listener, path
        return
    with listen_on_port(host, port) as listener:
        number = listener.getsockname()[1]
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{number}/"


def _shared_model(context: typer.Context, model: str, models: str | None, watch: bool) -> str | None:
    """Return the folder of the model that users share, if there is one: with --models, -m must name it."""
    if models is None:
        return model
    if not Path(models).is_dir():
        raise OptionError(f"--models {models}: no such folder; make it, with a model folder for each user")
    source = context.get_parameter_source("model")
    if source is not None and source.name != "DEFAULT":
        return model
    if watch:
        raise OptionError("--watch needs -m: models of users are always loaded again when they change")
    return None


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _allowed_hosts(given: list[str], host: str | None) -> tuple[str, ...]:
    """Return the host names that are answered.

    On a loopback address only its own names are: a web page could otherwise reach the service by a name that
    resolves to loopback (DNS rebinding).
    """
    names = [name.lower().strip("[]") for name in given]
    if host is not None and _is_loopback(host):
        names += ["localhost", "127.0.0.1", "::1", host.lower()]
    return tuple(dict.fromkeys(names))


def _token(file: str | None) -> str | None:
    if file is None:
        token, where = os.environ.get(TOKEN), f"${TOKEN}"
        if token is None:
            return None
    else:
        where = file
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = getattr(error, "strerror", None) or "not valid UTF-8"
            raise OptionError(f"--token-file {file}: {problem}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise OptionError(f"{where}: a token is one word of visible ASCII characters")
    return token


def log_to_standard_error(run: Run, log_texts: bool = False) -> None:
    """Write the log of a service to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(log_formatter(run.log_format))
    level = logging.ERROR if run.quiet else logging.DEBUG if run.verbose else logging.INFO
    for name in ("lmclassify", "uvicorn"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level if name == "lmclassify" else logging.ERROR)
    if log_texts:
        logging.getLogger("lmclassify.texts").setLevel(logging.INFO)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "serve", serve, DECISION_OPTIONS, examples=_EXAMPLES, without=NOT_TRAINING)

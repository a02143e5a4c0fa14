"""`lmclassify serve`: a model behind HTTP."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import logging
import math
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lmclassify.cli.common import DEFAULT_MODEL, Exact, Model, Run, command
from lmclassify.cli.decision_options import OPTIONS
from lmclassify.errors import LMClassifyError, OptionError
from lmclassify.logs import formatter_of
from lmclassify.mail.local_service import TOKEN


def register(app: typer.Typer) -> None:
    """Add the command to the program."""

    @command(app, "serve", OPTIONS)
    def serve(
        run: Run,
        model: Model = DEFAULT_MODEL,
        host: Annotated[
            str | None,
            typer.Option("--host", help="Address to listen on. Default: 127.0.0.1, this machine only."),
        ] = None,
        port: Annotated[
            int | None, typer.Option("--port", min=0, max=65535, help="Default: 8000; 0: any free one.")
        ] = None,
        socket: Annotated[
            str | None,
            typer.Option("--socket", metavar="PATH", help="Listen on a local socket instead, for this user."),
        ] = None,
        watch: Annotated[
            bool, typer.Option("--watch", help="Load the model again when it changes, as SIGHUP does.")
        ] = False,
        token_file: Annotated[
            str | None,
            typer.Option(
                "--token-file",
                metavar="FILE",
                help=f"Ask requests for the bearer token in this file. Default: that in ${TOKEN}, if any.",
            ),
        ] = None,
        allowed_host: Annotated[
            list[str] | None,
            typer.Option(
                "--allowed-host",
                metavar="NAME",
                help="Answer requests to this host name only; repeatable. Default: on a loopback address "
                "localhost and such addresses, else any.",
            ),
        ] = None,
        max_body_bytes: Annotated[int, typer.Option("--max-body-bytes", min=1, help="Largest request.")] = 1
        << 20,
        max_texts: Annotated[int, typer.Option("--max-texts", min=1, help="Most texts a request.")] = 1000,
        max_characters: Annotated[
            int, typer.Option("--max-characters", min=1, help="Longest text.")
        ] = 20_000,
        max_waiting: Annotated[
            int, typer.Option("--max-waiting", min=1, help="Most requests that wait at once.")
        ] = 256,
        max_connections: Annotated[
            int,
            typer.Option(
                "--max-connections",
                min=1,
                help="Most connections at once; one more takes the place of an idle one.",
            ),
        ] = 1000,
        timeout: Annotated[
            float, typer.Option("--timeout", min=0.001, help="Seconds for receiving, and for answering.")
        ] = 10.0,
        batch_milliseconds: Annotated[
            float,
            typer.Option(
                "--batch-milliseconds",
                min=0,
                max=1000,
                help="How long a text waits for company where none is being scored.",
            ),
        ] = 0.0,
        batching: Annotated[
            bool, typer.Option("--batching/--no-batching", help="Score texts that wait together.")
        ] = True,
        log_texts: Annotated[
            bool, typer.Option("--log-texts", help="Write texts to the log; else none ever is.")
        ] = False,
        exact: Exact = False,
        **options: Any,
    ) -> None:
        """Answer over HTTP: a JSON interface, and a page to try the model on.

        SIGTERM finishes the requests that run; SIGHUP loads the model and the token again.
        """
        if socket is not None and (host is not None or port is not None):
            raise OptionError("--socket is instead of --host and --port")
        if not math.isfinite(timeout):
            raise OptionError(f"--timeout must be a number of seconds, not {timeout}")
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a model to load again
        host, port = host or "127.0.0.1", 8000 if port is None else port
        for package in ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn"):
            if importlib.util.find_spec(package) is None:
                raise LMClassifyError(
                    f"serve needs {package}: pip install -c constraints.txt '.[serve]' (in the checkout)"
                )
        from lmclassify.service.server import listen_on_path, listen_on_port
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
            token=_token(token_file),
            allowed_hosts=_allowed_hosts(allowed_host or [], None if socket else host),
            log_texts=log_texts,
        )

        _log_to_standard_error(run, log_texts)
        of_model = {"folder": model, "exact": exact, "threads": run.threads, "deciding": options}
        worker = WorkerCommand({**of_model, "log_format": run.log_format})
        with contextlib.ExitStack() as stack:
            if socket is None:
                listener = stack.enter_context(listen_on_port(host, port))
                port = listener.getsockname()[1]
                where = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
            else:
                listener = stack.enter_context(listen_on_path(socket))
                where = socket
            if socket is None and not _is_loopback(host) and settings.token is None:
                run.say("note: others can reach this address; ask for a token with --token-file")
            serve_on(
                worker,
                settings,
                listener,
                watch=model if watch else None,
                reload_token=None if token_file is None else lambda: _token(token_file),
                on_start=lambda: run.say(f"serving {model} on {where}"),
            )


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _allowed_hosts(asked: list[str], host: str | None) -> tuple[str, ...]:
    """Return the names that requests may give: a page elsewhere could have its own name lead to loopback."""
    names = [name.lower().strip("[]") for name in asked]
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
            problem = getattr(error, "strerror", None) or "no UTF-8 text"
            raise OptionError(f"--token-file {file}: {problem}") from None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise OptionError(f"{where}: a token is one word of visible ASCII characters")
    return token


def _log_to_standard_error(run: Run, log_texts: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_of(run.log_format))
    level = logging.ERROR if run.quiet else logging.DEBUG if run.verbose else logging.INFO
    for name in ("lmclassify", "uvicorn"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level if name == "lmclassify" else logging.ERROR)
    if log_texts:
        logging.getLogger("lmclassify.texts").setLevel(logging.INFO)

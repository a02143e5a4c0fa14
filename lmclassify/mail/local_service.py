"""Asks a service on a local socket (`lmclassify serve --socket`). Standard library only.

One request over HTTP/1.0, by hand: importing `http.client` takes longer than the answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping

from lmclassify.errors import LMClassifyError, printable

SECONDS = 5.0
"""What an answer may take in all."""
TOKEN = "LMCLASSIFY_TOKEN"
"""The environment variable that holds the service's token, if it asks for one."""

_LONGEST_ANSWER = 1 << 24


def ask(path: str, text: str, timeout: float = SECONDS) -> tuple[str, Mapping[str, float]]:
    """Return the label that a service gives a text, and the probabilities of all.

    Parameters
    ----------
    path : str
        The service's socket.
    text : str
    timeout : float
        Seconds, in all.

    Raises
    ------
    LMClassifyError
        If there is no answer, or one that is none.
    """
    try:
        status, content = _answer(path, _request(text), time.monotonic() + timeout)
    except TimeoutError:
        raise LMClassifyError(f"the service on {path} does not answer within {timeout:g} s") from None
    except OSError as error:
        raise LMClassifyError(
            f"no service on {path}: {error.strerror or error}; start one with lmclassify serve --socket"
        ) from error
    try:
        found = json.loads(content)
        if not status.startswith("200"):
            detail = found.get("detail", "") if isinstance(found, dict) else ""
            raise LMClassifyError(printable(f"the service on {path} answers {status}: {detail}"))
        prediction = found["predictions"][0]
        return str(prediction["label"]), {
            str(name): float(value) for name, value in prediction["probabilities"].items()
        }
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise LMClassifyError(f"what answers on {path} is no lmclassify service") from error


def _request(text: str) -> bytes:
    content = json.dumps({"text": text}).encode()
    lines = [
        "POST /v1/predict HTTP/1.0",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    token = os.environ.get(TOKEN, "")
    if token:
        if not token.isascii() or not token.isprintable():
            raise LMClassifyError(f"${TOKEN}: a token is one word of visible ASCII characters")
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def _answer(path: str, request: bytes, deadline: float) -> tuple[str, bytes]:
    """Return an answer's status, as in ``200 OK``, and its content."""
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_until(deadline))
        connection.connect(path)
        with contextlib.suppress(BrokenPipeError):  # it may refuse before it has read all, and say why
            connection.sendall(request)
        while len(answer) < _LONGEST_ANSWER:
            connection.settimeout(_until(deadline))
            piece = connection.recv(1 << 16)
            if not piece:
                break
            answer += piece
    head, _, content = answer.partition(b"\r\n\r\n")
    first = head.partition(b"\r\n")[0].decode("latin-1")
    return first.partition(" ")[2] if first.startswith("HTTP/1.") else "", content


def _until(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left

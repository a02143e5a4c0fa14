"""Client of the service on a local socket (`lmclassify serve --socket`). Standard library only.

It sends one HTTP/1.0 request without `http.client`, whose import takes longer than the request.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping

from lmclassify.errors import DataError, LMClassifyError, OptionError, listing, printable, shorten
from lmclassify.mail.fields import FIELDS, OLD_DEFAULT_FIELDS

TYPE_CHECKING = False  # importing typing takes too long
if TYPE_CHECKING:
    from typing import Any

MAX_USER_CHARACTERS = 128
_USER_CHARACTERS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_FURTHER_CHARACTERS = frozenset(".@+=-")

DEFAULT_TIMEOUT = 5.0
"""Seconds to wait for the complete response: a mail system should not wait longer for one message."""
TOKEN = "LMCLASSIFY_TOKEN"
"""Environment variable with the service's token, if it requires one."""

_REFUSED = ("400", "413", "422")  # what the request holds is wrong
_MAX_RESPONSE_BYTES = 1 << 24  # thousands of labels take less; protects against another program's output


def is_user_name(name: str) -> bool:
    """Return whether a name can be that of a user of the service, and so of a folder.

    It has ASCII letters, digits and ``._@+=-``, and begins with a letter, a digit or ``_``.
    """
    further = _USER_CHARACTERS | _FURTHER_CHARACTERS
    return 0 < len(name) <= MAX_USER_CHARACTERS and name[0] in _USER_CHARACTERS and further.issuperset(name)


def request_prediction(
    path: str,
    text: str,
    timeout: float = DEFAULT_TIMEOUT,
    deadline: float | None = None,
    *,
    reason: bool = False,
    user: str | None = None,
) -> tuple[str, Mapping[str, float], list[str]]:
    """Return the label that a service predicts for a text, the probability of each label, and the reason.

    Raises LMClassifyError if there is no valid response.

    Parameters
    ----------
    path : str
        The service's socket.
    timeout : float
        Seconds for the whole request.
    deadline : float, optional
        The end of this time on the monotonic clock, if it has begun earlier.
    reason : bool, default=False
        Whether to ask for the words that speak most for the label; without, there are none.
    user : str, optional
        Whose model predicts (``lmclassify serve --models``). The default is the shared one.
    """
    content = json.dumps({"text": text, **({"reason": True} if reason else {})}).encode()
    body = _ask(path, "POST", _target(user, "predict"), content, timeout, deadline)
    try:
        prediction = body["predictions"][0]
        probabilities = {str(name): float(value) for name, value in prediction["probabilities"].items()}
        words = [str(word) for word in prediction["reason"]] if reason else []
        return str(prediction["label"]), probabilities, words
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise _no_service(path) from error


def request_fields(
    path: str, timeout: float = DEFAULT_TIMEOUT, deadline: float | None = None, user: str | None = None
) -> tuple[tuple[str, ...], bool]:
    """Return the fields of a message that a service's model reads, and whether its training tells them.

    Raises LMClassifyError if there is no valid response, or a field that this version does not know.

    Parameters
    ----------
    path : str
        The service's socket.
    timeout, deadline, user
        See `request_prediction`.
    """
    body = _ask(path, "GET", _target(user, "model"), b"", timeout, deadline)
    try:
        names = body.get("mail_fields", OLD_DEFAULT_FIELDS)  # services of version 0.7 do not tell
        is_recorded = "fields" in body.get("reading", {})
        unknown = [name for name in names if name not in FIELDS]
    except (TypeError, AttributeError) as error:
        raise _no_service(path) from error
    if unknown or not names:
        raise LMClassifyError(
            f"the model of the service on {path} reads fields that this version does not know: "
            f"{listing(unknown)}; update lmclassify"
        )
    return tuple(field for field in FIELDS if field in names), is_recorded


def request_labels(path: str, user: str | None = None) -> list[str]:
    """Return the labels of a service's model. Raises LMClassifyError if there is no valid response."""
    body = _ask(path, "GET", _target(user, "model"), b"", DEFAULT_TIMEOUT, None)
    try:
        return [str(label["label"]) for label in body["labels"]]
    except (LookupError, TypeError) as error:
        raise _no_service(path) from error


def request_reading(path: str, user: str | None = None) -> Any:
    """Return what a service's model records of how its training files were read; see `Reading.from_json`.

    Raises LMClassifyError if there is no valid response.
    """
    body = _ask(path, "GET", _target(user, "model"), b"", DEFAULT_TIMEOUT, None)
    try:
        return body.get("reading", {})
    except AttributeError as error:
        raise _no_service(path) from error


def request_lesson(
    path: str,
    text: str,
    label: str,
    from_label: str | None = None,
    undo: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    user: str | None = None,
) -> Mapping[str, Any]:
    """Teach the model of a service, and return its answer; see `lmclassify.service.schemas.LearnResponse`.

    Raises DataError if the service refuses the lesson, another LMClassifyError if there is no valid response:
    the text may have been learned nevertheless, and it is safe to repeat the request, as a text counts once.
    """
    lesson = {"text": text, "label": label, "undo": undo}
    if from_label is not None:
        lesson["from"] = from_label
    body = _ask(path, "POST", _target(user, "learn"), json.dumps(lesson).encode(), timeout, None)
    try:
        return {
            name: body[name] for name in ("id", "label", "changed", "predicted_before", "predicted_after")
        }
    except (LookupError, TypeError) as error:
        raise _no_service(path) from error


def _target(user: str | None, name: str) -> str:
    """Return the path of a request for the model of a user; None: the shared one."""
    if user is None:
        return f"/v1/{name}"
    if not is_user_name(user):
        raise OptionError(
            f"--user {shorten(user)}: a user's name has ASCII letters, digits and ._@+=-, and does not begin "
            "with .@+=-"
        )
    return f"/v1/users/{user}/{name}"


def _ask(path: str, method: str, target: str, content: bytes, timeout: float, deadline: float | None) -> Any:
    """Return the JSON of a response. Raises LMClassifyError if there is none, or its status is an error.

    The error is a DataError if the same request would fail again.
    """
    try:
        end = time.monotonic() + timeout if deadline is None else deadline
        status, answer = _send(path, _request(method, target, content), end)
    except TimeoutError:
        raise LMClassifyError(f"the service on {path} does not answer within {timeout:g} s") from None
    except OSError as error:
        raise LMClassifyError(
            f"no service on {path}: {error.strerror or error}; start one with lmclassify serve --socket"
        ) from error
    try:
        body = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise _no_service(path) from error
    if not status.startswith("200"):
        detail = body.get("detail", "") if isinstance(body, dict) else ""
        kind = DataError if status[:3] in _REFUSED else LMClassifyError
        raise kind(printable(f"the service on {path} answers {status}: {detail}"))
    return body


def _no_service(path: str) -> LMClassifyError:
    return LMClassifyError(f"the program on {path} is not an lmclassify service")


def _request(method: str, target: str, content: bytes) -> bytes:
    lines = [
        f"{method} {target} HTTP/1.0",
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


def _send(path: str, request: bytes, deadline: float) -> tuple[str, bytes]:
    """Return a response's status, such as ``200 OK``, and its content."""
    response = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_seconds_until(deadline))
        connection.connect(path)
        with contextlib.suppress(BrokenPipeError):  # it may refuse before it has read all
            connection.sendall(request)
        while len(response) < _MAX_RESPONSE_BYTES:
            connection.settimeout(_seconds_until(deadline))
            piece = connection.recv(1 << 16)
            if not piece:
                break
            response += piece
    head, _, content = response.partition(b"\r\n\r\n")
    status_line = head.partition(b"\r\n")[0].decode("latin-1")
    return status_line.partition(" ")[2] if status_line.startswith("HTTP/1.") else "", content


def _seconds_until(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds

"""Client of the service on a local socket (`lmclassify serve --socket`). Standard library only.

It sends one HTTP/1.0 request without `http.client`, whose import takes longer than the request.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping

from lmclassify.errors import LMClassifyError, OptionError, printable, shorten

TYPE_CHECKING = False  # importing typing takes too long
if TYPE_CHECKING:
    from typing import Any

_USER_CHARACTERS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_FURTHER_CHARACTERS = frozenset(".@+=-")
MAX_USER_CHARACTERS = 128

DEFAULT_TIMEOUT = 5.0
"""Seconds to wait for the complete response: a mail system should not wait longer for one message."""
TOKEN = "LMCLASSIFY_TOKEN"
"""Environment variable with the service's token, if it requires one."""

_MAX_RESPONSE_BYTES = 1 << 24  # thousands of labels take less; protects against another program's output


def is_user_name(name: str) -> bool:
    """Return whether a name can be that of a user of the service, and so of a folder.

    It has ASCII letters, digits and ``._@+=-``, and begins with a letter, a digit or ``_``.
    """
    further = _USER_CHARACTERS | _FURTHER_CHARACTERS
    return 0 < len(name) <= MAX_USER_CHARACTERS and name[0] in _USER_CHARACTERS and further.issuperset(name)


def request_prediction(
    path: str, text: str, timeout: float = DEFAULT_TIMEOUT, user: str | None = None
) -> tuple[str, Mapping[str, float]]:
    """Return the label that a service predicts for a text, and the probability of each label.

    Raises LMClassifyError if there is no valid response.

    Parameters
    ----------
    path : str
        The service's socket.
    timeout : float
        Seconds for the whole request.
    user : str, optional
        Whose model predicts (``lmclassify serve --models``). The default is the shared one.
    """
    target = _target(user, "predict")
    with _checked(path):
        prediction = _post(path, target, {"text": text}, timeout)["predictions"][0]
        return str(prediction["label"]), {
            str(name): float(value) for name, value in prediction["probabilities"].items()
        }


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

    Raises LMClassifyError if there is no valid response. The text may have been learned nevertheless; it is
    safe to repeat the request, as a text counts once.
    """
    content = {"text": text, "label": label, "undo": undo}
    if from_label is not None:
        content["from"] = from_label
    target = _target(user, "learn")
    with _checked(path):
        answer = _post(path, target, content, timeout)
        return {
            name: answer[name] for name in ("id", "label", "changed", "predicted_before", "predicted_after")
        }


@contextlib.contextmanager
def _checked(path: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise LMClassifyError(f"the program on {path} is not an lmclassify service") from error


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


def _post(path: str, target: str, content: Mapping[str, object], timeout: float) -> Any:
    """Send JSON to a path of the service on a socket and return the JSON of its answer."""
    try:
        status, answer = _send(path, _request(target, content), time.monotonic() + timeout)
    except TimeoutError:
        raise LMClassifyError(f"the service on {path} does not answer within {timeout:g} s") from None
    except OSError as error:
        raise LMClassifyError(
            f"no service on {path}: {error.strerror or error}; start one with lmclassify serve --socket"
        ) from error
    body = json.loads(answer)
    if not status.startswith("200"):
        detail = body.get("detail", "") if isinstance(body, dict) else ""
        raise LMClassifyError(printable(f"the service on {path} answers {status}: {detail}"))
    return body


def _request(target: str, value: Mapping[str, object]) -> bytes:
    content = json.dumps(value).encode()
    lines = [
        f"POST {target} HTTP/1.0",
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

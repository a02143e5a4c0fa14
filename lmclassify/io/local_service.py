"""Asks a service on a local socket (`lmclassify serve --socket`). Standard library only."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

from lmclassify.errors import LMClassifyError

SECONDS = 5.0
"""What connecting, sending and each wait for an answer may take."""
TOKEN = "LMCLASSIFY_TOKEN"
"""The environment variable that holds the service's token, if it asks for one."""


class _Connection(HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(path: str, text: str, timeout: float = SECONDS) -> tuple[str, Mapping[str, float]]:
    """Return the label that a service gives a text, and the probabilities of all.

    Parameters
    ----------
    path : str
        The service's socket.
    text : str
    timeout : float

    Raises
    ------
    LMClassifyError
        If there is no answer, or one that is none.
    """
    headers = {"Content-Type": "application/json", "Connection": "close"}
    token = os.environ.get(TOKEN)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = _Connection(path, timeout)
    try:
        with contextlib.suppress(BrokenPipeError):  # it may refuse before it has read all, and say why
            connection.request("POST", "/v1/predict", json.dumps({"text": text}).encode(), headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != 200:
            detail = content.get("detail", "") if isinstance(content, dict) else ""
            raise LMClassifyError(f"the service on {path} answers {answer.status} {answer.reason}: {detail}")
        prediction = content["predictions"][0]
        return str(prediction["label"]), {
            str(name): float(value) for name, value in prediction["probabilities"].items()
        }
    except TimeoutError:
        raise LMClassifyError(f"the service on {path} does not answer within {timeout:g} s") from None
    except OSError as error:
        raise LMClassifyError(
            f"no service on {path}: {error.strerror or error}; start one with lmclassify serve --socket"
        ) from error
    except (HTTPException, LookupError, TypeError, ValueError) as error:
        raise LMClassifyError(f"what answers on {path} is no lmclassify service") from error
    finally:
        connection.close()

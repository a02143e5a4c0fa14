"""One file over HTTP: resumed, retried, bounded in size."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lmclassify.errors import DownloadError, OutputError, printable, shorten

Progress = Callable[[int, int | None], object]
"""Told the bytes that are there, and those that there will be, where that is known."""

_PIECE = 1 << 16
_LONGEST_WAIT = 30.0
_OFFLINE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


class _DroppedError(Exception):
    """What may go better at the next try."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class Download:
    """How files are fetched.

    Parameters
    ----------
    tries : int
        How often in all, a dropped connection or an answer of 5xx coming between.
    wait : float
        Seconds before the second try; twice as many before each further one.
    timeout : float
        Seconds that the server may keep silent.
    """

    tries: int = 5
    wait: float = 1.0
    timeout: float = 30.0

    def fetch(
        self, url: str, path: Path, most: int, progress: Progress, say: Callable[[str], object]
    ) -> None:
        """Fetch a file; what an earlier call has left beside `path` is gone on with where the server can.

        Parameters
        ----------
        url : str
        path : Path
            Appears only when it is complete.
        most : int
            Bytes that it may have at most.
        progress, say : callable

        Raises
        ------
        DownloadError
            If it cannot be had; what has come so far is kept for the next call.
        OutputError
            If it cannot be stored.
        """
        check_url(url)
        part = _Part(path, url)
        for left in reversed(range(self.tries)):
            try:
                self._try(url, part, most, progress)
                break
            except _DroppedError as problem:
                if not left:
                    raise DownloadError(
                        f"{printable(url)}: {problem}, {self.tries} times; run it again later to go on"
                    ) from None
                default = self.wait * 2 ** (self.tries - 1 - left)
                wait = min(_LONGEST_WAIT, default if problem.wait is None else problem.wait)
                say(f"note: {printable(url)}: {problem}; trying again in {wait:.0f} s")
                time.sleep(wait)
        part.finish()

    def _try(self, url: str, part: _Part, most: int, progress: Progress) -> None:
        headers = {"User-Agent": "lmclassify", "Accept-Encoding": "identity"}
        if part.size and part.validator:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        request = urllib.request.Request(url, headers=headers)
        try:
            with _opener().open(request, timeout=self.timeout) as answer:
                self._receive(answer, url, part, most, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:
                part.restart(None)
                raise _DroppedError("what was there already is no part of it") from None
            what = f"the server answers {error.code} {printable(str(error.reason))}".rstrip()
            if error.code >= 500 or error.code in (408, 429):
                after = str(error.headers.get("Retry-After", ""))
                raise _DroppedError(
                    what, float(after) if re.fullmatch("[0-9]{1,6}", after) else None
                ) from None
            raise DownloadError(f"{printable(url)}: {what}; --url names another place") from None
        except urllib.error.URLError as error:
            _explain(error.reason, url)
        except (http.client.HTTPException, OSError) as error:
            _explain(error, url)

    def _receive(self, answer: Any, url: str, part: _Part, most: int, progress: Progress) -> None:
        headers = answer.headers
        if answer.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            if not found or int(found[1]) != part.size:
                part.restart(None)
                raise _DroppedError("the server sends another range than the one asked for")
        elif answer.status == 200:
            part.restart(_validator(headers))
        else:
            raise DownloadError(
                f"{printable(url)}: the server answers {answer.status}; --url names another place"
            )
        length = headers.get("Content-Length", "")
        total = part.size + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if total is not None and total > most:
            raise _too_large(url, part, most)
        with part.append() as write:
            while part.size != total and (piece := answer.read1(_PIECE)):
                if part.size + len(piece) > most:
                    raise _too_large(url, part, most)
                write(piece)
                progress(part.size, total)
        if total is not None and part.size < total:
            raise _DroppedError(f"the connection broke after {part.size:,} of {total:,} bytes")


class _Part:
    """What has come of a file, and what tells whether the server still has the same."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._draft = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".part.json")
        self.size, self.validator = 0, None
        with contextlib.suppress(OSError, ValueError):
            note = json.loads(self._note.read_text(encoding="utf-8"))
            if isinstance(note, dict) and note.get("url") == url and isinstance(note.get("validator"), str):
                self.validator = note["validator"]
                self.size = self._draft.stat().st_size

    def restart(self, validator: str | None) -> None:
        """Forget what has come."""
        self.size, self.validator = 0, validator
        try:
            self._draft.write_bytes(b"")
            self._note.write_text(json.dumps({"url": self._url, "validator": validator}), encoding="utf-8")
        except OSError as error:
            raise _unwritable(self._draft, error) from None

    @contextlib.contextmanager
    def append(self) -> Any:
        """Open it; yield a function that adds bytes."""
        try:
            stream = self._draft.open("ab")
        except OSError as error:
            raise _unwritable(self._draft, error) from None

        def write(piece: bytes) -> None:
            try:
                stream.write(piece)
            except OSError as error:
                raise _unwritable(self._draft, error) from None
            self.size += len(piece)

        with stream:
            yield write

    def finish(self) -> None:
        try:
            os.replace(self._draft, self._path)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self.discard()

    def discard(self) -> None:
        for path in (self._draft, self._note):
            path.unlink(missing_ok=True)


def check_url(url: str) -> None:
    """Raise unless a URL is one of HTTP.

    Raises
    ------
    DownloadError
    """
    try:
        split = urllib.parse.urlsplit(url)
        good = (
            split.scheme in ("http", "https") and bool(split.hostname) and url.isascii() and url.isprintable()
        )
        good = good and " " not in url and (split.port or 1) > 0
    except ValueError:
        good = False
    if good and "@" in split.netloc:
        raise DownloadError("a URL with a user's name or password is not supported")
    if not good:
        raise DownloadError(f"{shorten(url)} is no URL that begins with https:// or http://")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request: Any, fp: Any, code: int, message: str, headers: Any, url: str) -> Any:
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme not in ("http", "https") or (request.type, scheme) == ("https", "http"):
            raise DownloadError(f"{printable(request.full_url)} leads to {printable(url)}: not followed")
        return super().redirect_request(request, fp, code, message, headers, url)


def _opener() -> urllib.request.OpenerDirector:
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    return urllib.request.build_opener(https, _Redirects())


def _validator(headers: Any) -> str | None:
    """Return what If-Range may name: a strong ETag, else the time of the last change."""
    tag = str(headers.get("ETag", ""))
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _explain(problem: object, url: str) -> NoReturn:
    """Raise what may go better at the next try, or what will not."""
    host = printable(urllib.parse.urlsplit(url).hostname or "")
    if isinstance(problem, OutputError):
        raise problem
    if isinstance(problem, ssl.SSLCertVerificationError):
        raise DownloadError(
            f"{host}: its certificate cannot be verified ({problem.verify_message}); "
            "--url names another place"
        ) from None
    if isinstance(problem, socket.gaierror) or getattr(problem, "errno", None) in _OFFLINE:
        raise DownloadError(f"{host} cannot be reached: {_named(problem)}; is this machine online?") from None
    raise _DroppedError(
        "no answer in time" if isinstance(problem, TimeoutError) else _named(problem)
    ) from None


def _named(problem: object) -> str:
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return printable(" ".join(str(text).split()))


def _too_large(url: str, part: _Part, most: int) -> DownloadError:
    part.discard()
    return DownloadError(
        f"{printable(url)} has more than {most:,} bytes, which is more than the set has: refused"
    )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror}")

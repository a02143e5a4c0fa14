"""Download one file over HTTP: resumed after interruptions, retried, and bounded in size.

Uses `urllib` and the system's certificates. The library pooch does not fit: it discards interrupted
downloads and has no size limit.
"""

from __future__ import annotations

import contextlib
import errno
import functools
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmclassify.errors import DownloadError, OutputError, printable, shorten
from lmclassify.persistence.atomic_file import write_errors

Progress = Callable[[int, int | None], object]
"""Called with the bytes downloaded so far, and the size of the file if known."""

_READ_BYTES = 1 << 16
_MAX_WAIT = 30.0  # seconds between two attempts, even if the server asks for more: a user is waiting
_OFFLINE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


class _TemporaryError(Exception):
    """A failure that another attempt may not have."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Downloader:
    """Downloads files.

    Parameters
    ----------
    max_attempts : int
        How often to try if the connection breaks or the server answers with status 5xx, 408 or 429.
    wait : float
        Seconds before the second attempt, doubled for each further one.
    timeout : float
        Seconds that the server may stay silent.
    """

    max_attempts: int = 5
    wait: float = 1.0
    timeout: float = 30.0

    def download(
        self, url: str, path: Path, *, max_bytes: int, progress: Progress, say: Callable[[str], object]
    ) -> None:
        """Download a file; resume an earlier download of it if the server can.

        Raises DownloadError if the file cannot be downloaded. What has been received is kept for the next
        call. Raises OutputError if it cannot be stored.

        Parameters
        ----------
        path : Path
            Appears only when the file is complete.
        max_bytes : int
            Size beyond which the file is refused.
        say : callable
            Receives one line for each failed attempt.
        """
        check_url(url)
        partial = _PartialFile(path, url)
        for attempt in range(1, self.max_attempts + 1):
            try:
                self._attempt(url, partial, max_bytes, progress)
                break
            except _TemporaryError as problem:
                if attempt == self.max_attempts:
                    raise DownloadError(
                        f"{printable(url)}: {problem}, {attempt} times; run the command again later to resume"
                    ) from None
                wait = self.wait * 2 ** (attempt - 1) if problem.retry_after is None else problem.retry_after
                wait = min(_MAX_WAIT, wait)
                say(f"note: {printable(url)}: {problem}; trying again in {wait:.0f} s")
                time.sleep(wait)
        partial.commit()

    def _attempt(self, url: str, partial: _PartialFile, max_bytes: int, progress: Progress) -> None:
        headers = {"User-Agent": "lmclassify", "Accept-Encoding": "identity"}
        if partial.size and partial.validator:
            headers |= {"Range": f"bytes={partial.size}-", "If-Range": partial.validator}
        request = urllib.request.Request(url, headers=headers)
        try:
            with _opener().open(request, timeout=self.timeout) as response:
                self._receive(response, url, partial, max_bytes, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # range not satisfiable
                partial.restart(None)
                raise _TemporaryError("the part downloaded before does not fit the file") from None
            reason = f"the server answers {error.code} {printable(str(error.reason))}".rstrip()
            if error.code >= 500 or error.code in (408, 429):
                after = str(error.headers.get("Retry-After", ""))
                seconds = float(after) if re.fullmatch("[0-9]{1,6}", after) else None
                raise _TemporaryError(reason, seconds) from None
            raise DownloadError(f"{printable(url)}: {reason}; use --url to name another address") from None
        except urllib.error.URLError as error:
            raise _explained(error.reason, url) from None
        except OutputError:
            raise
        except (http.client.HTTPException, OSError) as error:
            raise _explained(error, url) from None

    def _receive(
        self, response: Any, url: str, partial: _PartialFile, max_bytes: int, progress: Progress
    ) -> None:
        if response.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if not found or int(found[1]) != partial.size:
                partial.restart(None)
                raise _TemporaryError("the server sends another range than requested")
        elif response.status == 200:
            partial.restart(_validator(response.headers))
        else:
            raise DownloadError(
                f"{printable(url)}: the server answers {response.status}; use --url to name another address"
            )
        length = response.headers.get("Content-Length", "")
        total = partial.size + int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if total is not None and total > max_bytes:
            raise _too_large(url, partial, max_bytes)
        with partial.append() as write:
            while partial.size != total and (piece := response.read1(_READ_BYTES)):
                if partial.size + len(piece) > max_bytes:
                    raise _too_large(url, partial, max_bytes)
                write(piece)
                progress(partial.size, total)
        if total is not None and partial.size < total:
            raise _TemporaryError(f"the connection broke after {partial.size:,} of {total:,} bytes")


class _PartialFile:
    """What has been received of a file, and the validator that tells whether the file has changed since."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._partial = path.with_name(path.name + ".part")
        self._info = path.with_name(path.name + ".part.json")
        self.size, self.validator = 0, None
        with contextlib.suppress(OSError, ValueError):
            info = json.loads(self._info.read_text(encoding="utf-8"))
            if isinstance(info, dict) and info.get("url") == url and isinstance(info.get("validator"), str):
                self.validator = info["validator"]
                self.size = self._partial.stat().st_size

    def restart(self, validator: str | None) -> None:
        """Discard what has been received."""
        self.size, self.validator = 0, validator
        info = json.dumps({"url": self._url, "validator": validator})
        with write_errors(str(self._partial)):
            self._partial.write_bytes(b"")
            self._info.write_text(info, encoding="utf-8")

    @contextlib.contextmanager
    def append(self) -> Iterator[Callable[[bytes], None]]:
        """Open the file; yield a function that appends bytes."""
        with write_errors(str(self._partial)):
            stream = self._partial.open("ab")

        def write(piece: bytes) -> None:
            with write_errors(str(self._partial)):
                stream.write(piece)
            self.size += len(piece)

        with stream:
            yield write

    def commit(self) -> None:
        """Move the complete file to its path."""
        with write_errors(str(self._path)):
            os.replace(self._partial, self._path)
        self.remove()

    def remove(self) -> None:
        """Remove what has been received."""
        self._partial.unlink(missing_ok=True)
        self._info.unlink(missing_ok=True)


def check_url(url: str) -> None:
    """Raise DownloadError unless a URL is one of HTTP or HTTPS without user name and password."""
    try:
        split = urllib.parse.urlsplit(url)
        is_http = split.scheme in ("http", "https") and bool(split.hostname) and (split.port or 1) > 0
        is_valid = is_http and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        is_valid = False
    if is_valid and "@" in split.netloc:
        raise DownloadError("a URL with a user name or password is not supported")
    if not is_valid:
        raise DownloadError(f"{shorten(url)} is not a URL that begins with https:// or http://")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from HTTPS to HTTP or to other schemes."""

    def redirect_request(self, request: Any, fp: Any, code: int, message: str, headers: Any, url: str) -> Any:
        scheme = urllib.parse.urlsplit(url).scheme
        if scheme not in ("http", "https") or (request.type, scheme) == ("https", "http"):
            raise DownloadError(f"{printable(request.full_url)} redirects to {printable(url)}: not followed")
        return super().redirect_request(request, fp, code, message, headers, url)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_ssl_context()), _SafeRedirects())


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads all certificates of the system


def _validator(headers: Any) -> str | None:
    """Return the value for If-Range: a strong ETag, else the time of the last change."""
    tag = str(headers.get("ETag", ""))
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def _explained(problem: object, url: str) -> Exception:
    """Return a temporary error, or a DownloadError if another attempt would not help."""
    host = printable(urllib.parse.urlsplit(url).hostname or "")
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    reason = printable(" ".join(str(text).split()))
    if isinstance(problem, ssl.SSLCertVerificationError):
        return DownloadError(
            f"{host}: its certificate cannot be verified ({problem.verify_message}); "
            "use --url to name another address"
        )
    if isinstance(problem, socket.gaierror) or getattr(problem, "errno", None) in _OFFLINE:
        return DownloadError(f"{host} cannot be reached: {reason}; is this machine online?")
    return _TemporaryError("no answer in time" if isinstance(problem, TimeoutError) else reason)


def _too_large(url: str, partial: _PartialFile, max_bytes: int) -> DownloadError:
    partial.remove()
    return DownloadError(
        f"{printable(url)} has more than {max_bytes:,} bytes, more than the data set has: refused"
    )

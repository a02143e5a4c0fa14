"""The web page in a browser: how tests open it and use it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # the fixture `browser` skips
    expect = sync_playwright = None  # type: ignore[assignment]
else:
    expect.set_options(timeout=60_000)


@contextmanager
def opened(browser: Any, address: str, *, failures: bool = False, **options: Any) -> Iterator[Any]:
    """Open the page; check at the end that there were no errors and no requests elsewhere.

    Parameters
    ----------
    failures : bool
        Whether the browser may report failed requests.
    """
    console: list[str] = []
    requested: list[str] = []
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert [text for text in console if not (failures and text.startswith("Failed to load resource"))] == []
    origins = {urlsplit(url)[:2] for url in requested if not url.startswith(("data:", "blob:"))}
    assert len(origins) == 1


def type_text(page: Any, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    expect(page.locator("#words")).to_contain_text(text.split()[-1])


def word(page: Any, text: str) -> Any:
    return page.locator("#words").get_by_text(text, exact=True)


def settled(page: Any) -> Any:
    """Wait until the suggestions are those of the current text; return their buttons."""
    buttons = page.locator("#next-words button")
    expect(buttons.first).to_be_visible()
    expect(page.locator("#next-words button[aria-disabled]")).to_have_count(0)
    return buttons


def ask(address: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def upload(page: Any, name: str, content: bytes) -> None:
    expect(page.locator("#file")).to_be_enabled()
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})


def downloaded(page: Any) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.locator("#download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()

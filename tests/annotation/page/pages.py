"""What the tests do with the page of `lmclassify label`."""

from __future__ import annotations

from typing import Any

from tests.service.page.browser import expect


def ready(page: Any) -> Any:
    """Wait until the page accepts an answer."""
    expect(page.locator("#text-card, #finished").filter(visible=True)).to_have_count(1)
    expect(page.locator("#answer-card")).to_have_attribute("aria-busy", "false")
    return page


def press(page: Any, *keys: str) -> None:
    """Press keys one after the other, each when the page accepts an answer."""
    for key in keys:
        ready(page)
        page.keyboard.press(key)


def type_label(page: Any, name: str) -> None:
    ready(page)
    page.keyboard.type(name)
    page.keyboard.press("Enter")

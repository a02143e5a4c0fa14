"""The browser and pages of a fake server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.annotation.page.fake_app import FakeServer, serving
from tests.annotation.page.pages import ready
from tests.service.page.browser import opened
from tests.service.page.conftest import browser

__all__ = ["browser"]

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Return a function that serves a fake and opens its page, ready for keys."""
    with ExitStack() as stack:

        def open_page(fake: FakeServer, **options: Any) -> Any:
            if not fake.address:
                stack.enter_context(serving(fake))
            return ready(stack.enter_context(opened(browser, fake.address, **options)))

        yield open_page

"""The browser, a service for it, and opened pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmclassify import LMClassifier
from tests.service.conftest import running
from tests.service.page.browser import opened, sync_playwright


@pytest.fixture(scope="module")
def folder(tuned: LMClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "small"
    tuned.save(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with running("-m", folder, "--port", 0, "--timeout", 600, cwd=folder.parent) as service:
        yield service.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if sync_playwright is None:
        pytest.skip("needs playwright: pip install '.[dev]'")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as page:
        yield page


@pytest.fixture
def failing(browser: Any, address: str) -> Iterator[Any]:
    """A page whose requests may fail."""
    with opened(browser, address, failures=True) as page:
        yield page

"""The report in a browser as narrow as a phone."""

from __future__ import annotations

import os
import shutil

import pytest

from lmclassify.evaluation.page.report import render

from ...conftest import bundled
from .pages import report_of

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")


@pytest.mark.long
def test_the_report_fits_a_phone_and_makes_no_requests(model, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    texts, labels = bundled("emails.csv")
    texts[0], labels[0] = "W" * 500, "a_label/" + "W" * 200
    path = tmp_path / "report.html"
    path.write_text(render(report_of(model, tmp_path, texts, labels, min_confidence=0.8)), encoding="utf-8")
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 360, "height": 740})
        messages, requests = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == 360
            for plot in page.locator(".plot").all():
                assert plot.evaluate("plot => getComputedStyle(plot).backgroundColor") == "rgb(255, 255, 255)"
                assert plot.bounding_box()["width"] > 280
        assert {
            tuple(size)
            for size in page.evaluate(
                "[...document.querySelectorAll('.plot svg text')].map(t => [getComputedStyle(t).fontFamily])"
            )
        } == {("system-ui, sans-serif",)}
        browser.close()
    assert messages == []
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}

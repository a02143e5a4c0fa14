"""The page of `serve`: wrong labels are corrected, examples, many labels, accessibility (long)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import running
from tests.service.page.browser import ask, expect, opened, settled, type_text, upload

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.long

TEXT = "free prize waiting"
SIZES = {"narrow": {"width": 390, "height": 844}, "wide": {"width": 1280, "height": 800}}


@pytest.fixture(scope="module")
def learning(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service for a model of its own, which tests may teach."""
    copy = tmp_path_factory.mktemp("learning") / "model"
    shutil.copytree(folder, copy)
    with running("-m", copy, "--port", 0, "--timeout", 600, cwd=copy.parent) as service:
        yield service.url


def without_violations(page: Any) -> None:
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def test_a_wrong_label_is_corrected_and_taken_back_by_keyboard(browser: Any, learning: str) -> None:
    before = ask(learning, "v1/predict", {"text": TEXT})["predictions"][0]
    other = {"spam": "ham", "ham": "spam"}[before["label"]]
    with opened(browser, learning) as page:
        type_text(page, TEXT)
        page.locator("#correcting summary").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator("#corrections button", has_text=other)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#taught-text")).to_have_text(f"Learned: this text is {other}.")
        expect(page.locator("#verdict")).to_contain_text(other)
        assert ask(learning, "v1/predict", {"text": TEXT})["predictions"][0]["label"] == other
        expect(page.locator("#unteach")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#verdict")).to_contain_text(before["label"])
        expect(page.locator("#unteach")).to_be_hidden()
        after = ask(learning, "v1/predict", {"text": TEXT})["predictions"][0]
        assert after["probabilities"] == pytest.approx(before["probabilities"])


def test_a_service_that_does_not_learn_offers_no_correction(browser: Any, folder: Path) -> None:
    options = ("-m", folder, "--port", 0, "--no-learn", "--timeout", 600)
    with running(*options, cwd=folder.parent) as service, opened(browser, service.url) as page:
        type_text(page, TEXT)
        expect(page.locator("#correcting")).to_be_hidden()


def test_examples_on_the_empty_page(page: Any) -> None:
    expect(page.locator("#examples")).to_be_visible()
    page.locator("#examples button", has_text="spam").click()
    expect(page.locator("#verdict strong")).to_be_visible()
    assert page.locator("#text").input_value()
    expect(page.locator("#examples")).to_be_hidden()


def test_with_many_labels_words_are_suggested_on_request(browser: Any, address: str) -> None:
    with opened(browser, address) as page:
        requested: list[Any] = []

        def many(route: Any) -> None:
            answer = route.fetch().json()
            answer["labels"] += [{"label": f"label {number}", "prior": 0.0} for number in range(150)]
            route.fulfill(json=answer)

        page.route("**/v1/model", many)
        page.on("request", lambda request: requested.append(request) if "v1/suggest" in request.url else None)
        page.reload()
        type_text(page, TEXT)
        expect(page.locator("#ask-words")).to_be_visible()
        assert requested == []
        page.locator("#ask-words").click()
        settled(page)
        label = page.locator("#verdict strong").inner_text()
        assert {request.post_data_json["label"] for request in requested} == {label}
        page.locator("#correcting summary").click()
        page.locator("#correction").fill("label 151")
        page.get_by_role("button", name="Teach").click()
        expect(page.locator("#teach-error")).to_have_text("The model has no label label 151.")
        without_violations(page)


def test_accuracy_and_first_rows_of_a_file(page: Any) -> None:
    upload(page, "mail.csv", b"text,label\n<b>free prize</b>,spam\nlunch,eggs\n,ham\n")
    expect(page.locator("#file-accuracy")).to_contain_text("of 2 rows.")
    rows = page.locator("#preview tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("<b>free prize</b>")
    expect(rows.nth(1)).to_contain_text("eggs (differs)")
    assert page.locator("#preview b").count() == 0
    upload(page, "other.csv", b"text\nlunch\n")
    expect(rows).to_have_count(1)
    expect(page.locator("#file-accuracy")).to_have_text("")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_inaccessible(browser: Any, learning: str, scheme: str, size: str) -> None:
    with opened(browser, learning, color_scheme=scheme, viewport=SIZES[size]) as page:
        expect(page.locator("#examples")).to_be_visible()
        settled(page)
        without_violations(page)
        type_text(page, TEXT)
        settled(page)
        page.locator("#correcting summary").click()
        upload(page, "mail.csv", b"text,label\nfree,spam\nlunch,eggs\n")
        expect(page.locator("#preview")).to_be_visible()
        without_violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"]
        table = page.locator("#preview").locator("..")
        assert table.evaluate("place => place.scrollWidth - place.clientWidth") == 0


def test_models_of_users_only(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    options = ("--models", "users", "--port", 0)
    with (
        running(*options, cwd=tmp_path) as service,
        opened(browser, service.url, failures=True) as page,
    ):
        expect(page.locator("#page-error")).to_contain_text("This service has models of users only")
        expect(page.locator("#text")).to_be_disabled()

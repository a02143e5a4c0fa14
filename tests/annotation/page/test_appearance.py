"""The page of `lmclassify label` in a browser: accessibility, narrow screens, long texts and other scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.annotation.page.conftest import Open
from tests.annotation.page.pages import press, ready
from tests.annotation.page.states import STATES, labelling, long_text, scripts
from tests.service.page.browser import expect

pytestmark = pytest.mark.long

SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 390, "height": 844}}


def fail(page: Any) -> None:
    page.route("**/v1/answer", lambda route: route.abort())
    page.keyboard.press("1")
    expect(page.locator("#problem")).to_be_visible()


def search(page: Any) -> None:
    page.locator("#search").press_sequentially("q")
    expect(page.locator("#found")).to_be_visible()


ACTIONS: dict[str, tuple[str, Any]] = {
    "error": ("labelling", fail),
    "search": ("many_labels", search),
    "help": ("check", lambda page: page.keyboard.press("?")),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_state_is_accessible(open_page: Open, size: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for name in [*STATES, *ACTIONS]:
        made, act = ACTIONS.get(name, (name, lambda page: None))
        page = open_page(STATES[made](), failures=True, viewport=SIZES[size], color_scheme=scheme)
        act(page)
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], name


def test_on_a_touch_screen_no_keyboard_covers_the_page(open_page: Open) -> None:
    page = open_page(labelling(), viewport=SIZES["narrow"], has_touch=True, is_mobile=True)
    expect(page.locator("#search")).not_to_be_focused()
    expect(page.locator("#choices kbd").first).to_be_hidden()
    page.get_by_role("button", name="ham").tap()
    expect(page.locator("#place")).to_have_text("mails.csv, row 3")
    expect(page.locator("#search")).not_to_be_focused()


def test_a_long_text_scrolls_by_keyboard_from_the_search_field(open_page: Open) -> None:
    page = open_page(long_text(), viewport=SIZES["wide"])
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    top = "document.querySelector('#text').scrollTop"
    page.keyboard.press("PageDown")
    page.wait_for_function(f"{top} > 100")
    page.keyboard.press("PageUp")
    page.wait_for_function(f"{top} === 0")
    page.keyboard.press("Space")
    page.wait_for_function(f"{top} > 100")
    expect(page.locator("#search")).to_have_value("")
    press(page, "1")
    expect(page.locator("#place")).to_have_text("mails.csv, row 3")
    assert page.evaluate(top) == 0


def test_a_text_from_right_to_left(open_page: Open) -> None:
    page = open_page(scripts())
    assert page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "rtl"
    page.keyboard.press("1")
    expect(page.locator("#text")).to_contain_text("恭喜您中奖了")
    assert page.locator("#text").evaluate("node => getComputedStyle(node).direction") == "ltr"


def test_every_control_is_reached_by_tab_and_shows_its_focus(open_page: Open) -> None:
    page = open_page(labelling())
    described = "(document.activeElement.id || document.activeElement.textContent).trim()"
    page.locator("#help-button").focus()
    reached = []
    for _ in range(15):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        reached.append(page.evaluate(described))
        assert outline == "3px", reached[-1]
        if reached[-1] == "show-guess":
            break
    assert reached[0] == "text"
    assert {"search", "all-labels", "none", "skip", "note-button", "undo", "show-guess"} <= set(reached)
    page.locator("#choices button").first.focus()
    page.keyboard.press("Enter")
    ready(page)
    expect(page.locator("#place")).to_have_text("mails.csv, row 3")

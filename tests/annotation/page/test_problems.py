"""The page of `lmclassify label` in a browser: what goes wrong while labelling."""

from __future__ import annotations

from typing import Any

import pytest

from tests.annotation.page.conftest import Open
from tests.annotation.page.fake_app import FILE_CHANGED, TOKEN, FakeServer, item, serving
from tests.annotation.page.pages import press, ready
from tests.service.page.browser import expect, opened

pytestmark = pytest.mark.long


def simple(count: int = 5, **members: Any) -> FakeServer:
    return FakeServer(
        [item(number, f"Text number {number}") for number in range(count)], ["ham", "spam"], **members
    )


def test_an_answer_is_kept_while_the_program_does_not_answer(open_page: Open) -> None:
    page = open_page(fake := simple(), failures=True)
    page.route("**/v1/answer", lambda route: route.abort())
    press(page, "2")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text(
        "The answer for mails.csv, row 1 (labelled spam) is not saved. "
        "lmclassify does not answer. Is the command “lmclassify label” still running?"
    )
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_have_text(
        "Solve the problem above first: the last answer is not saved yet."
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    page.unroute("**/v1/answer")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_text("Text number 1")
    expect(alert).to_be_hidden()
    expect(page.locator("#search")).to_be_focused()
    press(page, "1")
    ready(page)
    assert [(sent["id"], sent["label"]) for sent in fake.answers] == [(0, "spam"), (1, "ham")]


def test_an_answer_that_is_refused_can_be_given_again(open_page: Open) -> None:
    page = open_page(fake := simple(), failures=True)
    fake.problems.append((422, {"detail": "There is a label ham, from which Ham differs only in case."}))
    page.keyboard.type("hamm")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_have_text(
        "The answer for mails.csv, row 1 (labelled hamm) is not saved. "
        "There is a label ham, from which Ham differs only in case."
    )
    expect(page.locator("#text")).to_have_text("Text number 0")
    page.keyboard.press("Escape")
    press(page, "1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    assert list(fake.labelled) == [0]


def test_a_row_that_another_page_has_answered_is_left_alone(open_page: Open, browser: Any) -> None:
    page = open_page(fake := simple(), failures=True)
    with opened(browser, fake.address) as other:
        ready(other)
        expect(other.locator("#text")).to_have_text("Text number 3")  # the first page has three texts
        fake.clients.clear()  # as after some minutes without an answer
        other.reload()
        expect(other.locator("#text")).to_have_text("Text number 0")
        press(other, "2")
        expect(other.locator("#text")).to_have_text("Text number 1")
    fake.problems.append(
        (409, {"detail": "Row 1 of mails.csv has label spam now: it was answered elsewhere."})
    )
    press(page, "1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    message = (
        "The answer for mails.csv, row 1 (labelled ham) is not saved. "
        "Row 1 of mails.csv has label spam now: it was answered elsewhere."
    )
    expect(page.locator("#saved")).to_have_text(message)
    expect(page.locator("#announcement")).to_contain_text(message)
    ready(page)
    assert fake.labelled == {0: "spam"}


def test_a_file_that_another_program_has_changed_is_read_again(open_page: Open) -> None:
    page = open_page(fake := simple(), failures=True)
    fake.problems.append((409, FILE_CHANGED))
    press(page, "1")
    expect(page.get_by_role("alert")).to_contain_text("mails.csv was changed by another program")
    button = page.get_by_role("button", name="Read the file again")
    expect(button).to_be_focused()
    fake.texts[0]["text"] = "A corrected text"
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_text("A corrected text")
    expect(button).to_be_hidden()
    press(page, "1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    assert fake.reloaded == 1


def test_without_a_valid_token_the_page_says_what_to_open(browser: Any) -> None:
    with serving(simple()) as fake:
        for address in (fake.address.replace(TOKEN, "wrong"), fake.address.partition("?")[0]):
            with opened(browser, address, failures=True) as page:
                expect(page.get_by_role("alert")).to_have_text(
                    "This page has no valid token. Open the address that “lmclassify label” printed."
                )


def test_a_page_whose_program_has_stopped_can_start_again(browser: Any) -> None:
    with serving(simple()) as fake, opened(browser, "about:blank", failures=True) as page:
        page.route("**/v1/state", lambda route: route.abort())
        page.goto(fake.address)
        expect(page.get_by_role("alert")).to_contain_text("lmclassify does not answer.")
        page.unroute("**/v1/state")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#text")).to_have_text("Text number 0")


def test_a_text_that_another_page_has_open_is_not_called_done(open_page: Open) -> None:
    fake = simple(2)
    fake.clients = {0: "another page", 1: "another page"}
    page = open_page(fake)
    expect(page.locator("#finished-heading")).to_have_text("No texts are left for this page")
    expect(page.locator("#finished-text")).to_have_text(
        "The last 2 texts are open on another page, here or in another browser."
    )
    fake.clients.clear()
    page.get_by_role("button", name="Look for more texts").click()
    expect(page.locator("#text")).to_have_text("Text number 0")


def test_a_failed_model_is_described(open_page: Open) -> None:
    page = open_page(simple(model={"state": "failed", "num_texts": 9, "detail": "No memory was left."}))
    expect(page.locator("#figures")).to_contain_text("could not be trained: No memory was left.")


def test_the_page_notices_when_the_model_is_ready(open_page: Open) -> None:
    page = open_page(fake := simple(model={"state": "fitting", "num_texts": 0, "detail": None}))
    expect(page.locator("#figures")).to_contain_text("learns from your answers")
    fake.model = {"state": "ready", "num_texts": 12, "detail": None}
    expect(page.locator("#figures")).to_contain_text("has learned from 12 labelled texts")

"""The page of `lmclassify label` in a browser: answers by keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.annotation.page.conftest import Open
from tests.annotation.page.fake_app import FakeServer, guess, item
from tests.annotation.page.pages import press, ready, type_label
from tests.annotation.page.states import READY, check, finished, labelling, many_labels, start
from tests.service.page.browser import expect

pytestmark = pytest.mark.long


def simple(count: int = 5, **members: Any) -> FakeServer:
    return FakeServer(
        [item(number, f"Text number {number}") for number in range(count)], ["ham", "spam"], **members
    )


def given(fake: FakeServer) -> list[tuple[int, str]]:
    """Return the answers so far: the text and its label, or what was answered instead."""
    return [(sent["id"], sent["label"] or sent["action"]) for sent in fake.answers]


def test_the_first_labels_are_typed(open_page: Open) -> None:
    page = open_page(fake := start())
    expect(page.locator("#start")).to_have_text(
        "No labels yet. Type the name of the first label, then press Enter."
    )
    page.keyboard.type("ham")
    expect(page.locator("#found li")).to_have_text(["Add label “ham”"])
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("mails.csv, row 3")
    expect(page.locator("#saved")).to_have_text("mails.csv, row 2: labelled ham.")
    expect(page.locator("#start")).to_be_hidden()
    expect(page.locator("#choices button")).to_have_text(["1 ham"])
    type_label(page, "spam")
    press(page, "2", "1")
    ready(page)
    assert given(fake) == [(1, "ham"), (2, "spam"), (20, "spam"), (21, "ham")]
    expect(page.locator("#progress-text")).to_have_text("4 of 182 texts labelled")


def test_every_kind_of_answer_has_a_key(open_page: Open) -> None:
    page = open_page(fake := simple())
    press(page, "-", "0", "2")
    press(page, "+")
    page.keyboard.type("see row 1")
    page.keyboard.press("Escape")
    expect(page.locator("#search")).to_be_focused()
    press(page, "1")
    expect(page.locator("#note-field")).to_be_hidden()
    press(page, "1")
    expect(page.locator("#finished-heading")).to_have_text("All texts are done")
    expect(page.locator("#finished-heading")).to_be_focused()
    expect(page.locator("#command")).to_have_text("lmclassify fit mails.csv -o MODEL")
    assert given(fake) == [(0, "skip"), (1, "none"), (2, "spam"), (3, "ham"), (4, "ham")]
    assert [sent["note"] for sent in fake.answers] == [None, None, None, "see row 1", None]
    expect(page.locator("#progress-text")).to_have_text("3 of 5 texts labelled; 1 skipped; 1 none of these")


def test_the_last_answer_can_be_taken_back(open_page: Open) -> None:
    page = open_page(fake := simple(2), failures=True)  # status 409
    press(page, "+")
    page.keyboard.type("unsure")
    page.keyboard.press("Enter")
    press(page, "1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    press(page, "Backspace")
    expect(page.locator("#text")).to_have_text("Text number 0")
    expect(page.locator("#saved")).to_have_text("Taken back: mails.csv, row 1.")
    expect(page.locator("#note")).to_have_value("unsure")
    press(page, "2")
    expect(page.locator("#text")).to_have_text("Text number 1")
    press(page, "1")
    expect(page.locator("#finished")).to_be_visible()
    press(page, "Control+z")
    expect(page.locator("#text")).to_have_text("Text number 1")
    press(page, "Backspace", "Backspace")
    expect(page.locator("#saved")).to_have_text(
        "The last answer is not taken back. There is no answer to take back."
    )
    assert fake.labelled == {}


def test_backspace_that_erases_letters_takes_nothing_back(open_page: Open) -> None:
    page = open_page(fake := simple())
    press(page, "1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    ready(page)
    page.keyboard.type("sp")
    for _ in range(4):
        page.keyboard.press("Backspace")
    press(page, "2")
    expect(page.locator("#text")).to_have_text("Text number 2")
    assert list(fake.labelled) == [0, 1]


def test_labels_are_found_and_chosen_by_keyboard(open_page: Open) -> None:
    page = open_page(fake := many_labels())
    page.keyboard.type("CARD")
    options = page.locator("#found li")
    expect(options).to_have_count(31)
    expect(options.first).to_contain_text("card question 0")
    expect(options.last).to_have_text("Add label “CARD”")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#search")).to_have_attribute("aria-activedescendant", "found-1")
    expect(page.locator("#found-1")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    type_label(page, "question 147")
    ready(page)
    page.keyboard.press("/")
    expect(options).to_have_count(150)
    page.keyboard.type("4")
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    ready(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#search")).to_have_attribute("aria-activedescendant", "found-149")
    page.keyboard.press("Enter")
    ready(page)
    assert given(fake) == [(1, "card question 5"), (2, "account question 147"), (20, "حساب")]


def test_of_many_labels_the_model_s_guesses_have_keys(open_page: Open) -> None:
    page = open_page(fake := many_labels())
    names = page.locator("#choices button bdi")
    expect(names).to_have_count(9)
    best = fake.texts[0]["guess"]["probabilities"]
    assert set(names.all_inner_texts()[:5]) == set(best)
    expect(names.first).to_have_text(fake.labels[7])
    page.get_by_label("Show the model’s guess").uncheck()
    expect(names.first).not_to_have_text(fake.labels[7])
    expect(page.locator("#guess")).to_be_hidden()


def test_enter_accepts_the_guess_only_while_it_is_shown(open_page: Open) -> None:
    page = open_page(fake := labelling())
    expect(page.locator("#guess")).to_have_text("The model’s guess: spam, 84.0%.")
    expect(page.locator("#text span.for, #text span.against").first).to_be_visible()
    expect(page.locator("#text")).to_have_text(fake.texts[0]["text"])
    expect(page.locator("#announcement")).to_contain_text("The model’s guess: spam, 84.0%.")
    page.get_by_label("Show the model’s guess").uncheck()
    expect(page.locator("#text span")).to_have_count(0)
    expect(page.locator("#text")).to_have_text(fake.texts[0]["text"])
    page.locator("#search").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_have_text("Enter accepts the model’s guess, but none is shown.")
    page.reload()
    ready(page)
    expect(page.locator("#guess")).to_be_hidden()
    assert fake.answers == []
    page.get_by_label("Show the model’s guess").check()
    page.locator("#search").focus()
    press(page, "Enter", "Enter")
    ready(page)
    assert given(fake) == [(1, "spam"), (2, "ham")]


def test_check_keeps_or_corrects_the_label_of_the_file(open_page: Open) -> None:
    page = open_page(fake := check())
    expect(page.locator("#why")).to_have_text(fake.texts[0]["reason"])
    expect(page.locator("#guess")).to_have_text("In the file: ham. Suggested: spam.")
    expect(page.locator("#choices button bdi")).to_have_text(["ham", "spam", "newsletter"])
    press(page, "1")
    press(page, "Backspace", "Enter")
    ready(page)
    assert given(fake) == [(1, "spam"), (1, "ham")]
    assert [sent["seen"] for sent in fake.answers] == ["ham", "ham"]


def test_a_key_pressed_while_an_answer_is_sent_is_ignored_and_says_so(open_page: Open) -> None:
    page = open_page(fake := simple())
    fake.held.add("/v1/answer")
    page.keyboard.press("1")
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_have_text(
        "That was ignored: the answer before it has only just been given."
    )
    expect(page.locator("#answer-card")).to_have_attribute("aria-busy", "true")
    fake.held.clear()
    expect(page.locator("#text")).to_have_text("Text number 1")
    ready(page)
    assert given(fake) == [(0, "ham")]


def test_a_second_press_does_not_label_a_text_that_nobody_has_read(open_page: Open) -> None:
    page = open_page(fake := simple())
    page.clock.install()  # from now on the page's time stands still
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.keyboard.press("1")
    expect(page.locator("#text")).to_have_text("Text number 1")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("That was ignored")
    page.clock.run_for(250)
    page.keyboard.press("2")
    expect(page.locator("#text")).to_have_text("Text number 2")
    assert given(fake) == [(0, "ham"), (1, "spam")]


def test_a_held_key_answers_once(open_page: Open) -> None:
    page = open_page(fake := simple())
    page.keyboard.down("1")
    ready(page)
    page.keyboard.down("1")  # repeats
    page.keyboard.up("1")
    press(page, "2")
    expect(page.locator("#text")).to_have_text("Text number 2")
    assert given(fake) == [(0, "ham"), (1, "spam")]


def test_letters_typed_while_an_answer_is_sent_are_kept_for_the_next_text(open_page: Open) -> None:
    page = open_page(fake := simple())
    fake.held.add("/v1/answer")
    page.keyboard.press("1")
    page.keyboard.type("sp")
    fake.held.clear()
    expect(page.locator("#text")).to_have_text("Text number 1")
    expect(page.locator("#search")).to_have_value("sp")
    press(page, "Enter")
    expect(page.locator("#text")).to_have_text("Text number 2")
    assert given(fake) == [(0, "ham"), (1, "spam")]


def test_the_next_text_needs_no_further_request(open_page: Open) -> None:
    page = open_page(fake := simple(9))
    fake.held.add("/v1/next")
    for number in range(1, 6):
        press(page, "1")
        expect(page.locator("#text")).to_have_text(f"Text number {number}")


def test_the_switch_is_the_only_thing_stored_beside_the_token(open_page: Open) -> None:
    page = open_page(labelling())
    assert "token" not in page.url
    page.get_by_label("Show the model’s guess").uncheck()
    local, cookie = page.evaluate("[{...localStorage}, document.cookie]")
    assert (local, cookie) == ({"lmclassify-show-guess": "no"}, "")
    kept = page.evaluate("Object.keys(sessionStorage).sort()")
    assert kept == ["lmclassify-label-client", "lmclassify-label-token"]


def test_markup_in_texts_and_labels_is_text(open_page: Open) -> None:
    markup = "<img src=x onerror=window.ran=1><script>window.ran=1</script> </p><b>free</b>"
    texts = [item(1, markup, reason=markup, file=f"{markup}.csv", guess=guess(markup, markup, 0.9, "ham"))]
    page = open_page(fake := FakeServer(texts, ["ham", markup], model=READY | {"detail": markup}))
    expect(page.locator("#text")).to_have_text(markup)
    expect(page.locator("#place")).to_have_text(f"{markup}.csv, row 2")
    page.keyboard.type("<img")
    expect(page.locator("#found li bdi")).to_have_text([markup, "<img"])
    assert page.locator("main img, main script, main b").count() == 0
    page.keyboard.press("Enter")
    expect(page.locator("#finished")).to_be_visible()
    assert page.evaluate("window.ran") is None
    assert given(fake) == [(1, markup)]


def test_the_help_lists_the_keys(open_page: Open) -> None:
    page = open_page(labelling())
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#search")).to_be_focused()
    expect(page.locator("#text")).to_contain_text("Congratulations!")


def test_when_nothing_is_left_the_last_answer_can_still_be_taken_back(open_page: Open) -> None:
    page = open_page(finished())
    expect(page.locator("#finished-text")).to_have_text("Every answer is in mails.csv.")
    page.get_by_role("button", name="Undo the last answer").click()
    expect(page.locator("#text")).to_be_visible()
    expect(page.locator("#search")).to_be_focused()


def test_labels_work_with_the_mouse(open_page: Open) -> None:
    page = open_page(fake := simple())
    page.get_by_role("button", name="spam").click()
    expect(page.locator("#search")).to_be_focused()
    ready(page)
    page.get_by_role("button", name="Show all").click()
    page.locator("#found li").first.click()
    ready(page)
    page.get_by_role("button", name="Skip").click()
    ready(page)
    assert given(fake) == [(0, "spam"), (1, "ham"), (2, "skip")]

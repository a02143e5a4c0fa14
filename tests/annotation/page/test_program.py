"""The page of `lmclassify label` in a browser, with the real program and real files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.annotation.page.pages import press, ready, type_label
from tests.cli.test_label import TEXTS, Labelling, labelling
from tests.service.page.browser import expect, opened

pytestmark = pytest.mark.long


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    return path


def address(ask: Labelling) -> str:
    return f"{ask.address}/?token={ask.token}"


def rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["text"]: row for row in csv.DictReader(file)}


def right_label(page: Any) -> str:
    return "spam" if page.locator("#text").inner_text().startswith("win") else "ham"


def key_of(page: Any, label: str) -> str:
    """Return the key that the page shows on a label's button."""
    return str(page.get_by_role("button", name=label).first.locator("kbd").first.inner_text())


def label_texts(page: Any, count: int) -> dict[str, str]:
    """Label texts by keyboard, each only when the page has saved the one before."""
    given = {}
    for _ in range(count):
        ready(page)
        text = page.locator("#text").inner_text()
        given[text] = right_label(page)
        press(page, key_of(page, given[text]))
        expect(page.locator("#text")).not_to_have_text(text)
    return given


def test_ten_texts_are_labelled_by_keyboard(browser: Any, texts: Path) -> None:
    with labelling(texts) as ask, opened(browser, address(ask)) as page:
        given = {}
        for label in ("spam", "ham"):  # names of labels, first of all
            ready(page)
            given[page.locator("#text").inner_text()] = label
            type_label(page, label)
        given |= label_texts(page, 6)
        skipped = ready(page).locator("#text").inner_text()
        press(page, "-")
        noted = ready(page).locator("#text").inner_text()
        press(page, "+")
        page.keyboard.type("twice?")
        page.keyboard.press("Enter")
        press(page, "Backspace")  # takes back the skipped one; the note is for that text now
        expect(page.locator("#text")).to_have_text(skipped)
        press(page, "0", key_of(page, "ham"))
        expect(page.locator("#progress-text")).to_have_text("9 of 60 texts labelled; 1 none of these")
        written = rows(texts)
    assert {text: row["label"] for text, row in written.items() if row["label"]} == given | {noted: "ham"}
    assert written[skipped]["source"] == "none of these"
    assert list(written) == TEXTS
    assert all(row["labelled_at"] for row in written.values() if row["label"])


def test_two_pages_label_different_texts(browser: Any, texts: Path) -> None:
    with (
        labelling(texts, "--labels", "spam,ham") as ask,
        opened(browser, address(ask)) as one,
        opened(browser, address(ask)) as other,
    ):
        given = [label_texts(page, 2) for page in (one, other, one, other)]
    labels = {text: label for part in given for text, label in part.items()}
    assert len(labels) == 8
    assert {text: row["label"] for text, row in rows(texts).items() if row["label"]} == labels


def test_a_change_by_another_program_is_kept(browser: Any, texts: Path) -> None:
    with (
        labelling(texts, "--labels", "spam,ham") as ask,
        opened(browser, address(ask), failures=True) as page,
    ):
        given = label_texts(page, 2)
        texts.write_text(texts.read_text() + "a new text,,,\n")
        text = ready(page).locator("#text").inner_text()
        press(page, "1")
        expect(page.get_by_role("alert")).to_contain_text("was changed by another program")
        assert rows(texts)[text]["label"] == ""
        page.keyboard.press("Enter")
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#progress-text")).to_have_text("2 of 61 texts labelled")
        given |= label_texts(page, 2)
    assert {text: row["label"] for text, row in rows(texts).items() if row["label"]} == given
    assert "a new text" in rows(texts)


def test_a_row_that_was_answered_elsewhere(browser: Any, texts: Path) -> None:
    with (
        labelling(texts, "--labels", "spam,ham") as ask,
        opened(browser, address(ask), failures=True) as page,
    ):
        text = ready(page).locator("#text").inner_text()
        number = next(item["id"] for item in ask_as(page, ask, "next?count=1")["texts"])
        ask_as(
            page,
            ask,
            "answer",
            {"id": number, "action": "label", "label": "other", "note": None, "seen": None},
        )
        press(page, "1")
        expect(page.locator("#saved")).to_contain_text("has label 'other' now")
        expect(page.locator("#text")).not_to_have_text(text)
        expect(page.locator("#choices button bdi")).to_have_text(["spam", "ham", "other"])
        assert rows(texts)[text]["label"] == "other"


def ask_as(page: Any, ask: Labelling, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send a request in the name of a page, as a second tab with its storage would."""
    request = page.request.get if body is None else page.request.post
    headers = {
        "Authorization": f"Bearer {ask.token}",
        "X-Client": page.evaluate("sessionStorage.getItem('lmclassify-label-client')"),
    }
    return request(
        f"{ask.address}/v1/{path}", headers=headers, **({} if body is None else {"data": body})
    ).json()


def test_the_model_s_guess_appears_and_is_accepted(browser: Any, texts: Path) -> None:
    with labelling(texts, "--labels", "spam,ham") as ask, opened(browser, address(ask)) as page:
        label_texts(page, 20)
        expect(page.locator("#figures")).to_contain_text("has learned from", timeout=300_000)
        while page.locator("#guess").is_hidden():
            label_texts(page, 1)
        text = ready(page).locator("#text").inner_text()
        guessed = page.locator("#guess bdi").inner_text()
        press(page, "Enter")
        expect(page.locator("#text")).not_to_have_text(text)
    assert rows(texts)[text]["label"] == guessed


def test_suspicious_rows_are_checked(browser: Any, texts: Path) -> None:
    labels = ["spam" if text.startswith("win") else "ham" for text in TEXTS]
    labels[4] = "ham"  # wrong
    texts.write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(TEXTS, labels, strict=True))
    )
    with labelling(texts, "--check") as ask, opened(browser, address(ask)) as page:
        expect(page.locator("#text")).to_have_text(TEXTS[4])
        expect(page.locator("#guess")).to_have_text("In the file: ham. Suggested: spam.")
        press(page, "1")
        expect(page.locator("#text, #finished")).not_to_have_text([TEXTS[4]])
    assert rows(texts)[TEXTS[4]] | {"labelled_at": ""} == {
        "text": TEXTS[4], "label": "spam", "labelled_at": "", "source": "checked"
    }  # fmt: skip


def test_the_program_ends_while_the_page_is_open(browser: Any, texts: Path) -> None:
    with (
        labelling(texts, "--labels", "spam,ham") as ask,
        opened(browser, address(ask), failures=True) as page,
    ):
        ready(page)
        ask.process.kill()
        ask.process.wait()
        page.keyboard.press("1")
        expect(page.get_by_role("alert")).to_contain_text("lmclassify does not answer.")

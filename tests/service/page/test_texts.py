"""The web page in a browser: texts, suggestions, tokens and the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lmclassify import FittedModel, LMClassifier
from lmclassify.classify.explain import MIN_SHARE, largest_contribution
from tests.service.conftest import running
from tests.service.page.browser import ask, expect, opened, settled, type_text, upload, word

pytestmark = pytest.mark.long


TOKEN = "open-sesame"


def test_a_text_is_labelled_while_it_is_typed(page: Any, address: str) -> None:
    text = "Your free prize is waiting"
    page.get_by_label("Text", exact=True).press_sequentially(text)
    expect(page.locator("#words")).to_contain_text(text)
    explained = ask(address, "v1/explain", {"text": text})
    expect(page.get_by_role("status").filter(has_text=explained["label"]).first).to_be_visible()
    likeliest = explained["probabilities"][explained["label"]]
    expect(page.locator("#verdict")).to_have_text(f"{explained['label']} ({likeliest:.1%})")
    bars = page.locator("#probabilities li")
    expect(bars).to_have_count(2)
    expect(bars.first).to_contain_text(f"{likeliest:.1%}")
    expect(page.locator("#why")).to_have_text(f"Why {explained['label']} and not {explained['against']}")
    expect(page.locator("#meaning")).to_contain_text(
        f"positive ones speak for {explained['label']}, negative"
    )
    largest = largest_contribution(explained)
    for item in explained["words"]:
        kind = "for" if item["contribution"] > 0 else "against"
        share = abs(item["contribution"]) / largest
        expect(word(page, item["word"])).to_have_class("minor" if share < MIN_SHARE else kind)
    shown = word(page, explained["words"][0]["word"]).evaluate(
        "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).textDecorationStyle]"
    )
    assert shown[0].startswith("color(srgb")
    assert shown[1] == ("solid" if explained["words"][0]["contribution"] > 0 else "dotted")
    expect(page.locator("#sum")).to_contain_text(f"{explained['decision']:+.2f}")
    page.get_by_text("Show as a table").click()
    rows = page.locator("#contributions-table tbody tr")
    expect(rows).to_have_count(len(explained["words"]) + 3)
    expect(rows.first).to_contain_text(f"{explained['words'][0]['contribution']:+.2f}")
    page.get_by_label("Text", exact=True).fill("")
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#verdict")).to_be_empty()


def test_a_text_without_spaces(browser: Any, tmp_path: Path) -> None:
    texts = ["免费领取大奖点击链接", "恭喜您中奖了赢现金", "明天中午一起吃饭", "会议改到星期五了"] * 6
    model = LMClassifier(recipe="ngram", random_state=0).fit(texts, ["spam", "spam", "ham", "ham"] * 6)
    model.save(tmp_path / "model")
    with (
        running("-m", tmp_path / "model", "--port", 0, "--timeout", 600, cwd=tmp_path) as service,
        opened(browser, service.url) as page,
    ):
        page.get_by_label("Text", exact=True).fill("免费领")
        expect(page.locator("#words [role=option]")).to_have_count(4)  # three characters, the end of text
        expect(page.locator("#words")).to_contain_text("免费领")
        expect(settled(page).first).to_have_text("取")
        page.get_by_label("Text", exact=True).press("Tab")
        expect(page.get_by_label("Text", exact=True)).to_have_value("免费领取")


def test_a_label_has_one_colour_in_all_decisions(page: Any, address: str) -> None:
    colours = "node => [getComputedStyle(node).getPropertyValue('--label'), node.textContent]"
    seen, winners = set(), set()
    for text in ("free prize", "meeting on friday", "re: lunch"):
        type_text(page, text)
        explained = ask(address, "v1/explain", {"text": text})
        winners.add(explained["label"])
        expect(page.locator("#why")).to_have_text(f"Why {explained['label']} and not {explained['against']}")
        seen |= {tuple(page.locator(f"#legend-{side}").evaluate(colours)) for side in ("for", "against")}
    assert winners == {"ham", "spam"}
    assert seen == {("#0b52d6", "for ham"), ("#ad5700", "for spam")}


def test_the_numbers_of_a_word_are_shown_on_hover_and_by_keyboard(page: Any, address: str) -> None:
    type_text(page, "free prize")
    free, prize = ask(address, "v1/explain", {"text": "free prize"})["words"]
    word(page, "free").hover()
    details = page.locator("#word-details")
    expect(details).to_contain_text(f"free: {free['contribution']:+.2f} nats")
    expect(details).not_to_contain_text("LSTM")
    page.mouse.move(0, 0)
    word(page, "free").focus()
    page.keyboard.press("ArrowRight")
    expect(word(page, "prize")).to_be_focused()
    expect(details).to_contain_text(f"prize: {prize['contribution']:+.2f} nats")
    page.keyboard.press("End")
    expect(details).to_contain_text("end of text")
    assert f"{prize['contribution']:+.2f} nats" in word(page, "prize").get_attribute("title")


def test_log_probabilities_are_shown_on_request_with_their_owner(page: Any, address: str) -> None:
    type_text(page, "free prize")
    free = ask(address, "v1/explain", {"text": "free prize"})["words"][0]
    page.get_by_text("Show as a table").click()
    expect(page.locator("#contributions-table th[scope=col]")).to_have_count(2)
    page.get_by_label("Also show the log-probabilities").check()
    for label in ("ham", "spam"):
        nats = f"{free['log_probability'][label]:.2f}"
        expect(page.locator("#contributions-table thead")).to_contain_text(f"LSTM of {label}")
        expect(page.locator("#contributions-table tbody tr").first).to_contain_text(nats)
        assert f"LSTM of {label} {nats} nats" in word(page, "free").get_attribute("title")


def test_a_suggestion_is_inserted_by_click_and_by_tab(page: Any, address: str) -> None:
    area = page.get_by_label("Text", exact=True)
    first = settled(page).first
    start = first.inner_text()
    assert start == ask(address, "v1/suggest", {"prefix": ""})["suggestions"][0]["word"]
    first.click()
    expect(area).to_have_value(start)
    expect(area).to_be_focused()
    following = ask(address, "v1/suggest", {"prefix": start})["suggestions"][0]["word"]
    expect(settled(page).first).to_have_text(following)
    page.keyboard.press("Tab")
    expect(area).to_have_value(f"{start} {following}")
    expect(area).to_be_focused()


def test_an_unfinished_word_is_completed(page: Any, address: str) -> None:
    words = [item["word"] for item in ask(address, "v1/suggest", {"prefix": "", "n": 100})["suggestions"]]
    begun = next(word[:2] for word in words if len(word) > 3 and word.isalpha())
    matching = [word for word in words if word.lower().startswith(begun.lower()) and len(word) > 2]
    completions = list(dict.fromkeys(begun.upper() + word[2:] for word in matching))[:5]
    area = page.get_by_label("Text", exact=True)
    area.fill(begun.upper())
    expect(page.locator("#next-words button")).to_have_text(completions)
    settled(page)
    area.press("Tab")
    expect(area).to_have_value(completions[0])


def test_escape_hides_suggestions_and_tab_moves_on(page: Any) -> None:
    area = page.get_by_label("Text", exact=True)
    settled(page)
    area.focus()
    page.keyboard.press("Escape")
    expect(page.locator("#suggestions")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(area).not_to_be_focused()
    expect(area).to_have_value("")


def test_next_words_of_one_label(page: Any, address: str) -> None:
    settled(page)
    page.get_by_label("Suggest next words for").select_option("spam")
    suggestions = ask(address, "v1/suggest", {"prefix": "", "label": "spam"})["suggestions"]
    expect(page.locator("#next-words button")).to_have_text([item["word"] for item in suggestions])


def test_markup_in_a_text_is_text(page: Any) -> None:
    text = "<script>window.ran=1</script> <img src=x onerror=window.ran=1> </p><b>free</b>"
    type_text(page, text)
    expect(page.locator("#words")).to_contain_text(text)
    word(page, "onerror=window.ran=1>").hover()
    page.get_by_text("Show as a table").click()
    expect(page.locator("#contributions-table")).to_contain_text("<script>window.ran=1</script>")
    assert page.locator("#result img, #result script, #result b").count() == 0
    assert page.evaluate("window.ran") is None


def test_words_after_characters_outside_the_basic_plane(page: Any) -> None:
    for before in ("👩\N{ZERO WIDTH JOINER}🚀🎉", "שלום", "\N{MATHEMATICAL BOLD SMALL A}é"):
        type_text(page, f"{before} free prize")
        expect(page.locator("#words [role=option]")).to_have_text([before, "free", "prize", "⏎"])
        expect(page.locator("#words")).to_have_text(f"{before} free prize ⏎")


def test_a_warning_for_a_text_unlike_every_label(page: Any, folder: Path) -> None:
    model = FittedModel.load(folder)
    threshold = model.unknown_threshold(0.05)
    candidates = ["Zwölf Boxkämpfer jagen Viktor", "ㅎㅎ ㅋㅋ ㅇㅇ", "qx zj vq ¤¤ ÞÞ ŁŁ", "¤" * 40]
    novelty, text = max((float(model.novelty([text])[0]), text) for text in candidates)
    assert novelty > threshold
    type_text(page, text)
    expect(page.locator("#unknown")).to_contain_text(f"its novelty is {novelty:.2f}")
    expect(page.locator("#unknown")).to_contain_text(f"{threshold:.2f}")
    type_text(page, "your account")
    expect(page.locator("#unknown")).to_be_empty()


def test_errors_of_the_service_are_shown(failing: Any) -> None:
    problem = {"status": 500, "body": json.dumps({"detail": "Something went wrong."})}
    failing.route("**/v1/predict", lambda route: route.fulfill(**problem))
    failing.get_by_label("Text", exact=True).fill("free")
    alert = failing.get_by_role("alert")
    expect(alert.filter(has_text="The request failed. Something went wrong.")).to_be_visible()
    upload(failing, "a.csv", b"text\nfree\n")
    expect(failing.locator("#file-error")).to_contain_text("Something went wrong.")
    failing.unroute("**/v1/predict")
    failing.route("**/v1/*", lambda route: route.abort())
    failing.get_by_label("Text", exact=True).fill("free prize")
    expect(failing.locator("#text-error")).to_contain_text("The service cannot be reached.")
    failing.unroute("**/v1/*")
    type_text(failing, "free prize inside")
    expect(failing.locator("#text-error")).to_be_empty()


def test_a_slow_answer_to_an_older_text_is_not_shown(page: Any) -> None:
    held: list[Any] = []
    page.route("**/v1/explain", lambda route: held.append(route) if not held else route.fallback())
    with page.expect_request("**/v1/explain"):
        page.get_by_label("Text", exact=True).fill("older")
    type_text(page, "newer")
    held[0].abort()
    expect(page.locator("#words")).to_have_text("newer ⏎")


def test_many_labels(page: Any) -> None:
    labels = [f"label {number}" for number in range(20)]
    probabilities = {label: 2.0 ** -(place + 1) for place, label in enumerate(labels)}

    def many(route: Any) -> None:
        answer = route.fetch().json()
        answer["predictions"][0] |= {"label": labels[0], "probabilities": probabilities}
        route.fulfill(json=answer)

    page.route("**/v1/predict", many)
    type_text(page, "free")
    expect(page.locator("#probabilities li")).to_have_count(5)
    expect(page.locator("#more")).to_have_text("and 15 more labels")


def test_the_model_is_described(page: Any) -> None:
    page.get_by_text("About this model").click()
    about = page.locator("#about")
    expect(about.get_by_role("row").filter(has_text="spam")).to_contain_text("%")
    for fact in ("20,000 characters per text", "1,048,576 bytes", "tuned", "lmclassify ", "Trained"):
        expect(about).to_contain_text(fact)
    assert "undefined" not in about.inner_text()
    assert "null" not in about.inner_text()


def test_a_token_can_be_entered(browser: Any, folder: Path) -> None:
    environment = {"LMCLASSIFY_TOKEN": TOKEN}
    with (
        running("-m", folder, "--port", 0, cwd=folder.parent, environment=environment) as service,
        opened(browser, service.url, failures=True) as page,
    ):
        field = page.get_by_label("Token", exact=True)
        expect(field).to_be_focused()
        field.fill("wrong")
        field.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="This token is not valid.")).to_be_visible()
        field.fill(TOKEN)
        page.get_by_role("button", name="Use this token").click()
        expect(page.locator("#token-form")).to_be_hidden()
        type_text(page, "free prize")
        kept = page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]")
        assert kept == [{"lmclassify-token": TOKEN}, {}, ""]
        page.reload()
        expect(page.locator("#model-name")).to_have_text("small")
        expect(page.locator("#token-form")).to_be_hidden()


def test_a_narrow_screen_needs_no_horizontal_scrolling(browser: Any, address: str) -> None:
    with opened(browser, address, viewport={"width": 360, "height": 640}) as page:
        type_text(page, "free prize " + "x" * 200 + " waiting")
        page.get_by_text("Show as a table").click()
        page.get_by_text("About this model").click()
        upload(page, "n" * 100 + ".csv", b"text\nfree\n")
        expect(page.locator("#file-result")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_page_and_api_under_another_path(browser: Any, address: str) -> None:
    with opened(browser, "about:blank") as page:
        inner = re.compile(f"{address}some/where/")
        page.route(
            inner,
            lambda route: route.fulfill(response=route.fetch(url=inner.sub(address, route.request.url))),
        )
        page.goto(f"{address}some/where/")
        type_text(page, "free prize")
        settled(page)
        page.get_by_role("navigation").get_by_role("link").click()
        expect(page.locator(".opblock-summary-path").first).to_be_visible()
        assert page.url == f"{address}some/where/docs"


def test_the_api_documentation(browser: Any, address: str) -> None:
    with opened(browser, f"{address}docs") as page:
        for path in ("/v1/predict", "/v1/explain", "/v1/suggest", "/v1/model"):
            expect(
                page.locator(".opblock-summary-path").filter(has_text=re.compile(f"^.?{path}$"))
            ).to_be_visible()

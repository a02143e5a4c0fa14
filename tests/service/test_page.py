"""The web page in a browser."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lmclassify import FittedModel, LMClassifier
from lmclassify.errors import DataError
from lmclassify.tables.columns import TEXT_COLUMNS
from lmclassify.tables.delimited import DelimitedReader

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
expect = sync_api.expect
expect.set_options(timeout=60_000)

TOKEN = "open-sesame"

pytestmark = pytest.mark.long


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[str]:
    """Serve a model in a process of its own; yield the address."""
    command = [
        sys.executable,
        "-m",
        "lmclassify",
        "serve",
        "-m",
        str(folder),
        "--port",
        "0",
        "--timeout",
        "600",
        *options,
    ]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            yield next(line.split()[-1] for line in lines if line.startswith("serving "))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def folder(tuned: LMClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "small"
    tuned.save(folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, *, failures: bool = False, **options: Any) -> Iterator[Any]:
    """Open the page; check at the end that there were no errors and no requests elsewhere.

    Parameters
    ----------
    failures : bool
        Whether the browser may report failed requests.
    """
    console: list[str] = []
    requested: list[str] = []
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(address)
    yield page
    context.close()
    assert [text for text in console if not (failures and text.startswith("Failed to load resource"))] == []
    origins = {urlsplit(url)[:2] for url in requested if not url.startswith(("data:", "blob:"))}
    assert len(origins) == 1


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as page:
        yield page


@pytest.fixture
def failing(browser: Any, address: str) -> Iterator[Any]:
    """A page whose requests may fail."""
    with opened(browser, address, failures=True) as page:
        yield page


def type_text(page: Any, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    expect(page.locator("#words")).to_contain_text(text.split()[-1])


def word(page: Any, text: str) -> Any:
    return page.locator("#words").get_by_text(text, exact=True)


def settled(page: Any) -> Any:
    """Wait until the suggestions are those of the current text; return their buttons."""
    buttons = page.locator("#next-words button")
    expect(buttons.first).to_be_visible()
    expect(page.locator("#next-words button[aria-disabled]")).to_have_count(0)
    return buttons


def ask(address: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def upload(page: Any, name: str, content: bytes) -> None:
    expect(page.locator("#file")).to_be_enabled()
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})


def downloaded(page: Any) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.locator("#download").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


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
    for item in explained["words"]:
        expect(word(page, item["word"])).to_have_class("for" if item["part"] > 0 else "against")
    shown = word(page, explained["words"][0]["word"]).evaluate(
        "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).textDecorationStyle]"
    )
    assert shown[0].startswith("rgba(")
    assert shown[1] == ("solid" if explained["words"][0]["part"] > 0 else "dotted")
    expect(page.locator("#sum")).to_contain_text(f"{explained['decision']:+.3f}")
    page.get_by_text("Show as a table").click()
    rows = page.locator("#parts-table tbody tr")
    expect(rows).to_have_count(len(explained["words"]) + 3)
    expect(rows.nth(1)).to_contain_text(f"{explained['words'][0]['part']:+.3f}")
    page.get_by_label("Text", exact=True).fill("")
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#verdict")).to_be_empty()


def test_the_numbers_of_a_word_are_shown_on_hover_and_by_keyboard(page: Any, address: str) -> None:
    type_text(page, "free prize")
    free, prize = ask(address, "v1/explain", {"text": "free prize"})["words"]
    word(page, "free").hover()
    details = page.locator("#word-details")
    expect(details).to_contain_text(f"free: {free['part']:+.3f} nats")
    for label in ("ham", "spam"):
        expect(details).to_contain_text(f"log p({label}) {free['log_probability'][label]:.3f}")
    page.mouse.move(0, 0)
    word(page, "free").focus()
    page.keyboard.press("ArrowRight")
    expect(word(page, "prize")).to_be_focused()
    expect(details).to_contain_text(f"prize: {prize['part']:+.3f} nats")
    page.keyboard.press("End")
    expect(details).to_contain_text("end of text")
    assert f"{prize['part']:+.3f} nats" in word(page, "prize").get_attribute("title")


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
    expect(page.locator("#parts-table")).to_contain_text("<script>window.ran=1</script>")
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


def test_a_file_comes_back_byte_for_byte_with_columns(page: Any, address: str, folder: Path) -> None:
    rows = [
        ("id,Subject ,note\r\n", None),
        ('1,free prize,"a ""quoted"" one"\r\n', "free prize"),
        ('2,"two\nlines, one cell",\r\n', "two\nlines, one cell"),
        ("3, \u3000,blank\r\n", ""),
        ("\r\n", None),
        ('4,"mee""ting",😀\n', 'mee"ting'),
        ("5,שלום,last", "שלום"),
    ]
    original = b"\xef\xbb\xbf" + "".join(row for row, _ in rows).encode()
    upload(page, "mail.csv", original)
    expect(page.locator("#file-status")).to_have_text("Done: 4 rows labelled.")
    name, result = downloaded(page)
    texts = [text for _, text in rows if text]
    predictions = ask(address, "v1/predict", {"texts": texts})["predictions"]
    labels = [prediction["label"] for prediction in predictions]
    assert labels == FittedModel.load(folder).predict(texts).tolist()
    columns = {
        text: f",{label}," + ",".join(f"{p:.9g}" for p in prediction["probabilities"].values())
        for text, label, prediction in zip(texts, labels, predictions, strict=True)
    }
    expected = "\ufeff"
    for place, (row, text) in enumerate(rows):
        kept = row.rstrip("\r\n")
        added = (
            "" if not kept else ",predicted_label,p_ham,p_spam" if place == 0 else columns.get(text, ",,,")
        )
        expected += kept + added + row[len(kept) :]
    assert result.decode() == expected
    assert name == "mail-labelled.csv"
    counts = page.locator("#counts tbody tr")
    for label in set(labels):
        expect(counts.filter(has_text=label)).to_contain_text(str(labels.count(label)))
    expect(counts.filter(has_text="no text")).to_contain_text("1")


def test_a_dropped_tsv_in_several_pieces(page: Any, address: str) -> None:
    lines = [f"{number}\tfree prize {number % 7}\n" for number in range(1500)]
    expect(page.locator("#file")).to_be_enabled()
    page.evaluate(
        """content => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([content], "all.tsv"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        "id\ttext\n" + "".join(lines),
    )
    expect(page.locator("#file-status")).to_have_text("Done: 1,500 rows labelled.")
    name, result = downloaded(page)
    got = list(csv.reader(io.StringIO(result.decode()), delimiter="\t"))
    assert name == "all-labelled.tsv"
    assert ["\t".join(row[:2]) + "\n" for row in got[1:]] == lines
    assert len({(row[1], row[2]) for row in got[1:]}) == 7


def test_the_text_column_is_asked_for(page: Any, address: str) -> None:
    upload(page, "odd.csv", b"when,what,what\n1,x,free prize\n")
    column = page.get_by_label("Text column")
    expect(column).to_be_focused()
    expect(column.locator("option")).to_have_text(["when", "what (2)", "what (3)"])
    column.select_option("what (3)")
    page.get_by_role("button", name="Label the rows").click()
    expect(page.locator("#file-status")).to_have_text("Done: 1 row labelled.")
    label = ask(address, "v1/predict", {"texts": ["free prize"]})["predictions"][0]["label"]
    assert f"1,x,free prize,{label},".encode() in downloaded(page)[1]


WRONG = {
    b'text,n\na,1\n"b,2\n': "Row 2 (line 3) has a quote that is never closed.",
    b'text,n\n"a"b,2\n': "Row 1 (line 2) has text after a closing quote.",
    b"text,n\na,1\nb\n": "Row 2 (line 3) has 1 cell, but the header has 2.",
    b"text,n\r\n": "a.csv has a header but no rows.",
    b"\n": "a.csv is empty. It needs a header and rows.",
    b"text\ncaf\xe9\n": "a.csv is not UTF-8 text.",
    b"PK\0\0": "a.csv does not look like text.",
    b"text,predicted_label\na,b\n": "a.csv already has a column named predicted_label.",
    b"p_ham,text,p_spam\n1,b,2\n": "a.csv already has columns named p_ham, p_spam.",
    b"text\nok\n" + b"a" * 20_001: "The text of row 2 (line 3) is too long: the limit is 20,000 characters.",
}


def test_errors_in_a_file(page: Any) -> None:
    for content, said in WRONG.items():
        upload(page, "a.csv", content)
        expect(page.get_by_role("alert").filter(has_text=said)).to_be_visible()
        expect(page.locator("#job")).to_be_hidden()
    upload(page, "a.csv", b"text\nfree\n")
    expect(page.locator("#file-status")).to_have_text("Done: 1 row labelled.")
    expect(page.locator("#file-error")).to_be_empty()


def test_a_file_waits_while_the_service_is_busy(failing: Any) -> None:
    busy = [{"status": 503, "headers": {"Retry-After": "1"}, "body": "{}"}]
    failing.route("**/v1/predict", lambda route: route.fulfill(**busy.pop()) if busy else route.fallback())
    upload(failing, "a.csv", b"text\nfree\n")
    expect(failing.locator("#progress-text")).to_have_text("The service is busy. Waiting…")
    expect(failing.locator("#file-status")).to_have_text("Done: 1 row labelled.")


def test_labelling_can_be_cancelled(failing: Any) -> None:
    failing.route("**/v1/predict", lambda route: route.fulfill(status=503, headers={"Retry-After": "60"}))
    upload(failing, "a.csv", b"text\nfree\n")
    failing.get_by_role("button", name="Cancel").click()
    expect(failing.locator("#file-status")).to_have_text("Cancelled.")
    expect(failing.locator("#file")).to_be_focused()


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
    with (
        serving(folder, LMCLASSIFY_TOKEN=TOKEN) as address,
        opened(browser, address, failures=True) as page,
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


def in_module(page: Any, script: str, argument: Any = None) -> Any:
    return page.evaluate(
        f"async (given) => {{ const csv = await import('/static/csv.js'); {script} }}", argument
    )


def test_text_columns_and_number_format_are_those_of_predict(page: Any) -> None:
    assert in_module(page, "return csv.TEXT_COLUMNS") == list(TEXT_COLUMNS)
    draw = random.Random(0)
    numbers = [0.0, 1.0, 0.5, 1e-4, 9.99999999999e-5, 0.1 + 0.2, 5e-324, 0.123456789012, 1e-10]
    numbers += [10 ** draw.uniform(-12, 0) for _ in range(500)]
    assert in_module(page, "return given.map(csv.nineDigits)", numbers) == [
        f"{number:.9g}" for number in numbers
    ]
    characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    blank = in_module(page, "return given.filter(csv.isBlank)", characters)
    assert blank == [character for character in characters if not character.strip()]


def test_tables_are_read_as_predict_reads_them(page: Any, tmp_path: Path) -> None:
    draw = random.Random(1)
    pieces = ["a", "é", '"', '""', ",", ",", "\n", "\r\n", "\r", "\t", '"x,\ny"', '","', " "]
    tables = ["text,n\n" + "".join(draw.choices(pieces, k=draw.randint(1, 9))) for _ in range(400)]
    tables += ["text\n" + "".join(draw.choices(pieces, k=draw.randint(1, 9))) for _ in range(200)]

    def read(content: str) -> list[list[str]] | None:
        path = tmp_path / "t.csv"
        path.write_bytes(content.encode())
        try:
            with DelimitedReader(str(path)) as table:
                return [row for rows in table.chunks() for row in rows.cells]
        except DataError:
            return None

    found = in_module(
        page,
        """return given.map((text) => {
            try { return Array.from(csv.openTable(text, "t.csv").rows, ({ cells }) => cells); }
            catch (error) { if (error instanceof csv.TableError) return null; throw error; }
        })""",
        tables,
    )
    expected = list(map(read, tables))
    assert 50 < expected.count(None) < 550
    for content, here, there in zip(tables, found, expected, strict=True):
        assert here == there, content

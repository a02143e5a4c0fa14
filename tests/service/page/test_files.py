"""The web page in a browser: labelling files."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path
from typing import Any

import pytest

from lmclassify import FittedModel
from lmclassify.datasets.reading import Reading
from lmclassify.errors import DataError
from lmclassify.tables.columns import TEXT_COLUMNS
from lmclassify.tables.delimited import DelimitedReader
from tests.service.conftest import running
from tests.service.page.browser import ask, downloaded, expect, opened, upload

pytestmark = pytest.mark.long


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


def test_the_columns_of_the_model_make_the_text(browser: Any, folder: Path, tmp_path: Path) -> None:
    model = FittedModel.load(folder)
    model.reading = Reading(text_columns=("what", "body"))
    model.save(tmp_path / "two")
    with (
        running("-m", tmp_path / "two", "--port", 0, "--timeout", 600, cwd=tmp_path) as service,
        opened(browser, service.url) as page,
    ):
        upload(page, "two.csv", b'body,text,what\n"for\n you",x,free prize\n,x,\n')
        expect(page.locator("#file-status")).to_have_text("Done: 1 row labelled.")
        given = {"texts": ["free prize\nfor you"]}
        (prediction,) = ask(service.url, "v1/predict", given)["predictions"]
        numbers = ",".join(f"{p:.9g}" for p in prediction["probabilities"].values())
        assert f"x,free prize,{prediction['label']},{numbers}" in downloaded(page)[1].decode()
        (word, *_) = ask(service.url, "v1/explain", {"text": given["texts"][0]})["words"]
        assert (word["word"], word["field"]) == ("free", "what")


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

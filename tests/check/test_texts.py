"""Empty, machine-made and damaged texts; rare scripts."""

from __future__ import annotations

import base64
import hashlib

import pytest

from lmclassify.check.texts import find_bad_texts, find_rare_scripts
from tests.check.helpers import rows_of

BASE64 = base64.b64encode(hashlib.sha256(b"text").digest() * 2).decode()


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("", "empty_text", "the text is empty"),
        (" \n", "empty_text", "the text is empty"),
        ("NULL", "empty_text", "'NULL' stands for a missing text"),
        ("?! ...", "empty_text", "no letter or digit: '?! ...'"),
        (f"data: {BASE64}", "machine_text", "looks like base64: "),
        (hashlib.sha256(b"text").hexdigest(), "machine_text", "hexadecimal digits: "),
        ("one " + "donaudampfschiff" * 3, "machine_text", "a word of 48 characters: "),
        ("nooo" + "o" * 20, "machine_text", "'o' 23 times in a row"),
        ("buy " * 9, "machine_text", "'buy' 9 times in a row"),
        ("12/03/2001 44.50 33.20 ok", "machine_text", "only 2 of 22 characters are letters"),
        ("a CafÃ© in town", "damaged_text", "'Ã©' was probably 'é', read in a wrong encoding"),
        ("what\ufffds up", "damaged_text", "a character that could not be decoded: "),
        ("what\x00s up", "damaged_text", "a control character: "),
        ("this &amp; that", "damaged_text", "1 HTML entity: '&amp;'"),
        ("<p>hello <b>world", "damaged_text", "2 HTML tags: '<p>'"),
    ],
)
def test_bad_texts(text, kind, reason):
    (finding,) = find_bad_texts(rows_of([(text, "ham")]))
    assert (finding.index, finding.kind) == (0, kind)
    assert finding.reason.startswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/a/very/long/path/that/nobody/types/by/hand/at/all.html",
        "Hmmmmmm, nooo!!!!!!!!!!!!!!!!!!",
        "😀",
        "5 < 6 and 7 > 3",
        "café, naïve, Ångström, Île-de-France",
        "我们明天下午三点在公司的会议室里讨论这个项目的预算和时间安排请大家准时参加并带上各自的材料谢谢",
        "ยินดีต้อนรับสู่เว็บไซต์ของเราขอบคุณที่เข้ามาเยี่ยมชมและหวังว่าจะได้พบกันใหม่",
        "-" * 60 + " original message",
    ],
)
def test_good_texts(text):
    rows = rows_of([(text, "ham")])
    assert find_bad_texts(rows) == []
    assert find_rare_scripts(rows) == []


@pytest.mark.parametrize("unit", ["x", "a.b", "a@", "<a", "aa ", "0", "Ã", "\u0301"])
def test_long_texts_take_linear_time(unit):
    """Quadratic time would take minutes."""
    rows = rows_of([(unit * 50_000, "ham")])
    assert [finding.kind for finding in find_bad_texts(rows)] in (["machine_text"], ["empty_text"])
    find_rare_scripts(rows)


def test_texts_in_a_rare_script():
    rows = rows_of([("see you at lunch", "ham")] * 40 + [("Встреча завтра, ok", "ham")])
    (finding,) = find_rare_scripts(rows)
    assert (finding.index, finding.kind) == (40, "rare_script")
    assert finding.reason == "1 row is in Cyrillic script: Встреча, завтра"
    several = rows_of([("see you at lunch", "ham")] * 10 + [("Встреча завтра", "ham")] * 10)
    assert find_rare_scripts(several) == []


def test_words_of_several_scripts():
    rows = rows_of([("your pаypal account, α-helix, Δt, iPhoneを買う", "spam")])
    (finding,) = find_rare_scripts(rows)
    assert finding.kind == "mixed_script"
    assert finding.reason == "'pаypal' has Cyrillic and Latin letters"

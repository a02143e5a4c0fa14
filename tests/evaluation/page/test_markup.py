from __future__ import annotations

import pytest

from lmclassify.evaluation.page.markup import Html, element, joined, name, percent, signed, table, visible


def test_texts_are_escaped_and_html_is_not():
    inner = element("b", "<&>", title='"x"')
    assert inner == '<b title="&quot;x&quot;">&lt;&amp;&gt;</b>'
    assert (
        element("p", inner, " & ", class_="a", hidden=True, lang=None)
        == f'<p class="a" hidden>{inner} &amp; </p>'
    )
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert joined(["<", Html("<wbr>"), 3], ", ") == "&lt;, <wbr>, 3"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 你好", "plain é 你好"),
        ("a\x00\x1b\n", r"a\x00\x1b\n"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\ud800\uffff\u2028", r"\ud800\uffff\u2028"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text, shown):
    assert visible(text) == shown


def test_names_are_isolated_cut_and_may_break():
    assert name("a_b/c") == "<bdi>a_<wbr>b/<wbr>c</bdi>"
    assert name("<i>") == "<bdi>&lt;i&gt;</bdi>"
    assert name("x" * 70, 10) == f'<bdi title="{"x" * 70}">xxxxxxxxx…</bdi>'


def test_numbers():
    assert [percent(share) for share in (0.0, 1.0, 0.0004, 0.9996, 0.25)] == [
        "0%",
        "100%",
        "<0.1%",
        ">99.9%",
        "25.0%",
    ]
    assert [signed(-0.5), signed(0.25, 1)] == ["−0.50", "+0.2"]


def test_a_table_has_headings_and_scrolls_in_its_box():
    result = table("Title", "note", ["a", "b"], [["x", 1], ["y", element("td", 2, class_="c")]])
    assert result.startswith('<p class="hint">note</p><div class="scroll" tabindex="0" role="group"')
    assert '<th scope="row" class="text">x</th><td>1</td>' in result
    assert '<td class="c">2</td>' in result

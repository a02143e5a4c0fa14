from __future__ import annotations

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from lmclassify.evaluation.page.formats import environment, fixed, grouped
from lmclassify.text.display import percent
from lmclassify.text.markup import name, signed, visible


def test_templates_escape_texts_but_not_html():
    template = environment().from_string('<b title="{{ text }}">{{ text }}</b>{{ html }}{{ "<" ~ text }}')
    rendered = template.render(text="<&>\"'\x00\ud800", html=Markup("<wbr>"))
    escaped = r"&lt;&amp;&gt;&#34;&#39;\x00\ud800"
    assert rendered == f'<b title="{escaped}">{escaped}</b><wbr>&lt;{escaped}'


def test_templates_reject_undefined_names():
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing }}").render()


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
def test_invisible_characters_become_escapes(text, shown):
    assert visible(text) == shown


def test_names_are_isolated_cut_and_may_break():
    assert name("a_b/c") == "<bdi>a_<wbr>b/<wbr>c</bdi>"
    assert name("<i>") == "<bdi>&lt;i&gt;</bdi>"
    assert name("x" * 70, 10) == f'<bdi title="{"x" * 70}">xxxxxxxxx…</bdi>'
    assert name('"' * 70, 3) == f'<bdi title="{"&#34;" * 70}">&#34;&#34;…</bdi>'


def test_numbers():
    assert [percent(share) for share in (0.0, 1.0, 0.0004, 0.9996, 0.25)] == [
        "0%",
        "100%",
        "<0.1%",
        ">99.9%",
        "25.0%",
    ]
    assert [signed(-0.5), signed(0.25, 1)] == ["−0.50", "+0.2"]
    assert [fixed(value) for value in (0.5, float("inf"), float("nan"))] == ["0.5000", "∞", "undefined"]
    assert [grouped(1234.0), grouped(None)] == ["1,234", "–"]

"""Tokens for sender, links, images and headers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.mail.features import MAX_TOKENS, site, token, without_tokens
from lmclassify.mail.fields import FIELDS
from lmclassify.mail.messages import read_message
from lmclassify.text.normalization import normalize_text


def tokens(message: bytes, field: str) -> list[str]:
    return [*read_message(message, [field]).features.get(field, ())]


def html(markup: bytes) -> bytes:
    return b"Subject: x\nContent-Type: text/html\n\n" + markup


def test_tokens():
    assert token("name", "Ünal  Öz") == "name__ünal_öz"
    assert token("x", "a" * 500) == "x__" + "a" * 40
    assert token("x", "-_-") == ""
    for host, expected in (
        ("www.example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("x.example.de", "example.de"),
        ("[192.0.2.1]", "ip address"),
        ("LOCALHOST", "localhost"),
        ("", ""),
    ):
        assert site(host) == expected


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("Jane Q. Doe <jane@mail.example.com>", "from__example_com fromhost__mail_example_com name__jane name__q name__doe"),
        ("jane@example.com (Jane)", "from__example_com name__none"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@x.de>", "from__x_de name__jürgen"),
        ("Jane", "from__no_address name__none"),
        ("<" * 50, "from__no_address name__none"),
        ("", ""),
    ],
)  # fmt: skip
def test_sender(sender, expected):
    assert tokens(b"From: " + sender.encode() + b"\n\nx", "sender") == expected.split()


def test_links():
    page = html(
        b"<a href='http://www.Shop.example/x'>click here</a> <A HREF=https://evil.test/a>www.bank.example</a>"
        b"<a href=mailto:a@b.c>write</a><a href='#top'>top</a><form action=http://192.0.2.7/></form>"
    )
    assert tokens(page, "links") == ["links__3_to_5", "links__other_host_shown", "links__mailto", "links__form", "link__shop_example", "link__evil_test", "link__ip_address", "linktext__click", "linktext__here", "linktext__write"]  # fmt: skip
    plain = b"Subject: x\n\nsee http://example.org/a, http://user@other.example and http://example.org/b\n"
    assert tokens(plain, "links") == ["links__3_to_5", "link__example_org", "link__other_example"]


def test_links_of_the_html_that_is_not_read():
    parts = b"".join(
        b"--b\nContent-Type: text/" + content + b"\n"
        for content in (b"plain\n\nhello", b"html\n\n<a href=http://example.org>go</a><img alt='big SALE'>")
    )
    mail = read_message(
        b"Subject: x\nContent-Type: multipart/alternative; boundary=b\n\n" + parts + b"--b--\n", FIELDS
    )
    assert mail.body == "hello"
    assert "link__example_org" in mail.features["links"]
    assert mail.text(["body", "images"]).split("\n") == ["hello", "big SALE", "images__1"]


def test_images():
    page = html(b"<img src=http://a.test/x.gif width=1 height=1><img alt='a &amp; b'><img alt='a &amp; b'>")
    mail = read_message(page, FIELDS)
    assert mail.alt == "a & b"
    assert mail.features["images"] == ["images__3_to_5", "images__remote_1", "image__invisible"]
    assert read_message(page, ["subject", "body"]).alt == ""


MESSAGE = (
    b"Received: from mx.local (localhost [127.0.0.1]) by mail.test\n"
    b"Received: from HELO (mail.sender.example [192.0.2.1])\n\tby mx.local; Mon, 1 Jan 2024\n"
    b"From: a@sender.example\nReply-To: b@other.example\nMessage-ID: <1@mail.sender.example>\n"
    b"X-Mailer: The Bat! (v1.52f) Business\nX-Priority: 1 (High)\nList-Id: Talk <talk.lists.example>\n"
    b"To: x@y.z, u@v.w\nContent-Type: text/html; charset=big5\nX-Spam-Status: Yes, score=9\n"
    b"X-LMClassify-Label: spam\nX-Bogosity: Spam\nIn-Reply-To: <0@you.example>\nSubject: x\n\n<p>hi\n"
)


def test_headers():
    assert tokens(MESSAGE, "headers") == ["type__text_html", "part__text_html", "charset__big5", "mailer__the_bat", "priority__1_high", "replyto__other", "msgid__same", "no__date", "no__mime_version", "to__2"]  # fmt: skip
    assert tokens(MESSAGE, "lists") == ["list__talk_lists_example"]
    assert tokens(MESSAGE, "received") == ["hops__2", "received__sender_example", "hop__one_word"]
    text = read_message(MESSAGE, FIELDS).text(FIELDS)
    for verdict in ("spam", "bogosity", "lmclassify", "score", "you_example"):
        assert verdict not in text.lower()
    assert read_message(b"", FIELDS).text(FIELDS) == ""


FORGED = [
    "from__example_com", "from\u200b__example_com", "from_\u200b_example_com", "from_\u3164_x", "from\uff3f\uff3fx",
    "a_ _b", "_ _ _", "f r o m _ _ x", "__", "from_\n_x", "x_\u115f\ufe4d_y",
]  # fmt: skip


@pytest.mark.parametrize("written", FORGED)
def test_no_sender_can_write_a_token(written):
    message = f"Subject: {written}\nContent-Type: text/plain; charset=utf-8\n\n{written} words\n".encode()
    text = read_message(message, FIELDS).text(FIELDS)
    *words, line = text.split("\n")
    assert "from__" not in line
    for variant in (" ".join(words), normalize_text(" ".join(words), lambda found: [1.0] * len(found)).text):
        assert "__" not in variant
    assert f"{written} words" in read_message(message, ["body"]).text(["body"])  # needed beside tokens only


@settings(max_examples=50, deadline=None)
@given(st.text("_ \u200b\u3164\uff3f\ufe4dab-\n", max_size=40))
def test_words_are_never_tokens(text):
    plain = without_tokens(text)
    assert len(plain) == len(text)
    assert "__" not in plain
    assert "__" not in normalize_text(plain, lambda found: [1.0] * len(found)).text


def test_more_forged_links_and_headers_change_nothing():
    """Only so many tokens are read of each field, each once: a sender gains nothing by more of them."""

    def text(times: int) -> str:
        links = b"".join(b"<a href=http://good%d.example>good%d</a> " % (n, n) for n in range(times))
        images = b"<img alt='minutes of the meeting'>" * times
        headers = b"".join(b"X-Mailer: mutt\nList-Id: <l%d.example>\n" % n for n in range(times))
        name = b" ".join(b"friend%d" % n for n in range(times))
        mail = read_message(
            headers + b"From: " + name + b" <a@b.example>\n" + html(links + images + b"<p>win money"), FIELDS
        )
        for field, limit in MAX_TOKENS.items():
            assert len(mail.features.get(field, ())) <= limit
        return " ".join(token for found in mail.features.values() for token in found)

    assert text(100) == text(300)
    assert len(text(300)) < 1200

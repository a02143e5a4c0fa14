"""Text of one message, including malformed ones."""

from __future__ import annotations

import base64
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmclassify.errors import OptionError
from lmclassify.mail.charsets import decode_bytes
from lmclassify.mail.encoded_words import decode_header
from lmclassify.mail.fields import FIELDS, MAX_MESSAGE_BYTES, MAX_TEXT_CHARACTERS, parse_fields
from lmclassify.mail.html_text import text_of_html
from lmclassify.mail.messages import read_message
from lmclassify.mail.mime import Part


def body(content: bytes, headers: bytes = b"") -> str:
    return read_message(b"Subject: x\n" + headers + b"\n" + content).body


def parts(*contents: bytes, kind: bytes = b"mixed", boundary: bytes = b"b") -> bytes:
    inner = b"".join(b"--" + boundary + b"\n" + content + b"\n" for content in contents)
    return (
        b"Content-Type: multipart/"
        + kind
        + b'; boundary="'
        + boundary
        + b'"\n\n'
        + inner
        + b"--"
        + boundary
        + b"--\n"
    )


PLAIN = b"Content-Type: text/plain; charset=utf-8\n\nplain text"
HTML = b"Content-Type: text/html; charset=utf-8\n\n<p>hyper <b>text</b>"


def test_a_plain_message():
    mail = read_message(
        b"From me@here Sat Jan  3 01:05:34 1996\r\nMessage-ID: <1@x>\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <j@x>\r\n"
        b"Date: Sat, 3 Jan 1996 01:05:34 +0000\r\nSubject: a long\r\n\tsubject\r\n\r\nHello,\r\nworld\r\n"
    )
    assert tuple(vars(mail).values()) == (
        "<1@x>",
        "Jürgen <j@x>",
        "Sat, 3 Jan 1996 01:05:34 +0000",
        "a long subject",
        "Hello,\nworld",
    )
    assert mail.text(["subject"]) == "a long subject"
    assert mail.text(["subject", "body"]) == "a long subject\nHello,\nworld"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?b?w6k=?= =?iso-8859-1?q?=E9?= e", "éé e"),
        (b"=?UTF-8?Q?Re:_caf=C3=A9?=", "Re: café"),
        (b"=?utf-8?q?two?==?utf-8?q?_words?=", "two words"),
        (b"=?gb2312?b?xOO6ww==?=", "你好"),
        (b"=?utf-8?b?4L?= =?utf-8?q?broken", None),
        (b"=?nonsense?q?caf=C3=A9?=", "café"),
        (b"=?utf-8?b?w6nD?= =?utf-8?b?qQ==?=", "éé"),  # a character cut in two
        ("größer".encode(), "größer"),
        ("größer".encode("latin-1"), "größer"),
        (b"nul\0s \x1b[0m", None),
        (b"", ""),
        (b"=?" * 5000, None),
        (b"=?utf-8?q?" + b"a" * 100_000 + b"?=", None),
    ],
)
def test_subjects(raw, text):
    subject = read_message(b"Subject: " + raw + b"\n\nbody").subject
    assert text is None or subject == text
    assert "\0" not in subject
    subject.encode()


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "naïve".encode(), "naïve"),
        ("utf-8", "naïve".encode("latin-1"), "naïve"),
        ("us-ascii", "naïve €".encode(), "naïve €"),
        ("iso-8859-1", b"\x93quoted\x94 \x80", "“quoted” €"),
        ("iso-8859-1", "naïve".encode("latin-1"), "naïve"),
        ("koi8-r", "привет".encode("koi8-r"), "привет"),
        ("no-such-charset", "привет".encode(), "привет"),
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本"),
        ("base64", b"aGk=", "aGk="),
        ("undefined", b"hi", "hi"),
        ("punycode", b"hi", "hi"),
        ("\0", b"hi", "hi"),
        ("ascii", b"\x81\xff", "\ufffdÿ"),
    ],
)
def test_charsets(charset, data, text):
    assert decode_bytes(data, charset) == text


def test_parts():
    assert body(b"", parts(PLAIN, HTML, kind=b"alternative")) == "plain text"
    assert body(b"", parts(HTML, PLAIN, kind=b"alternative")) == "plain text"
    blank = b"Content-Type: text/plain\n\n \n"
    assert body(b"", parts(blank, HTML, kind=b"alternative")) == "hyper text"
    related = parts(HTML, b"Content-Type: image/png\n\nxxx", kind=b"related", boundary=b"c")
    assert body(b"", parts(related, kind=b"alternative")) == "hyper text"
    attached = b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nsecret"
    invitation = b"Content-Type: text/calendar\n\nBEGIN:VCALENDAR"
    assert body(b"", parts(PLAIN, attached, invitation, PLAIN)) == "plain text\nplain text"
    forwarded = b"Content-Type: message/rfc822\n\nSubject: inner\n\nforwarded"
    assert body(b"", parts(PLAIN, forwarded)) == "plain text\nforwarded"


@pytest.mark.parametrize(
    ("headers", "content", "text"),
    [
        (b"Content-Transfer-Encoding: quoted-printable\n", b"caf=C3=A9 =\nau lait=ZZ", "café au lait=ZZ"),
        (b"Content-Transfer-Encoding: base64\n", base64.b64encode(b"free prize"), "free prize"),
        (b"Content-Transfer-Encoding: base64\n", b"ZnJlZSBwcml6Z", "free priz"),  # truncated
        (b"Content-Transfer-Encoding: nonsense\n", b"as it is", "as it is"),
        (b"Content-Type: text/html\n", b"<p>one<p>two", "one\ntwo"),
        (b"Content-Type: text/plain\n", b"<html><p>one<p>two", "one\ntwo"),  # declared as plain text
        (b"Content-Type: multipart/mixed\n", b"no boundary", "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=b\n", b"never there", "never there"),
        (b"Content-Type: multipart/mixed; boundary=b\n", b"--b\n\nnever closed", "never closed"),
        (b"Content-Type: ;;;=\n", b"odd type", "odd type"),
        (b"Content-Type: text/plain; charset*0=ut; charset*1=f-8\n", "é".encode(), "é"),
        (b"Content-Type: image/png\n", b"\x89PNG", ""),
        (b"no header at all\n", b"text", None),
    ],
)
def test_broken_bodies(headers, content, text):
    found = body(content, headers)
    assert text is None or found == text


ARMOUR = b"-----BEGIN PGP %s-----\nVersion: 1\n\nhQEMA\n=abcd\n-----END PGP %s-----\n"
MESSAGE_BLOCK, KEY_BLOCK, SIGNATURE = (
    ARMOUR.replace(b"%s", x) for x in (b"MESSAGE", b"PUBLIC KEY BLOCK", b"SIGNATURE")
)
SMIME = b"Content-Type: application/pkcs7-mime; name=smime.p7m; smime-type=%s\n\nMIAGCSqGSIb3DQEHA6CAMIACAQAx"


@pytest.mark.parametrize("form", ["quoted", "old type", "attached", "parts of multipart/mixed"])
def test_sealed_text_counts_as_no_text_in_other_forms(form):
    armour = b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    mixed = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n%s\n--b\nContent-Type: text/plain\n\nfooter\n--b--\n"
    message, text = {
        "quoted": (b"Subject: x\n\nhi\n> " + armour[:-1].replace(b"\n", b"\n> ") + b"\nbye\n", "hi\nbye"),
        "old type": (b"Content-Type: application/pgp; x-action=encrypt\n\n" + armour, ""),
        "attached": (
            mixed % b"Content-Type: application/pkcs7-mime\nContent-Disposition: attachment\n\nMIAG",
            "footer",
        ),
        "parts of multipart/mixed": (
            mixed % b"Content-Type: application/pgp-encrypted\n\nVersion: 1",
            "footer",
        ),
    }[form]
    mail = read_message(message)
    assert (mail.body, mail.is_sealed) == (text, True)


@pytest.mark.parametrize(
    ("message", "text", "is_sealed"),
    [
        (b"\n" + MESSAGE_BLOCK, "", True),
        (b"\nhello\n" + MESSAGE_BLOCK + b"bye\n", "hello\nbye", True),
        (b"\nhello\n" + MESSAGE_BLOCK[:50], "hello", True),
        (b"\nmy key:\n" + KEY_BLOCK, "my key:", False),
        (
            b"\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nsigned: text\n" + SIGNATURE,
            "signed: text",
            False,
        ),
        (
            b"\nhe wrote -----BEGIN PGP MESSAGE----- there\n",
            "he wrote -----BEGIN PGP MESSAGE----- there",
            False,
        ),
        (SMIME % b"enveloped-data", "", True),
        (SMIME % b"signed-data", "", True),
        (SMIME % b"certs-only", "", False),
        (b"Content-Type: application/octet-stream; name=smime.p7m\n\nMIAG", "", True),
        (
            parts(
                b"Content-Type: application/pgp-encrypted\n\nVersion: 1",
                b"\n" + MESSAGE_BLOCK,
                kind=b"encrypted",
            ),
            "",
            True,
        ),
        (
            parts(PLAIN, b"Content-Type: application/pgp-signature\n\n" + SIGNATURE, kind=b"signed"),
            "plain text",
            False,
        ),
    ],
)
def test_sealed_text_counts_as_no_text(message, text, is_sealed):
    mail = read_message(message)
    assert (mail.body, mail.is_sealed) == (text, is_sealed)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"text/plain; charset=big5", "big5"),
        (b'text/plain; x="a; charset=no"; charset = "big5" ; y=z', "big5"),
        (b'text/plain; charset="bi\\g5"', "big5"),
        (b"text/plain;\n\tcharset*0=bi;\n charset*1=g5", "big5"),
        (b"text/plain; charset*=us-ascii'en'%62ig5", "big5"),
        (b"text/plain", ""),
    ],
)
def test_parameters(header, name):
    assert Part(b"Content-Type: " + header + b"\n\n").parameter(b"charset") == name


def test_transfer_encodings_and_line_ends():
    assert body(b"begin 644 a\n#8V%T\n`\nend\n", b"Content-Transfer-Encoding: x-uuencode\n") == "cat"
    assert body(b"aGk=", b"Content-Transfer-Encoding: BASE64; x\n") == "hi"
    assert read_message(b"Subject: a\rFrom: b\r\rone\rtwo").body == "one\ntwo"
    assert read_message(b"From x Mon Jan 1 10:00:00 2024\n>From y\nSubject: a\n\nb").subject == "a"
    assert read_message(b"Subject: a\nno header\nX: y\n\nb").body == "no header\nX: y\n\nb"
    digest = parts(b"\nSubject: inner\n\none", b"\n\ntwo", kind=b"digest")
    assert read_message(digest).body == "one\ntwo"
    status = b"Content-Type: message/delivery-status\n\nReporting-MTA: x\n\nFinal-Recipient: y"
    assert read_message(parts(PLAIN, status, kind=b"report")).body == "plain text"


def test_html():
    page = (
        "<!DOCTYPE html><html><head><title>t</title><style>p {color: red}</style></head><body>\n"
        "<!-- a <b>comment</b> --><h1>Big\n news</h1>fr<b>ee</b>&nbsp;&amp; <a href='http://x'>click</a>"
        "<script>if (a < b) alert('</p>')</script><table><tr><td>one<td>two</table>a < b, 3 <4<br/>end &#x41;"
    )
    assert text_of_html(page, 1000) == "Big news\nfree & click\none\ntwo\na < b, 3 <4\nend A"
    assert text_of_html("<p>a<style>never closed", 10) == "a"
    assert text_of_html("a <!-- never closed", 100) == "a <!-- never closed"
    assert text_of_html("&#" + "9" * 5000 + ";", 10)


def test_only_the_beginning_is_read():
    mail = read_message(b"Subject: x\n\n" + b"word " * 100_000)
    assert len(mail.body) <= MAX_TEXT_CHARACTERS
    assert len(mail.text(["subject", "body"])) <= MAX_TEXT_CHARACTERS
    assert read_message(b"Subject: big\n\n" + b"x\n" * 1_000_000, ["subject"]).subject == "big"


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000))


@pytest.mark.long
@pytest.mark.parametrize(
    "message",
    [
        b"Content-Type: text/html\n\n" + b"<a " * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<!--" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<a b='>" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/plain" + b";a=b" * MAX_MESSAGE_BYTES,
        b"Content-Disposition: " + b"(" * MAX_MESSAGE_BYTES,
        b"Subject: " + b"=?utf-8?q?a?= " * MAX_MESSAGE_BYTES,
        NESTED,
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * MAX_MESSAGE_BYTES,
        b"\n" + b"-----BEGIN PGP MESSAGE-----\n" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<a href=" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<a href='http://a' " * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<img alt=x>" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<img " + b"alt=" * MAX_MESSAGE_BYTES,
        b"Content-Type: text/html\n\n" + b"<a href=http://b>" + b"&lt;" * MAX_MESSAGE_BYTES,
        b"Received: from a ([1.2.3.4])\n" * MAX_MESSAGE_BYTES,
        b"Received: from " + b"a (" * MAX_MESSAGE_BYTES,
        b"From: " + b"a@" * MAX_MESSAGE_BYTES,
        b"From: " + b"<" * MAX_MESSAGE_BYTES,
        b"To: " + b"a@b, " * MAX_MESSAGE_BYTES,
        b"\n" + b"_ " * MAX_MESSAGE_BYTES,
        b"\n" + b"_" * MAX_MESSAGE_BYTES,
        b"\n" + b"http://" * MAX_MESSAGE_BYTES,
        b"\n" + b"http://a@" * MAX_MESSAGE_BYTES,
    ],
    ids=range(23),
)
def test_hostile_messages_take_linear_time(message):
    """Quadratic time would be minutes; CPU time does not depend on what else the machine does."""
    started = time.process_time()
    read_message(message, FIELDS).text(FIELDS)
    assert time.process_time() - started < 30


WORDS = [
    b"Subject: ", b"Content-Type: ", b"text/html", b"multipart/mixed; boundary=b", b"--b", b"--b--", b"\n", b"\r\n",
    b"\n\n", b"; charset=", b"utf-7", b"=?utf-8?q?", b"=?big5?b?", b"?=", b"Content-Transfer-Encoding: base64", b"<p>",
    b"message/rfc822", b"\xff\xfe", b"\0", b"From ", b"&#", b"x-uuencode", b"begin 644 a\n", b"(", b'"', b"*0*=",
    b"from__a_b", b"__", b"_", b"\xef\xbc\xbf", b"\xe2\x80\x8b", b"From: ", b"<", b">", b"a@b.c", b"Received: from ",
    b"<a href=http://", b"<img alt='", b"List-Id: ", b"X-Mailer: ", b"Reply-To: ", b"Message-ID: ", b"[1.2.3.4]", b"\n ",
]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=5)), max_size=40).map(b"".join))
def test_no_message_is_an_error(data):
    mail = read_message(data)
    for value in vars(mail).values():
        value.encode()
        assert "\0" not in value
    assert read_message(data, ["subject"]).body == ""
    whole = read_message(data, FIELDS)
    assert whole.body == mail.body
    text = whole.text(FIELDS)
    text.encode()
    assert "\0" not in text
    assert len(text) <= MAX_TEXT_CHARACTERS
    tokens = {token for tokens in whole.features.values() for token in tokens}
    assert {word for word in text.split() if "__" in word} == tokens
    assert sum(map(len, tokens)) < 6000


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=200))
def test_no_header_is_an_error(value):
    decode_header(value).encode()


def test_fields():
    assert parse_fields("body, Subject") == ("subject", "body")
    assert parse_fields("all") == FIELDS
    with pytest.raises(OptionError, match="--fields takes subject, body, .* or all, .*, not 'title'"):
        parse_fields("title")
    with pytest.raises(OptionError, match="not 'link' .did you mean 'links'"):
        parse_fields("subject,link")


def test_reading_messages_imports_little():
    """The filter's client starts for every message."""
    code = "import sys, lmclassify.mail.client; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"typing", "numpy", "typer", "rich", "dataclasses", "asyncio", "pydantic", "ssl"} & set(
        loaded.split()
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_message_that_was_saved_as_unicode(encoding):
    """Text that is not encoded was converted; the content of base64 and quoted-printable was not."""
    head = "Subject: für\nContent-Type: text/plain; charset=iso-8859-1\n"
    for transfer, body in (("8bit", "schöne Grüße"), ("quoted-printable", "sch=F6ne Gr=FC=DFe")):
        text = f"{head}Content-Transfer-Encoding: {transfer}\n\n{body}\n".encode(encoding)
        mail = read_message(text)
        assert (mail.subject, mail.body) == ("für", "schöne Grüße")
    latin = b"\xef\xbb\xbf" + f"{head}\nGrüße\n".encode("latin-1")
    assert read_message(latin).body == "Grüße"


@pytest.mark.parametrize(
    ("data", "subject", "body"),
    [
        (b"\n\r\n \t\nSubject: a\n\nb\n", "a", "b"),
        (b"\nFrom a@b Sat Jan  3 01:05:34 1996\nSubject: a\n\nb\n", "a", "b"),
        (b"\n\nno header here: b\n", "", "no header here: b"),
        (b"\n\nFrom here on, text\n", "", "From here on, text"),
    ],
)
def test_blank_lines_before_the_header(data, subject, body):
    mail = read_message(data)
    assert (mail.subject, mail.body) == (subject, body)

"""Charsets of mail: names that mailers use, wrong names, and none."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmclassify.mail.charsets import codec_of, decode_bytes
from lmclassify.mail.encoded_words import decode_header
from lmclassify.mail.messages import read_message


@pytest.mark.parametrize(
    ("names", "codec", "text"),
    [
        ("x-sjis windows-31j ms932 shift_jis cp-932 x-ms-cp932 csWindows31J", "cp932", "①無料"),
        ("x-gbk gb2312 gb_2312-80 GB18030-2000 cn-gb x-mac-chinesesimp 936", "gb18030", "恭喜 朱镕基"),
        ("x-euc-jp euc-jp x-euc cp51932", "euc_jis_2004", "無料 ①"),
        ("cn-big5 x-x-big5 big5-eten cp950 big5", "cp950", "免費 碁"),
        ("big5-hkscs big5", "big5hkscs", "免費 啫"),
        ("windows-949 ks_c_5601-1987 ksc5601 korean euc-kr ks_c_5601", "cp949", "똠방 무료"),
        ("windows-874 iso-8859-11 tis-620 x-windows-874 dos-874 cp-874", "cp874", "ฟรี €"),
        ("iso-8859-8-i iso-8859-8-e logical iso-8859-8 windows-1255", "cp1255", "פרס"),
        ("iso-8859-6-i iso-8859-6-e", "iso8859_6", "مجاني"),
        ("x-mac-cyrillic x-mac-ukrainian", "mac_cyrillic", "приз"),
        ("x-mac-roman macintosh x-macintosh", "mac_roman", "Prämie"),
        ("x-cp1251 win-1251 windows1251 cp-1251 x-windows-1251 windows-1251;x cp1251_x", "cp1251", "приз"),
        ("cp-850 ibm-850 dos-850 x-cp850", "cp850", "Prämie"),
        ("koi8 koi8r koi8-r", "koi8_r", "приз"),
        ("koi8-ru koi8-u", "koi8_u", "приз ї"),
        ("iso-8859-9 windows-1254", "cp1254", "ödül €"),
        (
            "iso-8859-1 us-ascii windows-1252http-equivcontent-type ansi x-user-defined latin1",
            "cp1252",
            "“free” ä",
        ),
        ("iso-8859-2 iso8859_2 latin2 28592", "iso8859_2", "łódź"),
        ("iso-8859-15 iso_8859-15:1998", "iso8859_15", "€ š"),
        (
            "utf8mb4 unicode-1-1-utf-8 utf-8;format=flowed binary 8bit nonsense 3Dutf-8 'utf-8'",
            "utf-8",
            "приз €",
        ),
        ("utf-7 unicode-1-1-utf-7 x-unicode-2-0-utf-7", "utf-7", "приз & +1"),
        (
            "iso-2022-jp _iso-2022-jp$ESC cp50220 csISO2022JP nonsense utf-8 us-ascii",
            "iso2022_jp",
            "無料の商品 a",
        ),
        ("iso-2022-kr us-ascii", "iso2022_kr", "무료"),
        ("hz-gb-2312 hz", "hz", "恭喜 ok"),
    ],
)
def test_names_of_mailers_in_bodies_and_headers(names, codec, text):
    data = text.encode(codec)
    for name in names.split():
        assert decode_bytes(data, name) == text, name
        word = base64.b64encode(data).decode()
        assert decode_header(f"=?{name}?B?{word}?=") == text, name


def test_characters_that_vendors_added_to_iso_2022_jp():
    data = b"\x1b$B-!\x1b(B \x1b(I123\x1b(B \x1b$BF|K\\\x1b(J"
    assert decode_bytes(data, "iso-2022-jp") == "① ｱｲｳ 日本"


def test_names_that_are_none():
    for name in ("", "x-unknown", "base64", "idna", "undefined", "\0", "é", "x" * 5000, "cp99999", "rot13"):
        assert codec_of(name) is None
        assert decode_bytes("naïve".encode(), name) == "naïve"
    assert decode_bytes(b"1+1=2 +ZZZ", "utf-7") == "1+1=2 +ZZZ"


@given(
    st.binary(max_size=40),
    st.sampled_from(["big5", "iso-2022-jp", "utf-7", "cp949", "hz", "x", "gb2312", "euc-jp"]),
)
def test_no_bytes_are_an_error(data, charset):
    decode_bytes(data, charset).encode()
    decode_header(data.decode("ascii", "surrogateescape"), charset).encode()


@pytest.mark.parametrize(
    ("subject", "content_type", "text"),
    [
        ("продам".encode("koi8-r"), b"text/plain; charset=koi8-r", "продам"),
        ("продам".encode(), b"text/plain; charset=koi8-r", "продам"),
        (
            "免費".encode("big5"),
            b'multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain; charset="big5"',
            "免費",
        ),
        ("無料".encode("iso2022_jp"), b"text/plain", "無料"),
        ("無料".encode("iso2022_jp"), b'text/plain; charset="_iso-2022-jp$ESC"', "無料"),
        (
            "恭喜 you".encode("gbk"),
            b"text/html\n\n<meta http-equiv=Content-Type content='text/html; charset=gb2312'>",
            "恭喜 you",
        ),
        ("größer".encode("latin-1"), b"text/plain", "größer"),
        ("größer".encode("latin-1"), b"text/plain; charset=utf-8", "größer"),
        ("Re: =?utf-8?q?=C3=A9?= größer".encode("cp1252"), b"text/plain; charset=cp1252", "Re: é größer"),
    ],
)
@pytest.mark.parametrize("fields", [["subject"], ["subject", "body"]])
def test_a_subject_without_charset(subject, content_type, text, fields):
    message = b"Subject: " + subject + b"\nContent-Type: " + content_type + b"\n\nbody\n"
    assert read_message(message, fields).subject == text


@pytest.mark.parametrize(
    ("declared", "page", "text"),
    [
        (b"", "<html><head><meta charset=windows-1251></head>Бесплатно".encode("cp1251"), "Бесплатно"),
        (
            b"; charset=us-ascii",
            '<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=koi8-r">Да'.encode("koi8-r"),
            "Да",
        ),
        (b"; charset=nonsense", "<meta charset='x-sjis' />無料".encode("cp932"), "無料"),
        (b"", '<?xml version="1.0" encoding="iso-8859-2"?><p>łódź'.encode("iso8859_2"), "łódź"),
        (b"", "<meta charset=windows-1251>already converted: да".encode(), "already converted: да"),
        (b"; charset=koi8-r", "<meta charset=windows-1251>Да".encode("koi8-r"), "Да"),
        (b"", "<p>größer".encode("latin-1"), "größer"),
        (b"", "<p>größer".encode("utf-16"), "größer"),
    ],
)
def test_html_that_names_its_charset(declared, page, text):
    assert read_message(b"Content-Type: text/html" + declared + b"\n\n" + page).body == text

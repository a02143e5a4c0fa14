"""Texts made into mail files."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.mail_files import MailFiles, table
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.mail.messages_table import read_texts

TEXTS = [
    "win  a prize",
    "größer und länger " * 20,
    "=?utf-8?q?x?=",
    "From me",
    "日本" * 30,
    "cheap pills",
    "lunch",
]
LABELS = ["spam", "ham", "ham", "spam", "ham", "spam", "ham"]


@pytest.fixture
def files(tmp_path):
    return MailFiles(tmp_path, LabelledTexts(TEXTS, LABELS), LabelledTexts(TEXTS[:3], LABELS[:3]))


def test_texts_come_back_from_mail(files):
    assert files.changed() == 0
    assert read_texts(str(files.folder / "test.mbox"), ("subject",)) == [
        " ".join(text.split()) for text in TEXTS[:3]
    ]


@pytest.mark.long
def test_bogofilter(files):
    program = shutil.which("bogofilter")
    if program is None:
        pytest.skip("needs bogofilter")
    rows = files.run_bogofilter(program)
    assert rows[0].accuracy >= rows[1].accuracy
    assert table(rows).count("bogofilter") == 2

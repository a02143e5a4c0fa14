"""Splits, forged messages and figures of the measurement of mail fields."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.mail_fields import forged, measure, read_folder, splits, table, with_headers_of
from lmclassify.errors import LMClassifyError
from lmclassify.mail.fields import FIELDS


@pytest.fixture
def corpus(tmp_path):
    for name in ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"):
        (tmp_path / name).mkdir()
        for number in range(5):
            (tmp_path / name / f"{number}.txt").write_bytes(
                f"From: {name}@{name}.example\nX-Mailer: {name}\nSubject: {name}\n"
                f"Content-Type: text/plain\n\nbody of {name}\n".encode()
            )
    return tmp_path


def test_splits(corpus):
    [(name, train, test)] = splits(corpus, 1, 0.6, False)
    assert (name, len(train), len(test)) == ("0.6, seed 0", 6, 4)
    [(name, train, test)] = splits(corpus, 1, 0.6, True)
    assert (name, len(train), len(test), sum(m.is_spam for m in test)) == ("check", 10, 15, 5)
    with pytest.raises(LMClassifyError, match="no messages in none"):
        read_folder(corpus, ["none"], True)


def test_forged_messages(corpus):
    [spam, *_] = read_folder(corpus, ["spam-1"], True)
    [ham, *_] = read_folder(corpus, ["easy-ham-1"], False)
    text = forged(spam.mail, ham.mail).text(FIELDS)
    assert text.startswith("spam-1\nbody of spam-1\n")
    assert "from__easy_ham_1_example" in text
    assert "from__spam" not in text
    assert with_headers_of(spam.path, ham.path) == (
        b"From: easy-ham-1@easy-ham-1.example\nX-Mailer: easy-ham-1\nSubject: spam-1\n"
        b"Content-Type: text/plain\n\nbody of spam-1\n"
    )


def test_figures(corpus):
    messages = read_folder(corpus, ["spam-1"], True) + read_folder(corpus, ["easy-ham-1"], False)
    found = measure(np.array([0.9] * 4 + [0.2] + [0.1] * 4 + [0.8]), messages)
    assert (found["accuracy"], found["good_lost"], found["spam_missed"]) == (0.8, 1, 1)
    lines = list(table([{"method": "a", **found, "rate": 10.0}, {"method": "a", **found, "rate": 20.0}]))
    assert lines[2].startswith("| a | 0.8000 | ")
    assert lines[2].endswith("| 1.0 | 1.0 |  | 15 |")

"""Texts that a model keeps for a refit: off by default, the latest up to a limit, deleted when asked."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from lmclassify import ModelError, OptionError
from lmclassify.classify.online.kept_texts import MAX_CHARACTERS, MAX_KEPT, KeptText, KeptTexts
from lmclassify.persistence.commit import write_model
from lmclassify.persistence.journal import JournalReplacedError, model_journal
from lmclassify.persistence.layout import StoredModel
from lmclassify.persistence.reading import read_model

MODEL = StoredModel({"labels": ["ham", "spam"]}, [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "model", MODEL)
    return tmp_path / "model"


def opened(folder: Path) -> KeptTexts:
    return KeptTexts.of_model(read_model(folder))


def text(number: int, content: str = "", label: object = "spam") -> KeptText:
    return KeptText(f"{number:032x}", label, 1e9 + number, content or f"secret {number}")


def numbers(kept: KeptTexts) -> list[int]:
    return [int(one.id, 16) for one in kept.texts()]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_nothing_is_kept_by_default(folder):
    kept = opened(folder)
    before = sorted(os.listdir(folder))
    kept.add(text(1))
    kept.remove([text(1).id])
    assert (kept.texts(), kept.limit, kept.records()) == ([], 0, [])
    assert sorted(os.listdir(folder)) == before


def test_texts_are_kept_exactly_and_for_the_owner_only(folder):
    kept = opened(folder)
    kept.set_limit(10)
    texts = [text(1), text(2, "zwei\n\nЗеилен \ud800\0", 7), text(3, label=2.5), text(4, label=True)]
    for one in texts:
        kept.add(one)
    assert opened(folder).texts() == kept.texts() == texts
    (path,) = folder.glob("*.texts")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_latest_are_kept(folder):
    kept = opened(folder)
    kept.set_limit(3)
    for number in range(200):
        kept.add(text(number))
    assert numbers(kept) == numbers(opened(folder)) == [197, 198, 199]
    assert b"secret 0" not in on_disk(folder)  # those beyond the limit leave the file sooner or later
    kept.add(text(198, "taught again", "ham"))
    assert numbers(kept) == [197, 199, 198]
    assert kept.texts()[-1].label == "ham"
    kept.set_limit(2)
    assert numbers(opened(folder)) == [199, 198]
    assert b"secret 197" not in on_disk(folder)
    kept.set_limit(5)
    assert numbers(kept) == [199, 198]


def test_limit_0_deletes_all_texts(folder):
    kept, other = opened(folder), opened(folder)
    kept.set_limit(10)
    kept.add(text(1))
    other.add(text(2))
    assert other.limit == 10
    kept.set_limit(0)
    assert not list(folder.glob("*.texts"))
    other.add(text(3))
    assert (kept.texts(), other.texts(), other.limit) == ([], [], 0)
    kept.set_limit(1)
    other.add(text(4))
    assert numbers(kept) == [4]


def test_what_was_taken_back_is_deleted_at_once(folder):
    kept, other = opened(folder), opened(folder)
    kept.set_limit(10)
    for number in range(3):
        other.add(text(number))
    kept.remove([text(1).id, text(9).id])
    assert numbers(other) == [0, 2]
    assert b"secret 1" not in on_disk(folder)
    other.add(text(3))
    assert numbers(kept) == [0, 2, 3]


def test_several_processes_keep_texts(folder):
    first, second = opened(folder), opened(folder)
    first.set_limit(2)
    for number in range(150):  # the file is rewritten once by each
        first.add(text(2 * number))
        second.add(text(2 * number + 1))
    assert numbers(first) == numbers(second) == [298, 299]


def test_the_end_of_a_long_text_is_not_kept(folder):
    kept = opened(folder)
    kept.set_limit(1000)
    kept.add(text(0, "x" * (MAX_CHARACTERS + 1)))
    assert len(kept.texts()[0].text) == MAX_CHARACTERS


@pytest.mark.long
def test_the_oldest_are_dropped_when_all_take_too_many_bytes(folder):
    kept = opened(folder)
    kept.set_limit(1000)
    for number in range(130):
        kept.add(text(number, "x" * MAX_CHARACTERS))
    assert kept.texts()[-1].id == text(129).id
    assert numbers(kept) == [*range(130 - len(kept.texts()), 130)]
    assert 60 <= len(kept.texts()) <= 64 + 10


@pytest.mark.parametrize("limit", [-1, MAX_KEPT + 1])
def test_impossible_limits(folder, limit):
    with pytest.raises(OptionError, match="number of kept texts must be from 0 to 1,000,000"):
        opened(folder).set_limit(limit)


def test_a_new_model_keeps_no_texts_unless_they_are_carried_over(folder):
    old = opened(folder)
    old.set_limit(5)
    old.add(text(1))
    write_model(folder, MODEL, journals={"texts": old.records()})
    new = opened(folder)
    assert (numbers(new), new.limit) == ([1], 5)
    write_model(folder, MODEL)
    assert (opened(folder).texts(), b"secret" in on_disk(folder)) == ([], False)
    for call in (new.texts, lambda: new.limit, lambda: new.add(text(2)), lambda: new.set_limit(3)):
        with pytest.raises(JournalReplacedError):
            call()


@pytest.mark.parametrize(
    "records",
    [
        [b"{"],
        [b'{"limit": 0}'],
        [b'{"limit": "many"}'],
        [b"[]"],
        [b'{"limit": 5}', b"no line"],
        [b'{"limit": 5}', b'{"id": 1, "label": "a", "time": 1}\ntext'],
        [b'{"limit": 5}', json.dumps({"id": "1", "label": [], "time": 1}).encode() + b"\ntext"],
        [b'{"limit": 5}', json.dumps({"id": "1", "label": "a", "time": 1}).encode() + b"\n\xff"],
    ],
)
def test_invalid_content_is_reported_with_the_file(folder, records):
    model_journal(read_model(folder), "texts").reset(records)
    with pytest.raises(ModelError, match=r"\.texts holds no usable model"):
        opened(folder).texts()

"""Which text each browser gets, and what becomes of its answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lmclassify.annotation.labelled_file import FileChangedError, LabelledFile
from lmclassify.annotation.learner import Choice, Guess, Round
from lmclassify.annotation.session import ConflictError, Session
from lmclassify.annotation.suspects import find_suspects
from lmclassify.errors import DataError


class FakeLearner:
    """A learner whose rounds the test provides."""

    busy = False

    def __init__(self, texts=()):
        self.texts = list(texts)
        self.submitted = []
        self.rounds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rounds.clear()

    def submit(self, labels, excluded=(), at_random=()):
        self.submitted.append((dict(labels), set(excluded), set(at_random)))

    def latest(self):
        return self.rounds.pop(0) if self.rounds else None


def guess(label):
    return Guess(label, 0.9, {label: 0.9}, None, [])


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"text {number}\n" for number in range(6)))
    return path


@pytest.fixture
def open_session(path):
    def begin(learner=None, **options):
        start = None if learner is None else lambda texts: learner
        now = datetime(2026, 11, 30, 12, tzinfo=UTC)
        return Session([LabelledFile(str(path))], start_learner=start, now=lambda: now, **options)

    return begin


def test_answers_are_in_the_file_at_once(open_session, path):
    with open_session(labels=["spam"]) as session:
        first, second, third = session.next_texts("a", 3)
        assert first["why"] == "random"
        session.answer("a", first["id"], "label", " spam ", note="two\nlines")
        assert f"{first['text']},spam,2026-11-30T12:00:00Z,random,two lines" in path.read_text()
        session.answer("a", second["id"], "skip")
        session.answer("a", third["id"], "none")
        state = session.state()
    assert state["labels"] == [{"name": "spam", "count": 1}]
    assert (state["num_texts"], state["num_labelled"], state["num_skipped"], state["num_none"]) == (
        6,
        1,
        1,
        1,
    )
    with open_session() as session:  # it goes on where it stopped
        left = session.next_texts("b", 20)
        assert {item["id"] for item in left} == set(range(6)) - {first["id"], second["id"], third["id"]}
        assert session.labels() == {"spam": 1}


def test_two_browsers_get_different_texts(open_session):
    clock = Clock()
    with open_session(clock=clock) as session:
        first = {item["id"] for item in session.next_texts("a", 3)}
        second = {item["id"] for item in session.next_texts("b", 5)}
        assert len(first) == len(second) == 3
        assert not first & second
        assert {item["id"] for item in session.next_texts("a", 3)} == first
        clock.seconds = 1000  # browser a was closed
        assert {item["id"] for item in session.next_texts("b", 6)} == first | second


def test_two_answers_to_one_text(open_session):
    with open_session() as session:
        (item,) = session.next_texts("a", 1)
        session.answer("a", item["id"], "label", "spam")
        with pytest.raises(ConflictError, match="has label 'spam' now: it was answered elsewhere"):
            session.answer("b", item["id"], "label", "ham")
        session.answer("b", item["id"], "label", "ham", seen="spam")
        with pytest.raises(ConflictError, match="was changed since; it stays as it is"):
            session.undo("a")
        with pytest.raises(ConflictError, match="no answer to take back"):
            session.undo("a")
        with pytest.raises(ConflictError, match="not there any more"):
            session.answer("a", 99, "skip")


def test_an_answer_that_is_sent_again(open_session, path):
    with open_session() as session:
        first, second = session.next_texts("a", 2)
        for action, label, item in (("label", "spam", first), ("none", None, second)):
            session.answer("a", item["id"], action, label)
            written = path.read_bytes()
            session.answer("a", item["id"], action, label)
            assert path.read_bytes() == written
        session.undo("a")
        session.undo("a")
        with pytest.raises(ConflictError, match="no answer to take back"):
            session.undo("a")


def test_undo(open_session, path):
    before = path.read_text()
    with open_session() as session:
        first, second = session.next_texts("a", 2)
        session.answer("a", first["id"], "label", "spam")
        session.answer("a", second["id"], "none")
        assert session.undo("a")["id"] == second["id"]
        assert session.undo("a")["id"] == first["id"]
        assert [item["id"] for item in session.next_texts("a", 2)] == [first["id"], second["id"]]
        assert session.labels() == {}
    assert path.read_text().splitlines() == [
        line + (",label,labelled_at,source" if line == "text" else ",,,") for line in before.splitlines()
    ]


def test_the_learner_chooses_and_guesses(open_session):
    learner = FakeLearner()
    with open_session(learner, labels=["a", "b"]) as session:
        assert learner.submitted == [({}, set(), set())]
        chosen = [Choice(4, "uncertain", guess("a")), Choice(2, "random", guess("b"))]
        learner.rounds.append(Round(0, chosen))
        first, second = session.next_texts("x", 2)
        assert [(item["id"], item["why"]) for item in (first, second)] == [(4, "uncertain"), (2, "random")]
        assert first["guess"]["label"] == "a"
        session.answer("x", 4, "label", "a")
        session.answer("x", 2, "label", "a")
        state = session.state()
        assert state["agreement"] == {"agreed": 1, "of": 2}
        assert state["model"]["state"] == "ready"
        assert learner.submitted[-1] == ({4: "a", 2: "a"}, set(), {2})
        session.undo("x")
        assert session.state()["agreement"] == {"agreed": 1, "of": 1}
        learner.rounds.append(Round(1, [], error="it failed"))
        assert session.state()["model"] == {"state": "failed", "num_texts": 1, "detail": "it failed"}


@pytest.mark.parametrize(
    ("label", "error"),
    [
        ("", "1 to 200 characters"),
        ("x" * 201, "1 to 200 characters"),
        ("a\x00b", "without control characters"),
        ("SPAM", "There is a label 'spam', from which 'SPAM' differs only in"),
    ],
)
def test_labels_that_cannot_be_used(open_session, path, label, error):
    with open_session(labels=["spam"]) as session:
        (item,) = session.next_texts("a", 1)
        before = path.read_text()
        with pytest.raises(DataError, match=error):
            session.answer("a", item["id"], "label", label)
        for action, wrong in (("label", None), ("skip", "spam")):
            with pytest.raises(DataError, match="action label, and only there"):
                session.answer("a", item["id"], action, wrong)
        assert path.read_text() == before


def test_a_file_read_again_keeps_the_answers(open_session, path):
    learner = FakeLearner()
    with open_session(learner) as session:
        first, second = session.next_texts("a", 2)
        session.answer("a", first["id"], "label", "spam")
        lines = [line for line in path.read_text().splitlines() if not line.startswith(second["text"])]
        path.write_text("\n".join([lines[0], "a new text,,,", *lines[1:]]) + "\n")
        assert session.reload() == 0
        assert session.labels() == {"spam": 1}
        texts = {item["text"] for item in session.next_texts("a", 9)}
        assert "a new text" in texts
        assert not {first["text"], second["text"]} & texts
        with pytest.raises(ConflictError, match="not there any more"):
            session.answer("a", second["id"], "skip")
        assert session.undo("a")["text"] == first["text"]
        path.write_text("text\n" + "".join(f"text {number}\n" for number in range(6)))  # without the answers
        (item,) = session.next_texts("a", 1)
        with pytest.raises(FileChangedError, match="read it again"):
            session.answer("a", item["id"], "skip")
        assert session.reload() == 0
        (item,) = session.next_texts("a", 1)
        session.answer("a", item["id"], "skip")


def test_a_label_that_was_removed_from_the_file_is_asked_for_again(open_session, path):
    path.write_text("text,label\none,spam\ntwo,ham\nthree,\n")
    with open_session() as session:
        assert [item["row"] for item in session.next_texts("a", 9)] == [3]
        path.write_text("text,label\none,\ntwo,ham\nthree,\n")
        session.reload()
        assert sorted(item["row"] for item in session.next_texts("a", 9)) == [1, 3]


def test_suspects_are_confirmed_or_corrected(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "text,label\nlunch,ham\nLunch,spam\nlunch ,ham\nwin,spam\nwin,spam\nfree money,Spam\nsee you,ham\n"
    )
    file = LabelledFile(str(path))
    suspects = find_suspects([file])
    assert (suspects[0].row, suspects[0].suggested) == (1, "ham")
    with Session([file], suspects=suspects) as session:
        items = session.next_texts("a", 9)
        assert items[0]["why"] == "suspect"
        assert (items[0]["label"], items[0]["suggested"]) == ("spam", "ham")
        assert "same text" in items[0]["reason"]
        session.answer("a", items[0]["id"], "label", "ham", seen="spam")
        session.answer("a", items[1]["id"], "label", items[1]["label"], seen=items[1]["label"])
        session.answer("a", items[2]["id"], "skip", seen=items[2]["label"])
        assert session.state()["mode"] == "check"
        assert session.num_labelled == 3
    again = LabelledFile(str(path))
    assert [answer.source for answer in again.answers].count("checked") == 2
    assert again.answers[1].label == "ham"
    left = {suspect.row for suspect in find_suspects([again])}
    assert not left & {1, items[1]["id"]}


def test_each_answer_goes_to_its_own_file(tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.tsv"
    first.write_text("text\none\n")
    second.write_text("id\ttext\n1\ttwo\n2\tthree\n")
    files = [LabelledFile(str(path)) for path in (first, second)]
    with Session(files) as session:
        items = {item["text"]: item for item in session.next_texts("a", 9)}
        assert (items["three"]["file"], items["three"]["row"]) == (str(second), 2)
        session.answer("a", items["three"]["id"], "label", "x")
        session.answer("a", items["one"]["id"], "label", "y")
        assert session.state()["labels"] == [{"name": "x", "count": 1}, {"name": "y", "count": 1}]
    assert [answer.label for answer in LabelledFile(str(first)).answers] == ["y"]
    assert [answer.label for answer in LabelledFile(str(second)).answers] == ["", "x"]

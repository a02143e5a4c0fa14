"""Messages as a stream: orders, feedback, and the logistic regression."""

import shutil
from pathlib import Path

import pytest

from benchmarks.mail_stream import DELAY, Message, Verdict, ordered, read_messages, run_stream
from benchmarks.online_filters import Bogofilter, LearningModel, LogisticRegression
from lmclassify.classify.online.lessons import MIN_LESSONS
from lmclassify.errors import LMClassifyError


def message(number, *, is_spam=False):
    text = f"buy cheap pills {number}" if is_spam else f"lunch on friday {number}"
    return Message(Path(str(number)), text.encode(), is_spam, text, float(-number))


class Recorder:
    """A filter that records what happens to it."""

    def __init__(self):
        self.events = []

    def classify(self, message):
        self.events.append(("classify", message.path.name))
        return Verdict(0.5, "unsure")

    def teach(self, message):
        self.events.append(("teach", message.path.name))

    def size(self):
        return 7

    def megabytes(self):
        return 8.0


def events(feedback, number):
    recorder = Recorder()
    found = run_stream(recorder, [message(i, is_spam=i % 2 == 1) for i in range(number)], feedback)
    return recorder.events, found


def test_immediate_feedback():
    found, record = events("immediate", 3)
    assert found == [(what, str(i)) for i in range(3) for what in ("classify", "teach")]
    assert (record["one_minus_auc"], record["unsure"], record["taught"], record["size"]) == (50, 100, 3, 7)


def test_delayed_feedback():
    found, record = events("delayed", DELAY + 2)
    assert found[: DELAY + 1] == [("classify", str(i)) for i in range(DELAY + 1)]
    assert found[DELAY + 1 :] == [("teach", "0"), ("classify", str(DELAY + 1)), ("teach", "1")]
    assert record["taught"] == 2


def test_partial_feedback():
    found, record = events("partial", 400)
    taught = [number for what, number in found if what == "teach"]
    assert 20 < len(taught) == record["taught"] < 60
    for number in taught:
        assert found.index(("teach", number)) == found.index(("classify", number)) + 1


def test_orders():
    messages = [message(i) for i in range(20)]
    assert ordered(messages, "date") == messages[::-1]
    assert ordered(messages, "1") == ordered(messages, "1")
    assert sorted(ordered(messages, "1"), key=messages.index) == messages
    assert len({tuple(m.path for m in ordered(messages, order)) for order in ("1", "2", "date")}) == 3


def test_read_messages(tmp_path):
    for name, data in {
        "ham/1.txt": b"Received: by a;\n\tThu, 22 Aug 2002 12:00:00 +0000\nDate: x\nSubject: Lunch\n\nFriday",
        "ham/2.txt": b"Subject: No date\n\n",
        "spam/1.txt": b"Date: Wed, 21 Aug 2002 12:00:00 +0000\nSubject: Pills\n\nReceived: x; Fri",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    folders = {label: [tmp_path / label] for label in ("ham", "spam")}
    found, milliseconds = read_messages(folders, ("subject",), tmp_path / "cache")
    assert [(each.text, each.is_spam) for each in found] == [
        ("Lunch", False),
        ("No date", False),
        ("Pills", True),
    ]
    assert [each.date - found[2].date for each in found] == [86400, 86400, 0]
    assert read_messages(folders, ("subject",), tmp_path / "cache") == (found, milliseconds)
    assert [each.text for each in read_messages(folders, None, tmp_path / "cache")[0]] == ["", "", ""]
    (tmp_path / "none").mkdir()
    with pytest.raises(LMClassifyError, match="none: no .txt or .eml files"):
        read_messages({"ham": [tmp_path / "none"]}, None, tmp_path)


def test_logistic_regression():
    regression = LogisticRegression(lambda message: message.data)
    spam = Message(Path("s"), b"aaaaaab", True, "", 0)  # 4-grams aaaa and aaab
    assert regression.classify(spam) == Verdict(0, "ham")
    regression.teach(spam)
    assert regression.classify(spam) == Verdict(pytest.approx(2 * 0.002 * 0.5), "spam")
    regression.teach(Message(Path("h"), b"aaaa", False, "", 0))
    assert regression.classify(spam).score == pytest.approx(0.002 - 0.002 * 0.50025, abs=1e-8)
    assert regression.classify(Message(Path("short"), b"aaa", True, "", 0)).score == 0


@pytest.mark.long
def test_bogofilter_learns(tmp_path):
    if shutil.which("bogofilter") is None:
        pytest.skip("needs bogofilter")
    stream = [message(number, is_spam=number % 2 == 1) for number in range(60)]
    record = run_stream(Bogofilter(tmp_path), stream, "immediate")
    assert record["verdicts"][0] == Verdict(0.5, "unsure")
    assert record["one_minus_auc"] < 10
    assert record["size"] > 0
    assert 1 < record["megabytes"] < 100


def test_lmclassify_learns():
    stream = [message(number, is_spam=number % 2 == 1) for number in range(2 * MIN_LESSONS + 4)]
    verdicts = run_stream(LearningModel(), stream, "immediate")["verdicts"]
    assert [verdict.label for verdict in verdicts] == ["unsure"] * 2 * MIN_LESSONS + ["ham", "spam"] * 2
    assert verdicts[0].score == 0
    assert verdicts[2].score < 0 < verdicts[3].score

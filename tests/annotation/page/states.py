"""The states of the page of `lmclassify label` that are checked for accessibility and shown in pictures."""

from __future__ import annotations

from typing import Any

from tests.annotation.page.fake_app import FakeServer, guess, item

MAIL = (
    "Hello Anna, the minutes of Tuesday's meeting are attached. Please check the two open points before "
    "Friday: the budget for the workshop, and who takes over the mailing list. Best regards, Tom"
)
PRIZE = "Congratulations! You have won a free prize of 1,000 euros. Click the link below to claim your money today."
READY = {"state": "ready", "num_texts": 40, "detail": None}
FIGURES = {
    "agreement": {"agreed": 46, "of": 50},
    "accuracy": {"estimate": 0.87, "low": 0.8, "high": 0.92, "of": 40},
    "forecast": {"labels": 20, "points": 0.4},
}
OTHERS = [item(number, f"Text number {number}") for number in range(20, 200)]


def start() -> FakeServer:
    """No labels yet."""
    return FakeServer([item(1, MAIL, why="diverse"), item(2, PRIZE), *OTHERS])


def labelling() -> FakeServer:
    """Three labels and a model that guesses."""
    fake = FakeServer(
        [
            item(1, PRIZE, why="uncertain", guess=guess(PRIZE, "spam", 0.84, "ham", ("newsletter",))),
            item(2, MAIL, why="diverse", guess=guess(MAIL, "ham", 0.97, "newsletter", ("spam",))),
            *OTHERS,
        ],
        ["ham", "spam", "newsletter"],
        figures=FIGURES,
        model=READY,
    )
    fake.labelled = {number: ("ham", "spam", "ham", "newsletter")[number % 4] for number in range(30, 70)}
    fake.labelled |= {70: "skipped", 71: ""}
    return fake


def many_labels() -> FakeServer:
    """150 labels, one with a long name."""
    fake = labelling()
    topics = ("card", "transfer", "account", "exchange rate", "top-up")
    fake.labels = [f"{topics[number % 5]} question {number}" for number in range(148)]
    fake.labels += [
        "a label whose name is so long that it does not fit into one line of a narrow screen",
        "حساب",
    ]
    top = (fake.labels[148], "account question 2", "card question 5", "حساب")
    text = "Why was my card declined when I paid for the hotel yesterday?"
    fake.texts[0] = item(1, text, why="uncertain", guess=guess(text, fake.labels[7], 0.61, top[0], top[1:]))
    return fake


def check() -> FakeServer:
    """A suspicious row of a labelled file."""
    fake = labelling()
    reason = "spam 97%, ham 2%; words for spam: prize, money"
    fake.mode = "check"
    fake.texts[0] |= {"why": "suspect", "reason": reason, "label": "ham", "suggested": "spam"}
    return fake


def finished() -> FakeServer:
    """Every text is labelled."""
    fake = labelling()
    fake.labelled = {text["id"]: "ham" for text in fake.texts}
    return fake


def long_text() -> FakeServer:
    """A long mail."""
    fake = labelling()
    fake.texts[0] = item(1, "\n\n".join(f"{number}. {MAIL}" for number in range(1, 30)), why="diverse")
    return fake


def scripts() -> FakeServer:
    """Hebrew from right to left."""
    fake = labelling()
    hebrew = "שלום דנה, הפגישה נדחתה ליום שלישי בשעה 10:00. נא לאשר (Tom)."
    fake.texts[0] = item(1, hebrew, guess=guess(hebrew, "ham", 0.91, "spam"))
    fake.texts[1] = item(2, "恭喜您中奖了！请点击下面的链接免费领取大奖。会议改到星期五了。", why="diverse")
    return fake


STATES: dict[str, Any] = {
    made.__name__: made for made in (start, labelling, many_labels, check, finished, long_text, scripts)
}

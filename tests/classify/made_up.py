"""A made-up explanation."""

from __future__ import annotations

from lmclassify.classify.explain import ExplainedEnd, ExplainedRest, ExplainedWord, Explanation

TEXT = 'Win  <b> "x"\x1b\n& more'


def _rest(nats: float) -> ExplainedRest:
    return {"contributions": {}, "contribution": nats, "parts": {}, "part": nats}


def made_up_explanation() -> Explanation:
    """Return why a text with hostile characters is spam."""
    words = [
        ExplainedWord(
            word=word,
            start=TEXT.index(word),
            end=TEXT.index(word) + len(word),
            log_probability={"ham": -2.0, "spam": -1.0},
            **_rest(nats),
        )
        for word, nats in (("Win", 2.0), ("<b>", -1.0), ('"x"\x1b', 0.25), ("&", 0.0), ("more", 0.5))
    ]
    return Explanation(
        text=TEXT,
        label="spam",
        against="ham",
        probabilities={"ham": 0.1, "spam": 0.9},
        joint_log_probabilities={"ham": -12.0, "spam": -10.0},
        decision=2.0,
        reading=None,
        prior=_rest(0.5),
        words=words,
        end_of_text=ExplainedEnd(log_probability={"ham": -3.0, "spam": -3.5}, **_rest(-0.25)),
    )

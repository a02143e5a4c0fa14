"""Requests as they are checked, and answers as the OpenAPI document describes them.

Names are those of the dictionaries that the Python interface returns.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr

MOST_SUGGESTIONS = 100


def _integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[StrictInt, BeforeValidator(_integer)]
"""As in JSON Schema: 5.0 is one; "5" and true are none."""
Probability = Annotated[float, Field(ge=0, le=1.000001)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_Request):
    """One text or several."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
            "examples": [{"texts": ["Your free prize is waiting", "Lunch on Friday?"]}],
        }
    )

    text: StrictStr = Field(default="", description="One text.")
    texts: list[StrictStr] = Field(default=[], description="Several texts.")


class ExplainRequest(_Request):
    """A text, and which labels to hold against each other."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Your free prize is waiting"}]})

    text: StrictStr
    label: StrictStr | None = Field(default=None, description="Default: the one that predict gives.")
    against: StrictStr | None = Field(default=None, description="Default: the likeliest of the others.")


class SuggestRequest(_Request):
    """Complete words that a text begins with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prefix": "Your account", "n": 3}]})

    prefix: StrictStr
    label: StrictStr | None = Field(default=None, description="Default: all labels' models, mixed.")
    n: Integer = Field(default=5, ge=1, le=MOST_SUGGESTIONS, description="How many words at most.")


class Prediction(BaseModel):
    """What there is to say about one text."""

    label: str
    probabilities: dict[str, Probability]
    joint_log_probabilities: dict[str, float] = Field(description="Nats.")
    novelty: float = Field(description="How unlike anything learnt; 0 is usual.")
    unknown: bool | None = Field(description="Whether the novelty is so large that the text fits no label.")


class Predictions(BaseModel):
    """In the order of the texts."""

    predictions: list[Prediction]


class _Rest(BaseModel):
    parts: dict[str, float] = Field(description="What it adds to each label's joint log-probability, nats.")
    part: float = Field(description="What it adds to the decision, nats.")


class ExplainedEnd(_Rest):
    """The end of text."""

    log_probability: dict[str, float]


class ExplainedWord(ExplainedEnd):
    """A word of the text."""

    word: str
    start: int = Field(ge=0, description="In characters (code points) of the text.")
    end: int = Field(ge=0)


class Explanation(BaseModel):
    """Why a text has its label. Parts sum to the joint log-probabilities."""

    text: str
    label: str
    against: str | None
    probabilities: dict[str, Probability]
    joint_log_probabilities: dict[str, float]
    decision: float = Field(description="The label's joint log-probability less the other's, nats.")
    reading: str | None = Field(
        description="The text as it was read, where that decides (disguised spam); null: as it stands."
    )
    prior: _Rest
    words: list[ExplainedWord]
    end_of_text: ExplainedEnd


class Suggestion(BaseModel):
    """A likely next word."""

    word: str
    probability: Probability


class Suggestions(BaseModel):
    """Likeliest first."""

    suggestions: list[Suggestion]


class Limits(BaseModel):
    """What one request may hold."""

    max_body_bytes: int
    max_texts: int
    max_characters: int
    max_suggestions: int


class Model(BaseModel):
    """The model in service; as `lmclassify info --format json`, and the service's limits."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="The name of its folder.")
    checksum: str
    can_suggest: bool
    unknown_threshold: float | None = Field(description="Novelty above which a text fits no label.")
    labels: list[dict[str, Any]]
    limits: Limits


class Status(BaseModel):
    """Of the service."""

    status: str


class ErrorPlace(BaseModel):
    """A place in the request that is wrong."""

    pointer: str = Field(description="A JSON pointer (RFC 6901).")
    detail: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ErrorPlace] = []

"""Request bodies: strict JSON and their validation. Response bodies, as the OpenAPI document describes them.

Field names are those of the dictionaries that the Python interface returns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MAX_SUGGESTIONS = 100
"""Maximum number of words per request: the search gets slower with each."""


def parse_json(body: bytes) -> Any:
    """Parse a request body as JSON (RFC 8259), strictly, so that a proxy in front reads it the same way.

    Raises
    ------
    HTTPException
        With status 400, if the body is not JSON in UTF-8, is nested too deeply, or has an object with a
        duplicate member.
    """
    try:
        text = body.decode("utf-8-sig")  # json.loads would accept UTF-16 and UTF-32
        return json.loads(text, object_pairs_hook=_object, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not valid JSON in UTF-8.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise HTTPException(400, "The body has an object with a duplicate member name.")
    return members


def _reject_constant(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


class _StrictRequest(Request):
    async def json(self) -> Any:
        return parse_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose request bodies are read by `parse_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that handles a request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def _integral_float_to_int(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[StrictInt, BeforeValidator(_integral_float_to_int)]
"""An integer as in JSON Schema: 5.0 is one; "5" and true are not."""
Probability = Annotated[float, Field(ge=0, le=1.000001)]


class _RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_RequestBody):
    """One text or several."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["text"], "not": {"required": ["texts"]}},
                {
                    "required": ["texts"],
                    "not": {"required": ["text"]},
                    "properties": {"reason": {"enum": [False]}},
                },
            ],
            "examples": [{"texts": ["Your free prize is waiting", "Lunch on Friday?"]}],
        }
    )

    text: StrictStr = Field(default="", description="One text.")
    texts: list[StrictStr] = Field(default=[], description="Several texts.")
    reason: StrictBool = Field(
        default=False,
        description="With `text`: also give the words that speak most for the label, which takes as long as "
        "`/v1/explain`.",
    )


class ExplainRequest(_RequestBody):
    """A text, and the two labels to compare."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Your free prize is waiting"}]})

    text: StrictStr = Field(description="The text to explain.")
    label: StrictStr | None = Field(
        default=None, description="Label to explain. Default: the predicted label."
    )
    against: StrictStr | None = Field(
        default=None, description="Label to compare with. Default: the likeliest other label."
    )
    brief: StrictBool = Field(
        default=False,
        description="Whether to give contributions and log-probabilities of words for the two labels "
        "compared only: this is much faster with many labels.",
    )


class SuggestRequest(_RequestBody):
    """The beginning of a text, in complete words."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prefix": "Your account", "n": 3}]})

    prefix: StrictStr = Field(description="The beginning of a text.")
    label: StrictStr | None = Field(
        default=None, description="Label whose language model is used. Default: a mixture of all labels."
    )
    n: Integer = Field(default=5, ge=1, le=MAX_SUGGESTIONS, description="Maximum number of words.")


class LearnRequest(_RequestBody):
    """A text and its label."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Your prize", "label": "spam"}]})

    text: StrictStr = Field(description="The text to learn, as for `/v1/predict`. It must have a word.")
    label: StrictStr = Field(description="The label of the text.")
    from_label: StrictStr | None = Field(
        default=None, alias="from", description="The label that the text had before, if it was moved."
    )
    undo: StrictBool = Field(default=False, description="Whether to forget this lesson instead.")


class PredictedText(BaseModel):
    """The prediction for one text."""

    label: str = Field(description="The predicted label, or the name for unknown or uncertain texts.")
    probabilities: dict[str, Probability] = Field(description="They sum to 1.")
    joint_log_probabilities: dict[str, float] = Field(description="In nats.")
    novelty: float = Field(
        description="How unlike the training texts the text is; typical texts are around 0."
    )
    unknown: bool | None = Field(
        description="Whether the novelty is above the model's threshold, so that the text is unlike every "
        "label; null if the model has no threshold."
    )
    reason: list[str] | None = Field(
        default=None,
        description="Only if asked for: at most five words that speak most for the label, the strongest "
        "first. For an unknown or uncertain text, they speak for the likeliest label.",
    )


class PredictResponse(BaseModel):
    """Predictions in the order of the texts."""

    predictions: list[PredictedText] = Field(description="One per text.")


class Contribution(BaseModel):
    """What the prior, a word or the end of the text contributes to the decision."""

    contributions: dict[str, float] = Field(
        description="Contribution to the joint log-probability of each label, in nats."
    )
    contribution: float = Field(
        description="Contribution to the decision, in nats: positive for `label`, negative for `against`."
    )
    parts: dict[str, float] = Field(
        deprecated=True, description="Alias of `contributions`, until version 0.9."
    )
    part: float = Field(deprecated=True, description="Alias of `contribution`, until version 0.9.")


class EndContribution(Contribution):
    """The end of the text."""

    log_probability: dict[str, float] = Field(
        description="Log-probability under the language model of each label, in nats; if brief, of the two "
        "compared."
    )


class WordContribution(EndContribution):
    """A word of the text."""

    word: str = Field(description="The word as the text has it.")
    start: int = Field(ge=0, description="Start in the text, in characters (code points).")
    end: int = Field(ge=0, description="End in the text; the first character after the word.")
    field: str = Field(
        default="",
        description="The column that the word stands in, if a text of the model is several; else empty.",
    )


class ExplainResponse(BaseModel):
    """Why a text has its label. The contributions sum to the joint log-probabilities."""

    text: str = Field(description="The text of the request.")
    label: str = Field(description="The label explained.")
    against: str | None = Field(description="The label compared with; null if the model has a single label.")
    probabilities: dict[str, Probability] = Field(description="They sum to 1.")
    joint_log_probabilities: dict[str, float] = Field(description="In nats.")
    decision: float = Field(
        description="The joint log-probability of `label` minus that of `against`, in nats."
    )
    reading: str | None = Field(
        description="The normalized text that decided, if the text was recognized as disguised; else null."
    )
    prior: Contribution = Field(description="What the labels' prior probabilities contribute.")
    words: list[WordContribution] = Field(description="The words in their order.")
    end_of_text: EndContribution = Field(description="What the end of the text contributes.")


class SuggestedWord(BaseModel):
    """A likely next word."""

    word: str = Field(description="The word.")
    probability: Probability = Field(description="Probability that it comes next.")


class SuggestResponse(BaseModel):
    """Next words, the likeliest first."""

    suggestions: list[SuggestedWord] = Field(description="At most `n` words.")


class LearnResponse(BaseModel):
    """A lesson that the model has learned. It is on disk when this answer is sent."""

    id: str = Field(description="Identifies the lesson: a hash of the text as the model reads it.")
    label: str = Field(description="The label of the text.")
    changed: bool = Field(
        description="Whether the model changed; false if the lesson was already learned, or undone."
    )
    predicted_before: str | None = Field(
        description="The label predicted before the lesson; null if the model knew no text yet."
    )
    predicted_after: str = Field(description="The label predicted after the lesson.")


class LessonCounts(BaseModel):
    """How many lessons a model has learned."""

    total: int = Field(description="Lessons that count; one that was undone does not.")
    corrections: int = Field(description="Lessons whose text the model had given another label.")
    today: int = Field(description="Lessons since midnight, in the local time of the service.")
    corrections_today: int = Field(description="Corrections since midnight.")
    last: str | None = Field(description="Time of the last lesson (ISO 8601).")
    per_label: dict[str, int] = Field(description="Lessons by label.")
    needs_more: bool = Field(description="Whether the model has learned too little to predict labels.")
    needed_per_label: int = Field(description="Lessons of each label that such a model needs.")


class RequestLimits(BaseModel):
    """Limits per request."""

    max_body_bytes: int = Field(description="Size of a body, in bytes.")
    max_texts: int = Field(description="Texts per request.")
    max_characters: int = Field(description="Characters (code points) per text.")
    max_suggestions: int = Field(description="Words per request for suggestions.")


class ModelResponse(BaseModel):
    """The model in use: the output of `lmclassify info --format json`, and the limits of the service."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="Name of the model's folder.")
    checksum: str = Field(description="Changes whenever the model does.")
    can_suggest: bool = Field(description="Whether the model can suggest next words.")
    unknown_threshold: float | None = Field(
        description="Novelty above which a text is unlike every label; null if there is no threshold."
    )
    mail_fields: list[str] = Field(
        description="The fields of a mail message that make a text of the model, such as subject and body."
    )
    reading: dict[str, Any] = Field(
        description="What the model keeps of how its training texts were read: the `fields` of mail, the "
        "columns of tables."
    )
    labels: list[dict[str, Any]] = Field(description="Name, prior and training of each label.")
    can_learn: bool = Field(description="Whether the service accepts lessons.")
    lessons: LessonCounts | None = Field(
        default=None, description="How many lessons the model has learned; missing if there are none."
    )
    limits: RequestLimits


class StatusResponse(BaseModel):
    """Status of the service."""

    status: str


class ErrorPlace(BaseModel):
    """A wrong place in the request."""

    pointer: str = Field(description="JSON pointer (RFC 6901).")
    detail: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ErrorPlace] = []

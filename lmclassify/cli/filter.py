"""`lmclassify filter`: one message from standard input to standard output, with its label in headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.common import DEFAULT_MODEL, Exact, Fields, Model, load_model
from lmclassify.errors import OptionError
from lmclassify.mail.filter import EXIT_CODE, FilteredMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmclassify.classify.model import FittedModel
    from lmclassify.mail.verdicts import Verdict

_EXAMPLES = (
    "lmclassify filter -m model < message.eml",
    "lmclassify filter -m model --unsure 0.2,0.9 --reason < message.eml",
    "lmclassify filter --socket /run/user/1000/lmclassify < message.eml",
    "lmclassify filter --socket /run/lmclassify/socket --user alice@example.org < message.eml",
)


Socket = Annotated[
    str | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help="Ask the service that listens on this socket (lmclassify serve --socket PATH) instead of "
        "loading a model.",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        "--positive",
        metavar="NAME",
        help="The label that means spam. Default: `spam`, or the second of two labels.",
    ),
]
Unsure = Annotated[
    str | None,
    typer.Option(
        "--unsure",
        metavar="LOW,HIGH",
        help="Label a message `unsure` if its probability of spam is between these.",
    ),
]
Reason = Annotated[
    bool,
    typer.Option(
        "--reason",
        help="Add the header X-LMClassify-Reason: the five words that speak most for the label.",
    ),
]


def filter_message(
    run: Run,
    context: typer.Context,
    model: Model = DEFAULT_MODEL,
    socket: Socket = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="NAME", help="Whose model the service uses (lmclassify serve --models)."
        ),
    ] = None,
    fields: Fields = None,
    exit_code: Annotated[
        bool,
        typer.Option(EXIT_CODE, help="Exit with 0 for spam, 1 for ham, 2 for unsure and 3 for a failure."),
    ] = False,
    positive: Positive = None,
    unsure: Unsure = None,
    reason: Reason = False,
    exact: Exact = False,
) -> None:
    """Add the label of a mail message to its headers.

    Copies the message from standard input to standard output. The headers are X-LMClassify-Label and
    X-LMClassify-Score, the probability of spam. After any failure the
    message is copied unchanged and the exit status is 75, so that the mail system tries again.
    """
    filtered = context.obj
    if not isinstance(filtered, FilteredMessage):
        raise OptionError("filter must be the first argument: lmclassify filter [OPTIONS]")
    if socket is not None:
        from lmclassify.mail.client import classify_with_service

        if model != DEFAULT_MODEL or exact:
            raise OptionError("with --socket the service has the model; drop --model and --exact")
        classify_with_service(
            filtered, socket, fields=fields, positive=positive, unsure=unsure, reason=reason, user=user
        )
        return
    if user is not None:
        raise OptionError("--user needs --socket: the service has the models of users")
    from lmclassify.mail.fields import parse_fields
    from lmclassify.mail.verdicts import parse_unsure_zone

    if fields is not None:
        parse_fields(fields)
    unsure_zone = None if unsure is None else parse_unsure_zone(unsure)
    fitted = load_model(run, model, exact)
    names = fitted.reading.choose_fields(fields)
    filtered.verdict = verdict_of_model(fitted, filtered.message, names, positive, unsure_zone, reason)


def verdict_of_model(
    fitted: FittedModel,
    message: bytes,
    fields: Sequence[str],
    positive: str | None,
    unsure_zone: tuple[float, float] | None,
    reason: bool,
) -> Verdict:
    """Return what a loaded model decides about a message."""
    from lmclassify.mail.messages import read_message
    from lmclassify.mail.verdicts import UNSURE_LABEL, decide

    text = read_message(message, fields).text(fields)
    probabilities = dict(zip(fitted.label_names, fitted.predict_proba([text])[0].tolist(), strict=True))
    likeliest = max(probabilities, key=probabilities.__getitem__)
    label = UNSURE_LABEL if fitted.needs_lessons else likeliest
    verdict = decide(label, probabilities, positive, unsure_zone)
    if reason:
        from lmclassify.classify.explain import deciding_words

        decided = verdict.label if verdict.label in probabilities else likeliest
        verdict.reason = deciding_words(fitted, text, fitted.label_named(decided))
    return verdict


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "filter", filter_message, examples=_EXAMPLES, without=NOT_TRAINING)

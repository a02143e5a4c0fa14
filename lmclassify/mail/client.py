"""The program `lmclassify-filter`: `lmclassify filter --socket` with only fast imports."""

from __future__ import annotations

import argparse
import sys
import time

from lmclassify.errors import OptionError
from lmclassify.mail.fields import parse_fields
from lmclassify.mail.filter import EXIT_CODE, FilteredMessage, filter_standard_input
from lmclassify.mail.local_service import (
    DEFAULT_TIMEOUT,
    TOKEN,
    request_fields,
    request_lesson,
    request_prediction,
)
from lmclassify.mail.messages import read_message
from lmclassify.mail.verdicts import UNSURE, decide, parse_unsure_zone
from lmclassify.text.terminal import guard_standard_streams

LEARN_TIMEOUT = 30.0
"""Seconds to wait for the acknowledgement of a lesson: a lost lesson is worse than a slow one."""

TYPE_CHECKING = False  # importing typing takes too long
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lmclassify-filter",
        description="Copy a message from standard input to standard output and add the headers "
        "X-LMClassify-Label and X-LMClassify-Score, as predicted by a service on a local socket. After any "
        "failure the message is copied unchanged.",
        epilog=f"Exit status: 0, or 75 after a failure. The service's token is read from ${TOKEN}.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--socket", metavar="PATH", required=True, help="the socket of lmclassify serve --socket PATH"
    )
    parser.add_argument("--user", metavar="NAME", help="whose model to use, of lmclassify serve --models")
    parser.add_argument(
        "--fields",
        metavar="NAMES",
        help="the fields of the message to read; they must be those of the service's model, which is asked "
        "for them by default",
    )
    parser.add_argument(
        EXIT_CODE,
        action="store_true",
        help="exit with 0 for spam, 1 for ham, 2 for unsure, 3 after a failure",
    )
    parser.add_argument(
        "--positive", metavar="NAME", help="the positive label (default: spam, or the second of two labels)"
    )
    parser.add_argument(
        "--unsure", metavar="LOW,HIGH", help="write unsure if the probability is between LOW and HIGH"
    )
    parser.add_argument(
        "--reason",
        action="store_true",
        help="add the header X-LMClassify-Reason: the five words that speak most for the label",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for the service (default: %(default)g)",
    )
    return parser


def classify_with_service(
    filtered: FilteredMessage,
    socket: str,
    *,
    fields: str | None,
    positive: str | None,
    unsure: str | None,
    reason: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    user: str | None = None,
) -> None:
    """Set a message's verdict to the prediction of a service on a local socket.

    Raises LMClassifyError if the service does not answer, or an option is invalid.
    """
    given = None if fields is None else parse_fields(fields)
    unsure_zone = None if unsure is None else parse_unsure_zone(unsure)
    if not timeout > 0:
        raise OptionError(f"--timeout must be above 0, not {timeout:g}")
    deadline = time.monotonic() + timeout
    names, is_recorded = request_fields(socket, timeout, deadline, user)
    if given is not None and is_recorded and given != names:
        raise OptionError(f"--fields {fields}: the service's model reads {','.join(names)}; drop --fields")
    names = given or names
    text = read_message(filtered.message, names).text(names)
    label, probabilities, words = request_prediction(
        socket, text, timeout, deadline, reason=reason, user=user
    )
    verdict = decide(label, probabilities, positive, unsure_zone)
    if verdict.status == UNSURE or verdict.label == label:  # else they speak for another label
        verdict.reason = words
    filtered.verdict = verdict


def learn_with_service(
    socket: str,
    text: str,
    label: str,
    from_label: str | None = None,
    undo: bool = False,
    *,
    user: str | None = None,
    timeout: float = LEARN_TIMEOUT,
) -> Mapping[str, Any]:
    """Teach the model of a service on a local socket one text, or make it forget the text.

    Raises LMClassifyError if the service does not acknowledge this. It is safe to try again: a text counts
    once.

    Parameters
    ----------
    text : str
        The text as the model reads it.
    from_label : str, optional
        The label that the text had before, if it was moved.
    user : str, optional
        Whose model learns (``lmclassify serve --models``). The default is the shared one.

    Returns
    -------
    mapping
        ``id``, ``label``, ``changed`` (False if this was already learned), ``predicted_before`` and
        ``predicted_after``.
    """
    if not timeout > 0:
        raise OptionError(f"--timeout must be above 0, not {timeout:g}")
    return request_lesson(socket, text, label, from_label, undo, timeout, user)


def main() -> None:
    """Run the program with the arguments of this process."""
    guard_standard_streams()
    arguments = sys.argv[1:]
    parser = _parser()
    if {"-h", "--help"} & set(arguments):
        parser.print_help()
        return

    def classify(filtered: FilteredMessage) -> None:
        options = parser.parse_args(arguments)
        classify_with_service(
            filtered,
            options.socket,
            fields=options.fields,
            positive=options.positive,
            unsure=options.unsure,
            reason=options.reason,
            timeout=options.timeout,
            user=options.user,
        )

    sys.exit(filter_standard_input(arguments, classify))


if __name__ == "__main__":
    main()

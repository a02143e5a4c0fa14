"""`lmclassify-filter`: what `lmclassify filter --socket` does, with nothing imported that takes time."""

from __future__ import annotations

import argparse
import sys

from lmclassify.errors import OptionError
from lmclassify.mail.fields import DEFAULT_FIELDS, parse_fields
from lmclassify.mail.filter import EXIT_CODE, Filtering, filter_standard_input
from lmclassify.mail.local_service import SECONDS, TOKEN, ask
from lmclassify.mail.messages import read_message
from lmclassify.mail.verdicts import unsure_zone, verdict_of
from lmclassify.text.terminal import guard_standard_streams


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lmclassify-filter",
        description="Copy a message from standard input to standard output with headers X-LMClassify-Label "
        "and -Score, as a service on a local socket judges it; in every failure unchanged.",
        epilog=f"Exit status: 0, or 75 for a failure. A token for the service: ${TOKEN}.",
        allow_abbrev=False,
    )
    parser.add_argument("--socket", metavar="PATH", required=True, help="of lmclassify serve --socket PATH")
    parser.add_argument(
        "--fields",
        metavar="NAMES",
        default=",".join(DEFAULT_FIELDS),
        help="what the model was fitted on: subject, body or subject,body (default: %(default)s)",
    )
    parser.add_argument(
        EXIT_CODE, action="store_true", help="exit with 0 for spam, 1 for ham, 2 for unsure, 3 for a failure"
    )
    parser.add_argument(
        "--positive", metavar="NAME", help="the label that is spam (default: spam, or the second of two)"
    )
    parser.add_argument("--unsure", metavar="LOW,HIGH", help="unsure where its probability lies between")
    parser.add_argument(
        "--timeout", type=float, default=SECONDS, metavar="SECONDS", help="to wait (default: %(default)g)"
    )
    return parser


def judge_by_service(
    filtering: Filtering,
    socket: str,
    *,
    fields: str,
    positive: str | None,
    unsure: str | None,
    timeout: float = SECONDS,
) -> None:
    """Set a message's verdict to what a service on a local socket says.

    Raises
    ------
    LMClassifyError
        If it does not, or options make no sense.
    """
    names = parse_fields(fields)
    zone = None if unsure is None else unsure_zone(unsure)
    if not timeout > 0:
        raise OptionError(f"--timeout must be above 0, not {timeout:g}")
    text = read_message(filtering.message, names).text(names)
    label, probabilities = ask(socket, text, timeout)
    filtering.verdict = verdict_of(label, probabilities, positive, zone)


def main() -> None:
    """Run the program with the arguments of this process."""
    guard_standard_streams()
    arguments = sys.argv[1:]
    parser = _parser()
    if {"-h", "--help"} & set(arguments):
        parser.print_help()
        return

    def judge(filtering: Filtering) -> None:
        given = parser.parse_args(arguments)
        judge_by_service(
            filtering,
            given.socket,
            fields=given.fields,
            positive=given.positive,
            unsure=given.unsure,
            timeout=given.timeout,
        )

    sys.exit(filter_standard_input(arguments, judge))


if __name__ == "__main__":
    main()

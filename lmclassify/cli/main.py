"""The program `lmclassify`."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from lmclassify import __version__
from lmclassify.cli.help import Program, examples_text
from lmclassify.text.terminal import guard_standard_streams

COMMAND_MODULES = {
    "fit": "fit",
    "predict": "predict",
    "evaluate": "evaluate",
    "check": "check",
    "label": "label",
    "suggest-rows": "suggest_rows",
    "explain": "explain",
    "suggest": "generate",
    "generate": "generate",
    "info": "info",
    "add-label": "label_changes",
    "update": "label_changes",
    "remove-label": "label_changes",
    "learn": "learn",
    "refit": "refit",
    "serve": "serve",
    "filter": "filter",
    "milter": "milter",
    "watch": "watch",
    "benchmark": "benchmark",
    "download": "download",
}
"""The module of each command, in the order of --help."""

_EXAMPLES = (
    "lmclassify fit mail.csv                     # train on texts and labels",
    "lmclassify predict --text 'Lunch today?'    # label a text",
    "lmclassify fit --help                       # options of a command",
)
_starts = [time.monotonic()]  # of the program, for its first call in this process
_COMPLETING = "_LMCLASSIFY_COMPLETE"
_ANY_WIDTH = 100_000
"""Columns of help at most: more than any terminal has, so that help is as wide as the terminal."""


def build_program(arguments: Sequence[str]) -> typer.Typer:
    """Return the program. If the arguments name a command, it has no other: building each takes time."""
    named = arguments[0] if arguments else ""
    app = typer.Typer(
        name="lmclassify",
        help="Train a classifier of short texts, and see exactly which words decide.",
        cls=Program,
        epilog=examples_text(_EXAMPLES) if named not in COMMAND_MODULES else None,
        add_completion=named not in COMMAND_MODULES,  # shells ask for completions without arguments
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _ANY_WIDTH},
    )
    app.callback()(_options)
    for module in (
        [COMMAND_MODULES[named]] if named in COMMAND_MODULES else dict.fromkeys(COMMAND_MODULES.values())
    ):
        importlib.import_module(f"lmclassify.cli.{module}").register(app)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"lmclassify {__version__}")
        raise typer.Exit()


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program with the arguments of this process."""
    arguments = sys.argv[1:]
    filters = arguments[:1] == ["filter"] and not {"-h", "--help"} & set(arguments)
    for name, mode in (("stderr", "w"), ("stdin", "r"), ("stdout", "w")):
        if getattr(sys, name) is None and not (filters and name != "stderr"):  # closed by the caller
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    guard_standard_streams()
    if filters:
        sys.exit(_filter(arguments))
    if _COMPLETING in os.environ:
        os.environ["COLUMNS"] = "10000"  # fish takes each line of wrapped help for a candidate
    signal.signal(signal.SIGTERM, _end)
    from lmclassify.cli.command import note_start

    note_start(_starts.pop() if _starts else time.monotonic())
    build_program(sys.argv[1:])(prog_name="lmclassify")


def _filter(arguments: Sequence[str]) -> int:
    """Run the filter, which passes its message on whatever happens."""
    from lmclassify.mail.filter import filter_standard_input

    return filter_standard_input(
        arguments, lambda filtered: build_program(arguments)(prog_name="lmclassify", obj=filtered)
    )


def _end(number: int, _: object) -> None:
    """Exit by an exception, so that temporary files are removed."""
    sys.exit(128 + number)

"""The program `lmclassify`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from lmclassify import __version__
from lmclassify.cli import benchmark, explanation, fit, inspection, prediction, revising

app = typer.Typer(
    name="lmclassify",
    help="Text classification with one LSTM language model per label.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (fit, prediction, explanation, inspection, revising, benchmark):
    group.register(app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"lmclassify {__version__}")
        raise typer.Exit()


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program with the arguments of this process."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    signal.signal(signal.SIGTERM, _end)
    app(prog_name="lmclassify")


def _end(number: int, _: object) -> None:
    """Leave by an exception, so that drafts of files are removed."""
    sys.exit(128 + number)

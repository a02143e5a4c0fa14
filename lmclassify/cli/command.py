"""Commands: the options that all of them have, their messages, and how errors end them."""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from lmclassify.cli.help import GroupedCommand, examples_text
from lmclassify.errors import LMClassifyError, LMClassifyWarning, OptionError, printable
from lmclassify.logs import json_line

Options = Mapping[str, tuple[Any, Any]]
"""Options by the name of their parameter: (annotation, default)."""


_started = [time.monotonic()]


def note_start(moment: float) -> None:
    """Note when the program began, on the clock of `time.monotonic`."""
    _started[:] = [moment]


@dataclass(frozen=True)
class Run:
    """The common options of one run of a command, and how it prints messages."""

    quiet: bool = False
    verbose: bool = False
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    debug: bool = False
    log_format: str = "text"
    started: float = field(default_factory=lambda: _started[-1])
    """When the program began, on the clock of `time.monotonic`."""

    def say(self, message: str) -> None:
        """Print a message of one line on standard error, unless --quiet; a note begins with "note: "."""
        self.report(message if self._json else printable(message))

    def report(self, text: str) -> None:
        """Print lines on standard error, unless --quiet."""
        if self.quiet:
            return
        if self._json:
            message = text.rstrip("\n").removeprefix("note: ")
            text = json_line("warning" if text.startswith("note: ") else "info", message)
        print(text.rstrip("\n"), file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """Print an error on standard error, after the traceback if --debug is given."""
        where = traceback.format_exc() if self.debug else ""
        if self._json:
            text = json_line("error", message, traceback=where)
        else:
            text = f"{where}lmclassify: error: {printable(message)}"
        print(text, file=sys.stderr)

    @property
    def _json(self) -> bool:
        return self.log_format == "json"

    @property
    def shows_bars(self) -> bool:
        """Whether standard error is a terminal that may show progress bars."""
        return not self.quiet and not self._json and sys.stderr.isatty()


_COMMON: dict[str, Any] = {
    "quiet": Annotated[bool, typer.Option("-q", "--quiet", help="Only print errors.")],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="Print more messages.")],
    "seed": Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Random seed.")],
    "threads": Annotated[
        int | None, typer.Option("--threads", min=1, help="Number of threads. Default: one per processor.")
    ],
    "device": Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Device to train on.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")],
    "log_format": Annotated[
        Literal["text", "json"],
        typer.Option(
            "--log-format",
            help="Format of messages on standard error. `json`: one object per line with time, level and "
            "message; no progress bars.",
        ),
    ],
}

NOT_TRAINING = ("device", "seed")
"""Common options that commands which neither train nor sample do without."""
ONLY_READING = ("device", "seed", "threads")
"""The same of commands that do not score texts either."""

_CONTEXT = "typer_context"
_METAVARS = {int: "N", float: "NUMBER", str: "TEXT"}

Prepare = Callable[[dict[str, Any], frozenset[str], Mapping[str, Any]], dict[str, Any]]
"""(all options, names of those given on the command line, annotations) -> the options to use."""


def add_command(
    app: typer.Typer,
    name: str,
    function: Callable[..., None],
    options: Options | None = None,
    *,
    prepare: Prepare | None = None,
    examples: Sequence[str] = (),
    without: Sequence[str] = (),
) -> None:
    """Add a command to the program, with the common options.

    Parameters
    ----------
    function : callable
        Its first parameter is the `Run`; the others become options and arguments.
    options : mapping, optional
        More options, passed to the function as keyword arguments.
    prepare : callable, optional
        Changes the options before the function gets them.
    examples : sequence of str
        Command lines, printed at the end of the command's help.
    without : sequence of str
        Common options that do not matter to this command. It does not have them.
    """
    hints = get_type_hints(function, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        parameter.replace(annotation=hints[parameter.name], kind=keyword)
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    common = {key: (_COMMON[key], getattr(Run, key)) for key in _COMMON if key not in without}
    parameters += [
        inspect.Parameter(key, keyword, default=default, annotation=annotation)
        for key, (annotation, default) in {**(options or {}), **common}.items()
    ]
    parameters = [
        parameter.replace(annotation=_with_metavar(parameter.annotation)) for parameter in parameters
    ]
    annotations = {parameter.name: parameter.annotation for parameter in parameters}

    def invoke(**arguments: Any) -> None:
        if prepare is not None:
            context = arguments.pop(_CONTEXT)
            given = {key for key in arguments if context.get_parameter_source(key).name == "COMMANDLINE"}
            with _exit_status(Run(**{key: arguments[key] for key in common})):
                arguments = prepare(arguments, frozenset(given), annotations)
        run = Run(**{key: arguments.pop(key) for key in common})
        with _exit_status(run):
            function(run, **arguments)

    shown = list(parameters)
    if prepare is not None:
        shown.append(inspect.Parameter(_CONTEXT, keyword, annotation=typer.Context))
    invoke.__name__ = function.__name__
    invoke.__doc__ = function.__doc__
    invoke.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    app.command(name, cls=GroupedCommand, epilog=examples_text(examples))(invoke)


def _with_metavar(annotation: Any) -> Any:
    """Return the annotation of an option whose help has a word for its value, if it has none yet."""
    kind, *more = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if not more or not hasattr(more[0], "metavar") or more[0].metavar is not None:
        return annotation
    kinds = [part for part in get_args(kind) if part is not type(None)]
    if bool in (kind, *kinds):
        return annotation
    option = copy.copy(more[0])
    choices = get_args(kind if get_origin(kind) is Literal else kinds[0]) if kinds else ()
    option.metavar = "|".join(map(str, choices)) or _METAVARS.get(kinds[0] if kinds else kind)
    return Annotated[kind, option]


@contextlib.contextmanager
def _exit_status(run: Run) -> Iterator[None]:
    """Turn an exception that ends a command into one line on standard error and an exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if run.quiet else "default")
        warnings.showwarning = _show_warning(run)
        try:
            yield
            sys.stdout.flush()
        except (typer.Exit, SystemExit):
            raise
        except BrokenPipeError:  # the reader, such as head, has enough
            _discard_output()
            raise typer.Exit(141) from None
        except KeyboardInterrupt:
            _fail(run, "interrupted", 130)
        except LMClassifyError as error:
            _fail(run, str(error), 2 if isinstance(error, OptionError) else 1)
        except OSError as error:
            _discard_output()
            _fail(run, f"input or output failed: {error}", 1)
        except MemoryError:
            _fail(run, "not enough memory", 1)
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            _fail(run, f"unexpected {what} (this is a bug; --debug shows where)", 1)


def _fail(run: Run, message: str, status: int) -> None:
    run.fail(message)
    raise typer.Exit(status)


def _discard_output() -> None:
    """Discard what standard output still buffers, so that the program's end does not fail on it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(run: Run) -> Callable[..., None]:
    """Return a `warnings.showwarning` that prints each of lmclassify's warnings once, as a note."""
    shown: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        text = str(message)
        if text not in shown and (run.verbose or issubclass(category, LMClassifyWarning)):
            shown.add(text)
            run.say(f"note: {text}")

    return show

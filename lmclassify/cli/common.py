"""What all commands share: their common options, messages, progress and errors."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_type_hints

import typer

from lmclassify.errors import (
    LMClassifyError,
    LMClassifyWarning,
    OptionError,
    printable,
)
from lmclassify.logs import json_line
from lmclassify.text.terminal import unescaped

if TYPE_CHECKING:
    from rich.progress import Progress

    from lmclassify.classify.model import FittedModel

DEFAULT_MODEL = "./lmclassify-model"
DEFAULT_FIELDS = "subject"

TABLE = "CSV, TSV, JSON Lines, Parquet, text or mail, compressed or not"
"""What commands read, for their help."""

Model = Annotated[str, typer.Option("-m", "--model", metavar="FOLDER", help="The model's folder.")]
TextColumn = Annotated[
    str | None,
    typer.Option("--text-column", metavar="NAME", help="Column of texts. Default: found by usual names."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option("--label-column", metavar="NAME", help="Column of labels. Default: found by usual names."),
]
Fields = Annotated[
    str,
    typer.Option(
        "--fields",
        metavar="NAMES",
        help="What to read of mail: subject, body or subject,body; the same as in fit.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact", help="Ask every label's language model about every text, needed or not (slower)."
    ),
]
TextOrJson = Annotated[Literal["text", "json"], typer.Option("--format", help="How to print.")]

InputFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet", "text", "mail"] | None,
    typer.Option(
        "--input-format",
        help="What the data are; text: one text a line. Default: what the file's name ends in, else csv.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="Of the data, such as latin-1; detect guesses. Default: UTF-8, or UTF-16 with its mark.",
    ),
]

Engine = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="Where to work: on this machine, or on a Ray cluster."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray: the cluster's head, or auto for one that runs on this machine. "
        "Default: one of this machine is started, with --threads processes.",
    ),
]

SECONDS_BETWEEN_LINES = 10.0


def load_model(run: Run, folder: str, exact: bool) -> FittedModel:
    """Load a model to use as a command's options say."""
    from lmclassify.classify.model import load

    fitted = load(folder)
    fitted.n_jobs, fitted.exact = run.threads, exact
    return fitted


@dataclass(frozen=True)
class Run:
    """The common options of one run of a command, and how it speaks."""

    quiet: bool = False
    verbose: bool = False
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    debug: bool = False
    log_format: str = "text"

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
        """Print what ends the run on standard error, with the traceback where --debug asks for it."""
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
    "quiet": Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")],
    "seed": Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of all random numbers.")],
    "threads": Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads to use. Default: one a processor.")
    ],
    "device": Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where to train.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
    "log_format": Annotated[
        Literal["text", "json"],
        typer.Option("--log-format", help="Messages on standard error. json: time, level, message; no bars."),
    ],
}

_CONTEXT = "typer_context"

Prepare = Callable[[dict[str, Any], frozenset[str], Mapping[str, Any]], dict[str, Any]]
"""Given all options, the names of those that the command line gave, and annotations: the options to use."""


def command(
    app: typer.Typer,
    name: str,
    options: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    prepare: Prepare | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command that has the common options too.

    The function's first parameter is the `Run`. More options, as name -> (annotation, default), reach it
    as keyword arguments. Where there is `prepare`, it may change them all before.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        parameters = [
            parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in own
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        defaults = {key: getattr(Run, key) for key in _COMMON}
        extra = dict(options or {}) | {key: (_COMMON[key], defaults[key]) for key in _COMMON}
        parameters += [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in extra.items()
        ]

        annotations = {parameter.name: parameter.annotation for parameter in parameters}

        def invoke(**arguments: Any) -> None:
            if prepare is not None:
                context = arguments.pop(_CONTEXT)
                given = {key for key in arguments if context.get_parameter_source(key).name == "COMMANDLINE"}
                with _outcome(Run(**{key: arguments[key] for key in _COMMON})):
                    arguments = prepare(arguments, frozenset(given), annotations)
            run = Run(**{key: arguments.pop(key) for key in _COMMON})
            with _outcome(run):
                function(run, **arguments)

        invoke.__name__ = function.__name__
        invoke.__doc__ = function.__doc__
        shown = list(parameters)
        if prepare is not None:
            kind = inspect.Parameter.KEYWORD_ONLY
            shown.append(inspect.Parameter(_CONTEXT, kind, annotation=typer.Context))
        invoke.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        return app.command(name)(invoke)

    return register


@contextlib.contextmanager
def _outcome(run: Run) -> Iterator[None]:
    """Turn what ends a command into one line on standard error and an exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if run.quiet else "default")
        warnings.showwarning = _show_warning(run)
        try:
            yield
            sys.stdout.flush()
        except (typer.Exit, SystemExit):
            raise
        except BrokenPipeError:  # the reader (head, say) has enough
            _give_up_output()
            raise typer.Exit(141) from None
        except KeyboardInterrupt:
            _fail(run, "interrupted", 130)
        except LMClassifyError as error:
            _fail(run, str(error), 2 if isinstance(error, OptionError) else 1)
        except OSError as error:
            _give_up_output()
            _fail(run, f"input or output failed: {error}", 1)
        except MemoryError:
            _fail(run, "not enough memory", 1)
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            _fail(run, f"unexpected {what} (this is a bug; --debug shows where)", 1)


def _fail(run: Run, message: str, status: int) -> None:
    run.fail(message)
    raise typer.Exit(status)


def _give_up_output() -> None:
    """Let what is still in standard output's buffer go nowhere when the program ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(run: Run) -> Callable[..., None]:
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        text = str(message)
        if text not in said and (run.verbose or issubclass(category, LMClassifyWarning)):
            said.add(text)
            run.say(f"note: {text}")

    return show


def bars() -> Progress:
    """Return a progress display on standard error with an ETA."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=unescaped(sys.stderr)), transient=True)


class Display:
    """Says how far something long has come: a bar on a terminal, else a line every ten seconds.

    Parameters
    ----------
    run : Run
    name : str
        Before the state.
    total : float, optional
        What there is to do; None: unknown.
    """

    def __init__(self, run: Run, name: str, total: float | None = None) -> None:
        self._run, self._name, self._total = run, name, total
        self._done, self._state = 0.0, ""
        self._started = time.monotonic()
        self._bars = bars() if run.shows_bars else None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
            self._task = self._bars.add_task(printable(self._name), total=self._total, state="")
        elif not self._run.quiet:  # a thread, as what takes long may tell nothing for long
            threading.Thread(target=self._say_now_and_then, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._bars is not None:
            self._bars.stop()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return max(time.monotonic() - self._started, 1e-9)

    def show(self, done: float, state: str, total: float | None = None) -> None:
        """Take note of what is done, with a few words about it; `total` where it was not known before."""
        self._total = self._total if total is None else total
        self._done, self._state = done, state
        if self._bars is not None:
            self._bars.update(self._task, completed=done, total=self._total, state=printable(state))

    def times(self) -> str:
        """Return the share that is done, where known, the time it took and what is left."""
        share = min(self._done / self._total, 1.0) if self._total else 0.0
        taken = f"{self.seconds:,.0f} s so far"
        return f"{share:.0%}, {taken}, {self.seconds * (1 - share) / share:,.0f} s left" if share else taken

    def _say_now_and_then(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LINES):
            self._run.say(f"{self._name}{': ' if self._state else ''}{self._state} ({self.times()})")


class Counter(Display):
    """The same for rows of a table, of which the size in bytes is known, or not."""

    def __init__(self, run: Run, size: int | None) -> None:
        super().__init__(run, "rows", size)
        self._rows = 0

    def add(self, rows: int, bytes_read: int) -> None:
        """Count rows that are done."""
        self._rows += rows
        self.show(bytes_read, f"{self._rows:,} done, {self._rows / self.seconds:,.0f}/s")

"""What all commands share: their common options, messages, progress and errors."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from lmclassify.errors import (
    LMClassifyError,
    LMClassifyWarning,
    OptionError,
    printable,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from lmclassify.classify.fitted import FittedModel

DEFAULT_MODEL = "./lmclassify-model"
DEFAULT_FIELDS = "subject"

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

SECONDS_BETWEEN_LINES = 10.0


def load_model(run: Run, folder: str, exact: bool) -> FittedModel:
    """Load a model to use as a command's options say."""
    from lmclassify.classify.fitted import load

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

    def say(self, message: str) -> None:
        """Print a message of one line on standard error, unless --quiet."""
        self.report(printable(message))

    def report(self, text: str) -> None:
        """Print lines on standard error, unless --quiet."""
        if not self.quiet:
            print(text.rstrip("\n"), file=sys.stderr, flush=True)

    @property
    def shows_bars(self) -> bool:
        """Whether standard error is a terminal that may show progress bars."""
        return not self.quiet and sys.stderr.isatty()


_COMMON: dict[str, Any] = {
    "quiet": Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")],
    "verbose": Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")],
    "seed": Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of all random numbers.")],
    "threads": Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads to use. Default: one a processor.")
    ],
    "device": Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where to train.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
}


def command(
    app: typer.Typer, name: str, options: Mapping[str, tuple[Any, Any]] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command that has the common options too.

    The function's first parameter is the `Run`. More options, as name -> (annotation, default), reach it
    as keyword arguments.
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

        def invoke(**arguments: Any) -> None:
            run = Run(**{key: arguments.pop(key) for key in _COMMON})
            with _outcome(run):
                function(run, **arguments)

        invoke.__name__ = function.__name__
        invoke.__doc__ = function.__doc__
        invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoke.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
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
    if run.debug:
        traceback.print_exc()
    print(f"lmclassify: error: {printable(message)}", file=sys.stderr)
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
    return Progress(*columns, console=Console(stderr=True), transient=True)


class Counter:
    """Says how far a long run over rows has come: a bar on a terminal, else a line every ten seconds."""

    def __init__(self, run: Run, size: int | None) -> None:
        self._run = run
        self._size = size
        self._rows = 0
        self._started = self._said = time.monotonic()
        self._bars = bars() if run.shows_bars else None

    def __enter__(self) -> Counter:
        if self._bars is not None:
            self._bars.start()
            self._task = self._bars.add_task("rows", total=self._size, state="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def add(self, rows: int, bytes_read: int) -> None:
        """Count rows that are done."""
        self._rows += rows
        now = time.monotonic()
        state = f"{self._rows:,} rows, {self._rows / max(now - self._started, 1e-9):,.0f}/s"
        if self._bars is not None:
            self._bars.update(self._task, completed=bytes_read, state=state)
        elif now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            done = f" ({bytes_read / self._size:.0%})" if self._size else ""
            self._run.say(f"{state}{done}")

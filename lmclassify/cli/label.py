"""`lmclassify label`."""

from __future__ import annotations

import contextlib
import os
import threading
import webbrowser
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lmclassify.cli import common
from lmclassify.cli.command import Run, add_command
from lmclassify.cli.fit_inputs import check_label_names
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.errors import OptionError, counted, listing

if TYPE_CHECKING:
    from lmclassify.annotation.labelled_file import FileOptions, LabelledFile
    from lmclassify.annotation.session import Session
    from lmclassify.annotation.suspects import Suspect

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILES", help="CSV or TSV files with a header. The answers go into them."),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="NAME,NAME",
        help="Labels to choose from, in the order of their keys. Others can be added on the page. Default: "
        "those in the files, the most frequent one first.",
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column", metavar="NAME,...", help="Column of texts, or several. Default: found by name."
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help="Column of labels; added if it is missing. Default: found by name, else label.",
    ),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Show the rows whose label is suspicious, as lmclassify check finds them, to confirm or correct "
        "it. Default: show rows without label.",
    ),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port of the page on this machine. 0: any free port.")
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Do not open the page in a browser; only print its address.")
]

_HOST = "127.0.0.1"
_EXAMPLES = (
    "lmclassify label texts.csv",
    "lmclassify label inbox.csv archive.csv --labels spam,ham",
    "lmclassify label train.csv --check",
)


def label(
    run: Run,
    files: Files,
    labels: Labels = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    check: Check = False,
    encoding: common.Encoding = None,
    quoting: common.Quoting = None,
    port: Port = 0,
    no_browser: NoBrowser = False,
) -> None:
    """Label texts on a page in the browser.

    A model learns from the answers in the background: it guesses labels, and chooses the texts that it learns
    most from. Each answer is written into its file at once, in the columns label, labelled_at and source; the
    rest of the file stays as it is. The same command goes on where you stopped. Ctrl-C ends it.
    """
    common.require_packages("label", "fastapi", "uvicorn", extra="serve")
    names = [name.strip() for value in labels or [] for name in value.split(",")]
    check_label_names(names)
    from lmclassify.annotation.app import new_token, serve_session
    from lmclassify.annotation.file_lock import locked
    from lmclassify.annotation.labelled_file import FileOptions, LabelledFile
    from lmclassify.annotation.learner import Learner
    from lmclassify.annotation.session import Session
    from lmclassify.service.sockets import listen_on_port

    options = FileOptions(text_column, label_column, encoding, quoting, needs_labels=check)
    _require_different(files)
    with contextlib.ExitStack() as stack:
        opened = []
        for path in files:
            stack.enter_context(locked(path))
            opened.append(LabelledFile(path, options))
            _describe(run, opened[-1])
        suspects = _find_suspects(run, opened) if check else None
        session = Session(
            opened,
            labels=names,
            suspects=suspects,
            start_learner=partial(Learner, seed=run.seed),
            seed=run.seed,
        )
        if session.num_texts == session.num_labelled:
            what = "no label is suspicious" if check else "every text has a label"
            run.say(f"{listing(files)}: {what}; nothing to do")
            return
        listener = stack.enter_context(listen_on_port(_HOST, port, "--port"))
        token = new_token()
        address = f"http://{_HOST}:{listener.getsockname()[1]}/?token={token}"
        stack.enter_context(session)

        def started() -> None:
            run.say(f"label at {address}")
            run.say("Ctrl-C ends it; each answer is in its file at once")
            if not no_browser:  # some browsers run in the terminal until they are closed
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        serve_session(session, listener, token, on_start=started)
    _summarize(run, session, files, options)


def _require_different(files: Sequence[str]) -> None:
    real = [os.path.realpath(path) for path in files]
    twice = [path for number, path in enumerate(files) if real[number] in real[:number]]
    if twice:
        raise OptionError(f"{twice[0]} is given twice")


def _describe(run: Run, file: LabelledFile) -> None:
    texts = sum(1 for text in file.texts if text.strip())
    labelled = sum(1 for answer in file.answers if answer.label)
    run.say(f"{file.description}; {counted(texts, 'text')}, {labelled:,} labelled")
    for note in file.notes:
        run.say(f"note: {note}")


def _find_suspects(run: Run, files: Sequence[LabelledFile]) -> list[Suspect]:
    from lmclassify.annotation.suspects import find_suspects
    from lmclassify.parallel import number_of_threads

    with ProgressDisplay(run, "check", 1.0) as display:
        return find_suspects(
            files,
            seed=run.seed,
            threads=number_of_threads(run.threads),
            progress=lambda task, share: display.show(share, task),
        )


def _summarize(run: Run, session: Session, files: Sequence[str], options: FileOptions) -> None:
    done = "suspicious rows are checked" if options.needs_labels else "texts are labelled"
    run.say(f"{session.num_labelled:,} of {session.num_texts:,} {done} in {listing(files)}")
    if len(session.labels()) > 1:
        run.say(f"fit a model with: {options.fit_command(files)}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "label", label, examples=_EXAMPLES, without=("device",))

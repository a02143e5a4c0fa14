"""`lmclassify watch`: learn from the moves of messages between the folders of a Maildir."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.common import DEFAULT_MODEL, Model
from lmclassify.cli.filter import Positive
from lmclassify.cli.learn import Socket, User
from lmclassify.errors import DataError, LMClassifyError, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmclassify.mail.watch import MaildirWatcher, Teach

_STATE = "lmclassify-watch.state"
"""The state file in the Maildir: it moves with the Maildir, and mail programs ignore files there."""
Spam = Annotated[
    list[str] | None,
    typer.Option(
        "--spam",
        metavar="FOLDER",
        help="Folder with spam, as `.Junk` or `Junk`. A message that is moved into it is taught as spam, "
        "one that is moved out of it as ham. Repeatable.",
    ),
]
Folders = Annotated[
    bool,
    typer.Option(
        "--folders",
        help="Every folder is a label: a message that is moved into a folder is taught with its name, "
        "such as `Work` or `Work/Projects`.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="FOLDER",
        help="Folder in which messages say nothing. Repeatable. Trash, Drafts, Sent, Outbox and "
        "Templates, by their usual names, are always ignored.",
    ),
]
LearnExisting = Annotated[
    bool,
    typer.Option(
        "--learn-existing",
        help="At the first start, teach the messages that are in the folders. Default: only note where "
        "they are.",
    ),
]
Negative = Annotated[
    str | None,
    typer.Option(
        "--negative",
        metavar="NAME",
        help="The label of other mail. Default: `ham`, or the first of two labels.",
    ),
]
Once = Annotated[
    bool,
    typer.Option(
        "--once",
        help="Learn what was moved since the last run, and exit. Exit status 1 if not all of it.",
    ),
]
Interval = Annotated[
    float,
    typer.Option(
        "--interval",
        metavar="SECONDS",
        min=1,
        help="Look through all folders at this interval, too, not only when something changes.",
    ),
]
State = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="FILE",
        help=f"File that notes which message is in which folder. Default: {_STATE} in the Maildir.",
    ),
]
_EXAMPLES = (
    "lmclassify watch ~/Maildir --spam .Junk -m model",
    "lmclassify watch ~/Maildir --spam .Junk --socket /run/user/1000/lmclassify",
    "lmclassify watch ~/Maildir --spam .Junk --folders --ignore .Archive --once",
)


def watch(
    run: Run,
    maildir: Annotated[str, typer.Argument(metavar="MAILDIR", help="The Maildir, such as ~/Maildir.")],
    spam: Spam = None,
    folders: Folders = False,
    ignore: Ignore = None,
    learn_existing: LearnExisting = False,
    model: Model = DEFAULT_MODEL,
    socket: Socket = None,
    user: User = None,
    positive: Positive = None,
    negative: Negative = None,
    once: Once = False,
    interval: Interval = 60.0,
    state: State = None,
) -> None:
    """Teach a model what is moved between the folders of a Maildir.

    Works with any mail server and mail program that use the Maildir. New mail teaches nothing; a message
    that you move does. Moves that are made while it does not run are learned at the next start.
    """
    from lmclassify.mail.folder_labels import FolderLabels
    from lmclassify.mail.maildir import list_maildir
    from lmclassify.mail.watch import MaildirWatcher
    from lmclassify.mail.watch_state import WatchState

    if user is not None and socket is None:
        raise OptionError("--user goes with --socket")
    if socket is not None and model != DEFAULT_MODEL:
        raise OptionError("with --socket the service has the model; drop --model")
    found = list_maildir(maildir)
    if not found.folders:
        raise LMClassifyError(f"{maildir} is no Maildir: it has no folder with the folders cur and new")
    teach, labels = _folder_teacher(run, model) if socket is None else _service_teacher(run, socket, user)
    roles = FolderLabels(
        spam or [],
        every_folder=folders,
        ignore=ignore or [],
        labels=labels,
        positive=positive,
        negative=negative,
    )
    for note in roles.notes(found.folders):
        run.say(f"note: {note}")
    state_file = WatchState(state or os.path.join(maildir, _STATE))
    try:
        watcher = MaildirWatcher(
            maildir,
            state_file,
            roles,
            teach,
            say=lambda line: None if run.quiet else print(line, flush=True),
            warn=lambda line: run.say(f"note: {line}"),
            learn_existing=learn_existing,
            with_subjects=run.verbose,
        )
        if state_file.is_first and not learn_existing:
            run.say(f"first start: the messages in {maildir} are only noted; moves from now on are learned")
        if not once:
            _watch(run, watcher, maildir, interval)
        elif not watcher.scan():
            raise LMClassifyError("not all that was moved is learned yet: run the command again later")
    finally:
        state_file.close()


def _watch(run: Run, watcher: MaildirWatcher, maildir: str, interval: float) -> None:
    from lmclassify.mail.watch import noticed_changes

    with noticed_changes(maildir, lambda line: run.say(f"note: {line}")) as changed:
        run.say(f"watching {maildir}")
        watcher.watch(interval, changed, lambda: False)


def _folder_teacher(run: Run, model: str) -> tuple[Teach, Sequence[str]]:
    """Return a function that teaches the model in a folder, and the model's labels."""
    from lmclassify.classify.online.folder import LearningFolder

    folder = LearningFolder(model)
    folder.model.n_jobs = run.threads

    def teach(message: bytes, label: str, from_label: str | None, *, undo: bool) -> bool:
        text = _checked(folder.model.read_mail(message))
        named = folder.model.label_named
        moved_from = None if from_label is None else named(from_label)
        try:
            return folder.learn(text, named(label), undo=undo, from_label=moved_from)["changed"]
        except OptionError:
            if undo:  # taken back already, or learned too long ago
                return False
            raise

    return teach, folder.model.label_names


def _service_teacher(run: Run, socket: str, user: str | None) -> tuple[Teach, Sequence[str] | None]:
    """Return a function that teaches the model of a service, and the model's labels, if the service runs."""
    from lmclassify.mail.client import learn_with_service
    from lmclassify.mail.local_service import request_fields, request_labels
    from lmclassify.mail.messages import read_message

    def teach(message: bytes, label: str, from_label: str | None, *, undo: bool) -> bool:
        fields, _ = request_fields(socket, user=user)
        text = _checked(read_message(message, fields).text(fields))
        try:
            return bool(learn_with_service(socket, text, label, from_label, undo, user=user)["changed"])
        except DataError:
            if undo:
                return False
            raise

    try:
        return teach, request_labels(socket, user)
    except OptionError:
        raise
    except LMClassifyError as error:
        run.say(f"note: {error}; until then, lessons wait")
        return teach, None


def _checked(text: str) -> str:
    if not text.strip():
        raise DataError("it has no text")
    return text


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "watch", watch, examples=_EXAMPLES, without=NOT_TRAINING)

"""`lmclassify learn`: teach a saved model single texts and messages, or take lessons back."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.errors import DataError, OptionError, counted, plural, shorten

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.classify.online.folder import LearningFolder
    from lmclassify.datasets.reading import Reading

_EXAMPLES = (
    "lmclassify learn spam -m model < message.eml",
    "lmclassify learn ham --from spam -m model < message.eml",
    "lmclassify learn spam junk.mbox -m model",
    "lmclassify learn spam --labels spam,ham -m new-model < message.eml",
    "lmclassify learn --undo-since 2h -m model",
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


Label = Annotated[
    str | None,
    typer.Argument(metavar="[LABEL]", help="The true label of the texts.", show_default=False),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Messages, mailboxes, tables, or files of one text per line. Default: one message or text "
        "on standard input.",
        show_default=False,
    ),
]
Socket = Annotated[
    str | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        help="Teach the service that listens on this socket (lmclassify serve --socket PATH) instead of "
        "the model in a folder.",
    ),
]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="With --socket: whose model learns (serve --models)."),
]
FromLabel = Annotated[
    str | None,
    typer.Option("--from", metavar="LABEL", help="The label that the texts move from, such as a folder."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="NAME,NAME",
        help="If there is no model yet, begin one with these labels that has learned nothing.",
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="Take back that the texts were learned with this label.")]
UndoId = Annotated[
    str | None, typer.Option("--undo-id", metavar="ID", help="Take back the lesson with this id.")
]
UndoSince = Annotated[
    str | None,
    typer.Option(
        "--undo-since",
        metavar="TIME",
        help="Take back all lessons since a time, such as `2h`, `3d` or `2026-11-30T18:00`.",
    ),
]
Compact = Annotated[
    bool,
    typer.Option("--compact", help="Make the lessons in the journal part of the model's files."),
]


def learn(
    run: Run,
    label: Label = None,
    files: Files = None,
    model: common.Model = common.DEFAULT_MODEL,
    socket: Socket = None,
    user: User = None,
    from_label: FromLabel = None,
    labels: Labels = None,
    undo: Undo = False,
    undo_id: UndoId = None,
    undo_since: UndoSince = None,
    compact: Compact = False,
    text_column: common.TextColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    fields: common.Fields = None,
) -> None:
    """Teach a model single texts or messages, such as corrections.

    A lesson takes milliseconds. It is on the disk when the command prints what it has learned. A text that
    was already learned with the same label is not counted again.
    """
    others = [undo_id is not None, undo_since is not None, compact]
    if sum(others) > 1 or (any(others) and (label is not None or undo or from_label is not None)):
        raise OptionError("--undo-id, --undo-since and --compact stand alone: leave the rest out")
    if label is None and not any(others):
        raise OptionError("name the label of the texts: lmclassify learn LABEL [FILE]...")
    if undo and from_label is not None:
        raise OptionError("--undo takes no --from: it takes back what was learned with the label")
    sources = _Sources(files or [], text_column, input_format, encoding)
    if socket is not None:
        if any(others) or labels is not None or fields is not None or model != common.DEFAULT_MODEL:
            raise OptionError(
                "with --socket the service has the model; drop --model, --labels, --fields, --compact and "
                "--undo-..."
            )
        _teach_service(run, sources, socket, str(label), from_label, undo, user)
        return
    if user is not None:
        raise OptionError("--user goes with --socket")
    folder = _open(run, model, labels)
    if any(others):
        _manage(folder or _load(run, model), undo_id, undo_since)
        return
    fitted = _empty(labels, fields) if folder is None else folder.model
    name = fitted.label_named(str(label))
    moved_from = None if from_label is None else fitted.label_named(from_label)
    texts = sources.read(run, fitted.reading.choose_fields(fields), fitted.reading)
    if folder is None:
        fitted.save(model)
        run.say(f"began a model in {model}: it has learned nothing yet")
    learning = folder or _load(run, model)
    _teach(
        run,
        texts,
        str(label),
        undo,
        lambda text: learning.learn(text, name, undo=undo, from_label=moved_from),
    )


def _manage(folder: LearningFolder, undo_id: str | None, undo_since: str | None) -> None:
    """Take lessons back by id or by time, or else compact the journal."""
    if undo_id is not None:
        folder.undo_id(undo_id)
        print(f"took back lesson {undo_id}")
    elif undo_since is not None:
        print(f"took back {counted(folder.undo_since(_parse_time(undo_since)), 'lesson')}")
    else:
        folder.compact()
        print(f"compacted: the journal is empty, {_size(folder)} in all")


def _open(run: Run, path: str, labels: str | None) -> LearningFolder | None:
    """Load the model that learns; None if there is none, but labels to begin one with."""
    from lmclassify.persistence.layout import CONFIG

    exists = (Path(path) / CONFIG).exists()
    if not exists and labels is not None:
        return None
    if not exists:
        raise OptionError(
            f"no model in {path}: fit one, or begin with an empty one: "
            "lmclassify learn LABEL --labels NAME,NAME"
        )
    if labels is not None:
        run.say("note: there is a model already, so --labels has no effect")
    return _load(run, path)


def _load(run: Run, path: str) -> LearningFolder:
    from lmclassify.classify.online.folder import LearningFolder

    folder = LearningFolder(path)
    folder.model.n_jobs = run.threads
    return folder


def _empty(labels: str | None, fields: str | None) -> FittedModel:
    """Return a model that has learned nothing. It belongs to one mailbox, so it reads all of a message."""
    from lmclassify.classify.online.empty_model import empty_model
    from lmclassify.datasets.reading import Reading
    from lmclassify.mail.fields import FIELDS, parse_fields

    names = [name.strip() for name in (labels or "").split(",")]
    if not all(names):
        raise OptionError(f"--labels {labels}: a label without a name")
    model = empty_model(names)
    model.reading = Reading(fields=FIELDS if fields is None else parse_fields(fields))
    return model


@dataclass(frozen=True)
class _Sources:
    """Where the texts to learn are."""

    files: list[str]
    """Standard input if there are none."""
    text_column: str | None
    format: Any
    encoding: str | None

    def read(self, run: Run, fields: Sequence[str], reading: Reading) -> list[str]:
        """Return the texts: these fields of messages, and the columns of tables that the model reads.

        Raises DataError if there are none, and OptionError if --text-column contradicts the model.
        """
        from lmclassify.datasets.multiple_files import expand
        from lmclassify.datasets.texts import read_unlabelled

        if not self.files or self.files == ["-"]:
            return self._standard_input(fields)
        return read_unlabelled(
            expand(self.files),
            text_column=self.text_column,
            reading=reading,
            fields=fields,
            format=self.format,
            encoding=self.encoding,
            say=run.say,
        )

    def _standard_input(self, fields: Sequence[str]) -> list[str]:
        from lmclassify.mail.fields import MAX_MESSAGE_BYTES
        from lmclassify.mail.file_kinds import HEAD_BYTES, kind_of
        from lmclassify.mail.mbox import split_mbox
        from lmclassify.mail.messages import read_message

        data = sys.stdin.buffer.read()
        kind = kind_of("", data[:HEAD_BYTES])
        if kind is not None:
            messages = list(split_mbox(io.BytesIO(data), MAX_MESSAGE_BYTES)) if kind == "mbox" else [data]
            # A single message with a "From " line is read as `filter` reads it.
            messages = messages if len(messages) > 1 else [data]
            texts = [read_message(message, fields).text(fields) for message in messages]
        else:
            try:
                texts = [data.decode(self.encoding or "utf-8")]
            except (UnicodeDecodeError, LookupError):
                raise DataError(
                    "standard input is neither a message nor UTF-8 text; give --encoding"
                ) from None
        if not any(text.strip() for text in texts):
            raise DataError("there is no text on standard input to learn")
        return texts


def _teach_service(
    run: Run,
    sources: _Sources,
    socket: str,
    label: str,
    from_label: str | None,
    undo: bool,
    user: str | None,
) -> None:
    """Teach the model of a service, which tells what it reads of mail."""
    from lmclassify.datasets.reading import Reading
    from lmclassify.mail.client import learn_with_service
    from lmclassify.mail.local_service import request_fields, request_reading

    fields, _ = request_fields(socket, user=user)
    try:
        reading = Reading.from_json(request_reading(socket, user)) if sources.files else Reading()
    except ValueError as error:
        raise DataError(f"the model of the service on {socket} has {error}; update lmclassify") from None
    texts = sources.read(run, fields, reading)
    _teach(
        run,
        texts,
        label,
        undo,
        lambda text: learn_with_service(socket, text, label, from_label, undo, user=user),
    )


def _teach(
    run: Run, texts: list[str], label: str, undo: bool, learn: Callable[[str], Mapping[str, Any]]
) -> None:
    """Teach texts one after the other, and print what was learned."""
    done = []
    with ProgressDisplay(run, "learning") as progress:
        for number, text in enumerate(texts, 1):
            done.append(learn(text))
            progress.show(number, f"{number:,} of {counted(len(texts), 'text')}", len(texts))
    changed = [lesson for lesson in done if lesson["changed"]]
    if undo:
        print(f"took back {counted(len(changed), 'lesson')} of {shorten(label)}")
        return
    corrections = sum(lesson["predicted_before"] not in (None, label) for lesson in changed)
    line = f"learned {counted(len(changed), 'text')} as {shorten(label)}"
    if corrections:
        line += f", {counted(corrections, 'correction')}"
    if len(changed) < len(done):
        line += f"; {counted(len(done) - len(changed), 'text')} already learned"
    print(f"{line}; id {changed[0]['id']}" if len(done) == len(changed) == 1 else line)
    wrong = sum(lesson["predicted_after"] != label for lesson in changed)
    if wrong:
        run.say(f"note: {counted(wrong, 'text')} still {plural(wrong, 'gets', 'get')} another label")


def _size(folder: LearningFolder) -> str:
    lessons = folder.model.lessons
    return counted(0 if lessons is None else len(lessons.taught), "lesson")


def _parse_time(value: str) -> float:
    """Return a time in seconds since 1970. Raises OptionError if the value is none."""
    number, unit = value[:-1], value[-1:]
    if unit in _UNITS and number.replace(".", "", 1).isdigit():
        ago = timedelta(**{_UNITS[unit]: float(number)})
        return (datetime.now(UTC) - ago).timestamp()
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise OptionError(
            f"--undo-since takes a time such as 30m, 2h, 3d or 2026-11-30T18:00, not {shorten(value)}"
        ) from None


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "learn", learn, examples=_EXAMPLES, without=NOT_TRAINING)

"""`lmclassify learn`: teach a saved model single texts and messages, or take lessons back."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import NOT_TRAINING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.errors import DataError, OptionError, counted, shorten

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.classify.online.folder import LearningFolder
    from lmclassify.classify.online.teach import Learned

_EXAMPLES = (
    "lmclassify learn spam -m model < message.eml",
    "lmclassify learn ham --from spam -m model < message.eml",
    "lmclassify learn spam=junk.mbox ham=inbox.mbox -m model",
    "lmclassify learn spam --labels spam,ham -m new-model < message.eml",
    "lmclassify learn --undo-since 2h -m model",
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def learn(
    run: Run,
    label: Annotated[
        str | None,
        typer.Argument(
            metavar="[LABEL]", help="The true label of the texts; or NAME=FILE.", show_default=False
        ),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Messages, mailboxes, tables, or files of one text per line. Default: one message or text "
            "on standard input. NAME=FILE for each: teach several labels, mixed.",
            show_default=False,
        ),
    ] = None,
    model: common.Model = common.DEFAULT_MODEL,
    from_label: Annotated[
        str | None,
        typer.Option("--from", metavar="LABEL", help="The label that the texts move from, such as a folder."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="NAME,NAME",
            help="If there is no model yet, begin one with these labels that has learned nothing.",
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back that the texts were learned with this label.")
    ] = False,
    undo_id: Annotated[
        str | None, typer.Option("--undo-id", metavar="ID", help="Take back the lesson with this id.")
    ] = None,
    undo_since: Annotated[
        str | None,
        typer.Option(
            "--undo-since",
            metavar="TIME",
            help="Take back all lessons since a time, such as `2h`, `3d` or `2026-11-30T18:00`.",
        ),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Make the lessons in the journal part of the model's files."),
    ] = False,
    text_column: common.TextColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
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
    folder = _open(run, model, labels)
    if undo_id is not None:
        folder.undo_id(undo_id)
        print(f"took back lesson {undo_id}")
    elif undo_since is not None:
        print(f"took back {counted(folder.undo_since(_parse_time(undo_since)), 'lesson')}")
    elif compact:
        folder.compact()
        print(f"compacted: the journal is empty, {_size(folder)} in all")
    else:
        if undo and from_label is not None:
            raise OptionError("--undo takes no --from: it takes back what was learned with the label")
        moved_from = None if from_label is None else folder.model.label_named(from_label)
        options = (text_column, input_format, encoding)
        _teach(run, folder, _lessons(run, folder.model, str(label), files or [], *options), moved_from, undo)


def _lessons(
    run: Run,
    fitted: FittedModel,
    label: str,
    files: list[str],
    text_column: str | None,
    format: Any,
    encoding: str | None,
) -> list[tuple[str, Any]]:
    """Return texts with their labels: of one label, or of several as NAME=FILE.

    Texts of several labels are mixed (with a fixed seed): after many lessons of one label alone, the
    first ones of another would change too much, as they would in strict turns.
    """
    from lmclassify.datasets.multiple_files import labelled_files

    named = [] if label in map(str, fitted.label_names) else labelled_files([label, *files])
    if not named:
        name = fitted.label_named(label)
        return [(text, name) for text in _texts(run, fitted, files, text_column, format, encoding)]
    labels = [(fitted.label_named(name), path) for name, path in named]
    found: list[tuple[str, Any]] = []
    for name, path in labels:
        texts = _texts(run, fitted, [path], text_column, format, encoding)
        found += [(text, name) for text in texts]
    random.Random(0).shuffle(found)
    return found


def _open(run: Run, path: str, labels: str | None) -> LearningFolder:
    """Load the model that learns; begin one if there is none and labels are given."""
    from lmclassify.classify.online.empty_model import empty_model
    from lmclassify.classify.online.folder import LearningFolder
    from lmclassify.datasets.reading import Reading
    from lmclassify.mail.fields import DEFAULT_FIELDS
    from lmclassify.persistence.layout import CONFIG

    if not (Path(path) / CONFIG).exists():
        if labels is None:
            raise OptionError(
                f"no model in {path}: fit one, or begin with an empty one: "
                "lmclassify learn LABEL --labels NAME,NAME"
            )
        names = [name.strip() for name in labels.split(",")]
        if not all(names):
            raise OptionError(f"--labels {labels}: a label without a name")
        begun = empty_model(names)
        begun.reading = Reading(fields=DEFAULT_FIELDS)
        begun.save(path)
        run.say(f"began a model in {path}: it has learned nothing yet")
    elif labels is not None:
        run.say("note: there is a model already, so --labels has no effect")
    folder = LearningFolder(path)
    folder.model.n_jobs = run.threads
    return folder


def _texts(
    run: Run,
    fitted: FittedModel,
    files: list[str],
    text_column: str | None,
    format: Any,
    encoding: str | None,
) -> Iterator[str]:
    """Yield the texts to learn, read as the model's training texts were."""
    from lmclassify.datasets.multiple_files import expand
    from lmclassify.datasets.texts import read_unlabelled
    from lmclassify.mail.fields import MAX_MESSAGE_BYTES
    from lmclassify.mail.file_kinds import HEAD_BYTES, kind_of
    from lmclassify.mail.mbox import split_mbox

    if files and files != ["-"]:
        yield from read_unlabelled(
            expand(files),
            text_column=text_column,
            fields=fitted.reading.mail_fields,
            format=format,
            encoding=encoding,
            say=run.say,
        )
        return
    data = sys.stdin.buffer.read()
    kind = kind_of("", data[:HEAD_BYTES])
    if kind is not None:
        messages = list(split_mbox(io.BytesIO(data), MAX_MESSAGE_BYTES)) if kind == "mbox" else [data]
        # A single message with a "From " line is read as `filter` reads it.
        texts = [fitted.read_mail(message) for message in (messages if len(messages) > 1 else [data])]
    else:
        try:
            texts = [data.decode(encoding or "utf-8")]
        except (UnicodeDecodeError, LookupError):
            raise DataError("standard input is neither a message nor UTF-8 text; give --encoding") from None
    if not any(text.strip() for text in texts):
        raise DataError("there is no text on standard input to learn")
    yield from texts


def _teach(
    run: Run, folder: LearningFolder, lessons: list[tuple[str, Any]], from_label: Any, undo: bool
) -> None:
    """Teach texts one after the other, and print what was learned."""
    done: list[Learned] = []
    with ProgressDisplay(run, "learning") as progress:
        for number, (text, label) in enumerate(lessons, 1):
            done.append(folder.learn(text, label, undo=undo, from_label=from_label))
            progress.show(number, f"{number:,} of {counted(len(lessons), 'text')}", len(lessons))
    changed = [lesson for lesson in done if lesson["changed"]]
    numbers = {str(label): 0 for _, label in lessons}
    for lesson in changed:
        numbers[lesson["label"]] += 1
    if undo:
        taken = (f"{counted(number, 'lesson')} of {shorten(label)}" for label, number in numbers.items())
        print(f"took back {' and '.join(taken)}")
        return
    corrections = sum(lesson["predicted_before"] not in (None, lesson["label"]) for lesson in changed)
    learned = (f"{counted(number, 'text')} as {shorten(label)}" for label, number in numbers.items())
    line = f"learned {' and '.join(learned)}"
    if corrections:
        line += f", {counted(corrections, 'correction')}"
    if len(changed) < len(done):
        line += f"; {counted(len(done) - len(changed), 'text')} already learned"
    print(f"{line}; id {changed[0]['id']}" if len(done) == len(changed) == 1 else line)
    wrong = sum(lesson["predicted_after"] != lesson["label"] for lesson in changed)
    if wrong:
        run.say(f"note: {counted(wrong, 'text')} still get another label")


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

"""Options of `fit` alone: what it reads, where it writes, and one option for each setting of the model."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_type_hints

import typer

from lmclassify.classify.settings import Settings
from lmclassify.cli.common import TABLE

Data = Annotated[list[str] | None, typer.Argument(metavar="DATA", help=f"{TABLE}. `-` reads standard input.")]
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="NAMES",
        help="Parts of a mail message to read: some of `subject`, `body`, `sender`, `links`, `images`, "
        "`headers`, `lists` and `received`, separated by commas, or `all`. The model keeps them for all "
        "other commands. Default: all but `lists` and `received`.",
    ),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="A,B|A=FILE",
        help="Labels to keep (default: all). Or, once per label, the file with its texts: one text per line, "
        "an mbox file, a Maildir, a folder of messages, or a folder in which each file is one text.",
    ),
]
Label = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="NAME", help="One label to keep; its name may contain `,` and `=`. Repeatable."
    ),
]
Output = Annotated[
    str,
    typer.Option("-o", "--output", "-m", "--model", metavar="FOLDER", help="Folder to write the model to."),
]
Unlabelled = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled",
        metavar="FILE",
        help="More texts of the same kind, without labels, to learn from: a table, or one text per line. "
        "Repeatable. Rows of DATA without label are used in the same way.",
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME",
        help="Column with threads, senders or the like, where new texts come from other ones: the texts of "
        "one are never both trained on and held out.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Replace any model. By default `fit` replaces the model in the default folder only with one of "
        "the same labels, from named data with at least a tenth as many rows.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Resume an interrupted fit of the same data and settings."),
]
Time = Annotated[
    str | None,
    typer.Option(
        "--time",
        metavar="SECONDS",
        help="Wall time of the whole command, such as 60, 60s or 2m. It ends earlier if it is done. If it is "
        "too short for the n-gram models of all texts, they learn from a sample.",
    ),
]
TensorBoard = Annotated[
    str | None,
    typer.Option("--tensorboard", metavar="FOLDER", help="Write the losses of each epoch for TensorBoard."),
]
Shards = Annotated[
    int,
    typer.Option(
        "--shards",
        min=1,
        help="With --engine ray: number of processes that train each language model together, each on its "
        "part of the texts.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="FOLDER|URL",
        help="With --shards on several machines: shared storage for the state of training.",
    ),
]
OnBadRow = Annotated[
    Literal["skip", "fail"],
    typer.Option("--on-bad-row", help="Skip a row without text or label, or fail."),
]
ClassPrior = Annotated[
    str | None,
    typer.Option(
        "--class-prior", metavar="A=P,B=P", help="Prior of each label. Default: estimated from the data."
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        "--class-weight",
        metavar="balanced|A=W,B=W",
        help="Weight of each label in training. `balanced`: inversely proportional to its frequency.",
    ),
]


def _none_or_int(value: str | int | None) -> int | None:
    return None if value is None or str(value).lower() == "none" else int(value)


def setting_options() -> dict[str, tuple[Any, Any]]:
    """Return an option for every field of `Settings`."""
    hints = get_type_hints(Settings)
    options: dict[str, tuple[Any, Any]] = {}
    for item in fields(Settings):
        assert item.default is not MISSING
        flag = "--" + item.name.replace("_", "-")
        kind, default = hints[item.name], item.default
        more: dict[str, Any] = {}
        if kind in (bool, bool | None):
            flag = f"{flag}/--no-{flag.removeprefix('--')}"
        elif item.metadata["choices"]:
            kind = Literal[item.metadata["choices"]]
        elif kind == (int | None):
            more = {"parser": _none_or_int, "metavar": "N|none"}
        text = re.sub(
            "`([a-z]+_[a-z_]+)`", lambda name: "--" + name[1].replace("_", "-"), item.metadata["help"]
        )
        option = typer.Option(flag, help=text, **more)
        options[item.name] = (Annotated[kind, option], default)
    return options

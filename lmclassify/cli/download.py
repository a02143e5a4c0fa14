"""`lmclassify download`."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.cli.command import ONLY_READING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.datasets.public_sets import PUBLIC_SETS, Example, PublicFile, PublicSet
from lmclassify.errors import OptionError, counted, listing
from lmclassify.text.display import wrapped
from lmclassify.text.terminal import terminal_columns

if TYPE_CHECKING:
    from lmclassify.datasets.http_download import Progress
    from lmclassify.tables.writing import TableWriter

_NAMES = tuple(PUBLIC_SETS)
_ROWS_AT_ONCE = 4096
"""Rows per write: enough that a write costs little beside its rows."""


Set = Annotated[
    Literal[_NAMES] | None,  # type: ignore[valid-type]
    typer.Argument(metavar="SET", help=f"{', '.join(_NAMES)}. Default: list the data sets."),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="File to write. The parts of a set are written to FILE with .train, .test and so on before its "
        "ending. Default: SET.csv.",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Download from this URL instead: a file, or a folder (ends in /) with the set's files.",
    ),
]
Sha256 = Annotated[
    list[str] | None,
    typer.Option(
        "--sha256",
        metavar="HEX|FILE=HEX",
        help="Required SHA-256 of the set's file, or of one of its files. Repeatable. Default: the published "
        "checksum, else that of the first download.",
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Folder for unfinished downloads and checksums. Default: lmclassify in $XDG_CACHE_HOME or "
        "~/.cache.",
    ),
]

_EXAMPLES = (
    "lmclassify download",
    "lmclassify download sms-spam -o sms.csv",
    "lmclassify download trec -o trec.jsonl",
)


def download(
    run: Run,
    name: Set = None,
    output: Output = None,
    url: Url = None,
    sha256: Sha256 = None,
    cache: Cache = None,
) -> None:
    """Download a public data set as CSV.

    The columns are text and label. Run the command again to continue an interrupted download.
    """
    if name is None:
        _list()
        return
    from lmclassify.datasets.download_cache import default_cache, download_set
    from lmclassify.datasets.http_download import check_url
    from lmclassify.tables.writing import TableWriter, choose_output_format

    chosen = PUBLIC_SETS[name]
    target = output or f"{name}.csv"
    if target == "-" and chosen.parts:
        raise OptionError(
            f"{name} has the parts {listing(chosen.parts)}, which standard output cannot hold; "
            "name a file with -o"
        )
    urls = {} if url is None else _urls(chosen, url)
    for place in urls.values():
        check_url(place)
    checksums = _checksums(chosen, sha256 or [])
    run.say(f"{name}: {chosen.title}")
    run.say(f"licence: {chosen.licence}")
    run.say(f"cite: {chosen.citation}")

    @contextlib.contextmanager
    def progress(file: PublicFile) -> Iterator[Progress]:
        run.say(f"downloading {urls.get(file.name, file.url)} (at most {file.max_bytes / 2**20:,.0f} MB)")
        with ProgressDisplay(run, file.name) as display:
            yield lambda done, total: display.show(done, f"{done / 2**20:,.1f} MB", total)

    with contextlib.ExitStack() as stack:  # a file that cannot be written is reported before the download
        names = _targets(chosen, target)
        writers = {
            part: stack.enter_context(TableWriter(file, choose_output_format(file, None)))
            for part, file in names.items()
        }
        folder = Path(cache) if cache else default_cache()
        places: dict[str, Any] = {"urls": urls, "checksums": checksums}
        files = download_set(chosen, folder, **places, progress=progress, say=run.say)
        counts = _write(run, chosen.read(stack.enter_context(files)), writers)
    for part, file in names.items():
        run.say(f"{counted(counts[part], 'text')} written to {'standard output' if file == '-' else file}")


def _list() -> None:
    columns = terminal_columns(sys.stdout)
    for name, known in PUBLIC_SETS.items():
        parts = f" ({', '.join(known.parts)})" if known.parts else ""
        print(wrapped(f"{name}: {known.title}{parts}; licence: {known.licence}", columns, 4))


def _urls(chosen: PublicSet, url: str) -> dict[str, str]:
    if url.endswith("/"):
        return {file.name: url + file.name for file in chosen.files}
    if len(chosen.files) > 1:
        names = listing(file.name for file in chosen.files)
        raise OptionError(
            f"--url {url}: the set has several files ({names}); give the URL of their folder, ending in /"
        )
    return {chosen.files[0].name: url}


def _checksums(chosen: PublicSet, given: list[str]) -> dict[str, str]:
    names = [file.name for file in chosen.files]
    found = {}
    for value in given:
        name, equals, checksum = value.rpartition("=")
        if not equals and len(names) == 1:
            name = names[0]
        if name not in names:
            raise OptionError(f"--sha256 {value}: expected FILE=HEX, FILE one of {listing(names)}")
        if not re.fullmatch("[0-9a-fA-F]{64}", checksum):
            raise OptionError(f"--sha256 {value}: a SHA-256 has 64 hexadecimal digits")
        found[name] = checksum.lower()
    return found


def _targets(chosen: PublicSet, target: str) -> dict[str, str]:
    """Return the file of each part; a set without parts has one part, ""."""
    path = Path(target)
    names = {part: str(path.with_name(f"{path.stem}.{part}{path.suffix}")) for part in chosen.parts}
    return names or {"": target}


def _write(run: Run, examples: Iterable[Example], writers: Mapping[str, TableWriter]) -> dict[str, int]:
    """Write the texts of each part; return their numbers by part."""
    from lmclassify.tables.rows import Rows

    counts = dict.fromkeys(writers, 0)
    waiting: dict[str, list[list[str]]] = {part: [] for part in writers}
    blank = 0

    def flush(part: str) -> None:
        writers[part].write(Rows(["text", "label"], waiting[part]))
        waiting[part] = []

    for part, text, label in examples:
        text = text.replace("\0", "")  # table readers refuse NUL
        if not text.strip():
            blank += 1
            continue
        counts[part] += 1
        waiting[part].append([text, label])
        if len(waiting[part]) == _ROWS_AT_ONCE:
            flush(part)
    for part in writers:
        flush(part)
    if blank:
        run.say(f"note: {counted(blank, 'blank text')} left out")
    return counts


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(app, "download", download, examples=_EXAMPLES, without=ONLY_READING)

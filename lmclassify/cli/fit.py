"""`lmclassify fit`."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from lmclassify.classify.settings import Settings
from lmclassify.cli.common import (
    DEFAULT_MODEL,
    SECONDS_BETWEEN_LINES,
    LabelColumn,
    Run,
    TextColumn,
    bars,
    command,
)
from lmclassify.errors import DataError, OptionError, listing, shorten

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from lmclassify.lm.training import EpochRecord


def _none_or_int(value: str | int) -> int | None:
    return None if str(value).lower() == "none" else int(value)


def _hyper_parameters() -> dict[str, tuple[Any, Any]]:
    """Return an option for every field of `Settings`."""
    hints = get_type_hints(Settings)
    options: dict[str, tuple[Any, Any]] = {}
    for item in fields(Settings):
        assert item.default is not MISSING
        flag = "--" + item.name.replace("_", "-")
        kind, default = hints[item.name], item.default
        more: dict[str, Any] = {}
        if kind is bool:
            flag = f"{flag}/--no-{flag.removeprefix('--')}"
        elif item.metadata["choices"]:
            kind = Literal[item.metadata["choices"]]
        elif kind == int | None:
            more = {"parser": _none_or_int, "metavar": "INTEGER|none"}
        option = typer.Option(flag, help=item.metadata["help"], **more)
        options[item.name] = (Annotated[kind, option], default)
    return options


def register(app: typer.Typer) -> None:
    """Add the command to the program."""

    @command(app, "fit", _hyper_parameters())
    def fit(
        run: Run,
        data: Annotated[
            list[str] | None, typer.Argument(metavar="DATA", help="CSV or TSV files; - is stdin.")
        ] = None,
        labels: Annotated[
            list[str] | None,
            typer.Option(
                "--labels",
                metavar="A,B | A=FILE",
                help="Labels to keep (default: all), or, repeated, a file of texts per label, one a line.",
            ),
        ] = None,
        label: Annotated[
            list[str] | None,
            typer.Option("--label", metavar="NAME", help="One label to keep; it may hold , or =."),
        ] = None,
        output: Annotated[
            str, typer.Option("-o", "--output", "-m", "--model", metavar="FOLDER", help="Where to write.")
        ] = DEFAULT_MODEL,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        on_bad_row: Annotated[
            Literal["skip", "fail"], typer.Option("--on-bad-row", help="What to do without text or label.")
        ] = "skip",
        class_prior: Annotated[
            str | None,
            typer.Option("--class-prior", metavar="A=P,B=P", help="Priors to use instead of learnt ones."),
        ] = None,
        class_weight: Annotated[
            str | None,
            typer.Option("--class-weight", metavar="balanced | A=W,B=W", help="Weights of the labels."),
        ] = None,
        **settings: Any,
    ) -> None:
        """Train one language model per label.

        With neither DATA nor files, the bundled subject lines are used.
        """
        Settings(**settings)  # wrong options are told before anything is read
        names, files = _parse_labels(labels or [], label or [])
        if files and (data or names):
            raise OptionError("--labels NAME=FILE brings its own texts; it goes with neither DATA nor names")
        parameters: dict[str, Any] = {
            "class_prior": _numbers("--class-prior", class_prior),
            "class_weight": class_weight
            if class_weight in (None, "balanced")
            else _numbers("--class-weight", class_weight),
        }

        from lmclassify.classify.persistence import check_target

        check_target(output)
        if files:
            texts, given = _read_files(run, files, on_bad_row)
        else:
            texts, given = _read_tables(run, data or [], names, text_column, label_column, on_bad_row)
        _require_labels(names, given)

        from lmclassify.classify.classifier import LMClassifier

        if len(set(given)) == 1:
            run.say(f"note: all texts have one label ({given[0]}): every text will be given it")
        classifier = LMClassifier(
            **settings,
            **parameters,
            random_state=run.seed,
            n_jobs=run.threads,
            device=run.device,
        )
        with _EpochDisplay(run, sorted(set(given)), settings["max_epochs"]) as display:
            classifier.set_params(callback=display.update)
            classifier.fit(texts, given)
        classifier.save(output)
        for entry in classifier.model_.training_entries("label"):
            run.say(_summary(entry))
        run.say(f"model written to {output}")


def _parse_labels(labels: list[str], exact: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return names to keep, and files per label, from --labels and --label."""
    names = list(exact)
    files: dict[str, str] = {}
    for value in labels:
        if "=" in value:
            name, path = (part.strip() for part in value.split("=", 1))
            if not name or not path:
                raise OptionError(f"--labels {value}: expected NAME=FILE")
            if name in files:
                raise OptionError(f"--labels names {name} twice")
            files[name] = path
        else:
            names += [name.strip() for name in value.split(",")]
    if not all(names):
        raise OptionError("--labels holds an empty name")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--labels names {listing(twice)} twice")
    return names, files


def _numbers(option: str, value: str | None) -> dict[str, float] | None:
    if value is None:
        return None
    try:
        pairs = [item.rsplit("=", 1) for item in value.split(",")]
        return {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        raise OptionError(f"{option} {value}: expected NAME=NUMBER,NAME=NUMBER") from None


def _read_files(run: Run, files: dict[str, str], on_bad_row: str) -> tuple[list[str], list[str]]:
    from lmclassify.io.tables import read_lines

    texts: list[str] = []
    labels: list[str] = []
    for label, path in files.items():
        lines = read_lines(path)
        blank = [number for number, line in enumerate(lines, 1) if not line.strip()]
        if blank and on_bad_row == "fail":
            raise DataError(f"{path}, line {blank[0]:,} is blank; drop --on-bad-row fail to skip such lines")
        if blank:
            run.say(f"note: {path}: {len(blank):,} blank lines skipped")
        kept = [line for line in lines if line.strip()]
        if not kept:
            raise DataError(f"label {label!r} has no text: {path} is empty")
        texts += kept
        labels += [label] * len(kept)
    return texts, labels


def _read_tables(
    run: Run,
    paths: list[str],
    names: Sequence[str],
    text_column: str | None,
    label_column: str | None,
    on_bad_row: str,
) -> tuple[list[str], list[str]]:
    from lmclassify.io.bundled import bundled_data
    from lmclassify.io.tables import LABEL_COLUMNS, TEXT_COLUMNS, TableReader, require_column

    if not paths:
        paths = [str(bundled_data())]
        run.say("no DATA given: learning from the bundled subject lines")
    texts: list[str] = []
    labels: list[str] = []
    seen: set[str] = set()
    for path in paths:
        table = TableReader(path)
        text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
        label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
        if text_column is None or label_column is None:
            run.say(
                f"{table.name}: text column {table.columns[text_at]!r}, "
                f"label column {table.columns[label_at]!r}"
            )
        skipped = 0
        for chunk in table.chunks():
            rows = zip(chunk.index, chunk.iloc[:, text_at], chunk.iloc[:, label_at], strict=True)
            for row, text, label in rows:
                if label.strip():
                    seen.add(label)
                if names and label.strip() and label not in names:
                    continue
                if text.strip() and label.strip():
                    texts.append(text)
                    labels.append(label)
                elif on_bad_row == "fail":
                    empty = "label" if text.strip() else "text"
                    raise DataError(
                        f"{table.name}, row {row:,}: the {empty} is missing; drop --on-bad-row fail to skip "
                        "such rows"
                    )
                else:
                    skipped += 1
        if skipped:
            run.say(f"note: {table.name}: {skipped:,} rows without text or label skipped")
    unknown = [name for name in names if name not in seen]
    if unknown:
        raise DataError(
            f"no row of {listing(paths)} has label {listing(map(shorten, unknown))}; "
            f"labels there are: {listing(sorted(seen)) or 'none'}"
        )
    if not texts:
        raise DataError(f"{listing(paths)}: no row has both a text and a label")
    return texts, labels


def _require_labels(names: Sequence[str], given: Sequence[str]) -> None:
    without = [name for name in names if name not in set(given)]
    if without:
        raise DataError(f"label {listing(map(shorten, without))} has no text: its rows' texts are missing")


def _summary(entry: dict[str, Any]) -> str:
    held_out = "no held-out text"
    if entry["validation_loss"] is not None:
        held_out = (
            f"{entry['validation_loss']:.3f} nats/token on {entry['validation_texts']:,} held-out texts"
        )
    return (
        f"{entry['label']}: {entry['training_texts']:,} texts, "
        f"best epoch {entry['best_epoch']} of {entry['epochs']}, {held_out}"
    )


class _EpochDisplay:
    """Shows the training record as it grows: bars on a terminal, else a line now and then."""

    _MOST_BARS = 12

    def __init__(self, run: Run, labels: list[str], max_epochs: int) -> None:
        self._run = run
        self._labels = labels
        self._max_epochs = max_epochs
        self._lock = threading.Lock()
        self._said = time.monotonic()
        self._bars: Progress | None = bars() if run.shows_bars else None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _EpochDisplay:
        if self._bars is not None:
            self._bars.start()
            shown = self._labels if len(self._labels) <= self._MOST_BARS else ["all labels"]
            total = self._max_epochs * (1 if shown is self._labels else len(self._labels))
            self._tasks = {label: self._bars.add_task(label, total=total, state="") for label in shown}
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, label: str, record: EpochRecord) -> None:
        """Take note of a label's epoch; called from the threads that train."""
        loss = record.training_loss if record.validation_loss is None else record.validation_loss
        state = f"epoch {record.epoch}, {loss:.3f} nats/token"
        with self._lock:
            if self._bars is None:
                now = time.monotonic()
                if self._run.verbose or now - self._said >= SECONDS_BETWEEN_LINES:
                    self._said = now
                    self._run.say(f"{label}: {state}, {record.tokens / record.seconds:,.0f} tokens/s")
                return
            own = label in self._tasks
            task = self._tasks[label if own else "all labels"]
            skipped = record.max_epochs - record.epoch if record.finished else 0
            self._bars.update(task, advance=1 + skipped, state=state if own else f"{label}: {state}")

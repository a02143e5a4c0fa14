"""`lmclassify fit`."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from lmclassify.classify.settings import Settings
from lmclassify.cli.common import (
    DEFAULT_FIELDS,
    DEFAULT_MODEL,
    TABLE,
    Address,
    Display,
    Encoding,
    Engine,
    Fields,
    InputFormat,
    LabelColumn,
    Run,
    TextColumn,
    bars,
    command,
)
from lmclassify.cli.config_file import CONFIG_OPTIONS, read_config, write_config
from lmclassify.cli.tensorboard import Scalars
from lmclassify.errors import OptionError, listing

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from lmclassify.lm.neural.trainer import EpochRecord


_SETTINGS = frozenset(item.name for item in fields(Settings))


def _none_or_int(value: str | int | None) -> int | None:
    return None if value is None or str(value).lower() == "none" else int(value)


def _hyper_parameters() -> dict[str, tuple[Any, Any]]:
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
            more = {"parser": _none_or_int, "metavar": "INTEGER|none"}
        option = typer.Option(flag, help=item.metadata["help"], **more)
        options[item.name] = (Annotated[kind, option], default)
    return options


def register(app: typer.Typer) -> None:
    """Add the command to the program."""

    @command(app, "fit", _hyper_parameters() | CONFIG_OPTIONS, prepare=_prepare)
    def fit(
        run: Run,
        data: Annotated[
            list[str] | None, typer.Argument(metavar="DATA", help=f"{TABLE}; - is standard input.")
        ] = None,
        labels: Annotated[
            list[str] | None,
            typer.Option(
                "--labels",
                metavar="A,B | A=FILE",
                help="Labels to keep (default: all), or, repeated, a file of texts per label, one a line, or "
                "mail: an mbox file, a Maildir, a folder of messages.",
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
        input_format: InputFormat = None,
        encoding: Encoding = None,
        fields: Fields = DEFAULT_FIELDS,
        unlabelled: Annotated[
            list[str] | None,
            typer.Option(
                "--unlabelled",
                metavar="FILE",
                help="More texts, labels unknown, to learn the language at large from: tables or lines.",
            ),
        ] = None,
        resume: Annotated[
            bool,
            typer.Option("--resume", help="Go on with a fit of the same data and settings that was killed."),
        ] = False,
        tensorboard: Annotated[
            str | None,
            typer.Option(
                "--tensorboard", metavar="FOLDER", help="Write losses by label and epoch for TensorBoard."
            ),
        ] = None,
        engine: Engine = "local",
        address: Address = None,
        shards: Annotated[
            int,
            typer.Option(
                "--shards",
                min=1,
                help="With --engine ray: processes that train one language model together, each holding its "
                "part of the texts.",
            ),
        ] = 1,
        storage: Annotated[
            str | None,
            typer.Option(
                "--storage",
                metavar="FOLDER|URL",
                help="With --shards on several machines: what they share, to keep states of training in.",
            ),
        ] = None,
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
        if files and (label_column or (text_column and not unlabelled)):
            raise OptionError("--labels NAME=FILE has no columns; drop --text-column and --label-column")
        if unlabelled and settings["recipe"] != "tuned":
            raise OptionError("--unlabelled trains the background model, which only recipe tuned has")
        if [*(data or []), *files.values(), *(unlabelled or [])].count("-") > 1:
            raise OptionError("standard input (-) can be read once only")
        if engine != "ray" and (address is not None or shards > 1 or storage is not None):
            raise OptionError("--address, --shards and --storage are a Ray cluster's: give --engine ray too")
        from lmclassify.mail.fields import parse_fields

        mail_fields = parse_fields(fields)
        parameters: dict[str, Any] = {
            "class_prior": _numbers("--class-prior", class_prior),
            "class_weight": class_weight
            if class_weight in (None, "balanced")
            else _numbers("--class-weight", class_weight),
        }

        from lmclassify.classify.training.checkpoints import Checkpoints
        from lmclassify.datasets.bundled import bundled_data
        from lmclassify.datasets.labelled import LabelledTableReader, read_files, read_tables, read_unlabelled
        from lmclassify.datasets.multiple_files import expand
        from lmclassify.persistence.commit import check_target

        check_target(output)
        scalars = None if tensorboard is None else Scalars(tensorboard)
        with contextlib.ExitStack() as stack:
            cluster = rest = None
            if engine == "ray":
                from lmclassify.cluster.tasks import ray_tasks

                cluster = stack.enter_context(ray_tasks(address, run.threads, shards=shards, storage=storage))
                together = f", {shards:,} of them for each language model" if shards > 1 else ""
                run.say(f"Ray: {cluster.processes:,} processes{together}")
            if files:
                data_read = read_files(
                    files,
                    fields=mail_fields,
                    fail_on_bad_row=on_bad_row == "fail",
                    format=input_format,
                    encoding=encoding,
                    say=run.say,
                )
            else:
                if not data:
                    data = [str(bundled_data())]
                    run.say("no DATA given: learning from the bundled subject lines")
                how = LabelledTableReader(
                    labels=names,
                    text_column=text_column,
                    label_column=label_column,
                    fail_on_bad_row=on_bad_row == "fail",
                    format=input_format,
                    encoding=encoding,
                )
                if cluster is None or settings["recipe"] != "tuned" or "-" in data:
                    data_read = read_tables(expand(data), how, say=run.say)
                else:
                    from lmclassify.classify.training.sampling import sample_tables
                    from lmclassify.tables.urls import is_url

                    paths = expand(data)
                    if address is not None:  # other machines' processes stand in other folders
                        paths = [path if is_url(path) else os.path.abspath(path) for path in paths]
                    data_read, rest = sample_tables(paths, how, cluster, seed=run.seed, say=run.say)
            more = read_unlabelled(
                expand(unlabelled or []),
                text_column=text_column,
                fields=mail_fields,
                fail_on_bad_row=on_bad_row == "fail",
                encoding=encoding,
                say=run.say,
            )
            if more:
                run.say(f"{len(more):,} texts without label for the background model")
            found = sorted(set(data_read.labels))
            if len(found) == 1:
                run.say(f"note: all texts have one label ({found[0]}): every text will be given it")

            from lmclassify.classify.estimator import LMClassifier

            classifier = LMClassifier(
                **settings,
                **parameters,
                random_state=run.seed,
                n_jobs=run.threads,
                device=run.device,
            )
            checkpoints = stack.enter_context(Checkpoints(output, resume=resume, say=run.say))
            with (
                _EpochDisplay(run, found, settings["recipe"]) as display,
                scalars or contextlib.nullcontext(),
            ):

                def told(label: Any, record: EpochRecord) -> None:
                    display.update(label, record)
                    if scalars is not None:
                        scalars.update(display.name_of(label), record)

                classifier.set_params(callback=told)
                classifier.fit(
                    data_read.texts,
                    data_read.labels,
                    unlabelled=more,
                    checkpoints=checkpoints,
                    cluster=cluster,
                    rest=rest,
                )
            classifier.save(output)
        for kind in ("label", "backward label"):
            for entry in classifier.model_.training_entries(kind):
                run.say(_summary(entry))
        run.say(f"model written to {output}")


def _prepare(arguments: dict[str, Any], given: frozenset[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, those of --config where the command line gives none, and `save_config` done."""
    config, save_config = (arguments.pop(name) for name in CONFIG_OPTIONS)
    hints = {name: hint for name, hint in hints.items() if name not in CONFIG_OPTIONS}
    if config is not None:
        found = read_config(config, hints)
        for name, value in found.items():
            try:
                _check(name, value)
            except OptionError as error:
                raise OptionError(f"{config}: {name.replace('_', '-')}: {error}") from None
        arguments |= {name: value for name, value in found.items() if name not in given}
        if config == "-" and "-" in [*(arguments["data"] or []), *(arguments["unlabelled"] or [])]:
            raise OptionError("standard input (-) can be read once only")
    if save_config is not None:
        for name in hints:
            _check(name, arguments[name])
        lasting = [name for name in hints if name != "resume"]  # which is for this once
        write_config(save_config, {name: arguments[name] for name in lasting}, hints)
    return arguments


def _check(name: str, value: Any) -> None:
    """Raise if a value of an option makes no sense, whatever the others are."""
    if name in _SETTINGS:
        Settings(**{name: value})
    elif name in ("class_prior", "class_weight"):
        _numbers("--" + name.replace("_", "-"), None if value == "balanced" else value)
    elif name == "fields":
        from lmclassify.mail.fields import parse_fields

        parse_fields(value)
    elif name in ("labels", "label"):
        _parse_labels(*([value or [], []] if name == "labels" else [[], value or []]))


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
            if re.search(",[^,/]+=", path) and not os.path.exists(path):
                raise OptionError(f"--labels {value}: give --labels once for each file")
            files[name] = path
        else:
            names += [name.strip() for name in value.split(",")]
    if not all(names):
        raise OptionError("--labels holds an empty name")
    if any("\ud800" <= character <= "\udfff" for name in [*names, *files] for character in name):
        raise OptionError("--labels holds bytes that are not valid UTF-8")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--labels names {listing(twice)} twice")
    return names, files


def _numbers(option: str, value: str | dict[str, float] | None) -> dict[str, float] | None:
    if value is None or isinstance(value, dict):
        return value
    try:
        pairs = [item.rsplit("=", 1) for item in value.split(",")]
        numbers = {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        raise OptionError(f"{option} {value}: expected NAME=NUMBER,NAME=NUMBER") from None
    if len(numbers) < len(pairs):
        raise OptionError(f"{option} {value}: a label stands there twice")
    return numbers


def _summary(entry: dict[str, Any]) -> str:
    held_out = "no held-out text"
    if entry["validation_loss"] is not None:
        held_out = (
            f"{entry['validation_loss']:.3f} nats/token on {entry['validation_texts']:,} held-out texts"
        )
    backward = ", backward" if entry["kind"].startswith("backward") else ""
    return (
        f"{entry['label']}{backward}: {entry['training_texts']:,} texts, "
        f"best epoch {entry['best_epoch']} of {entry['epochs']}, {held_out}"
    )


class _EpochDisplay:
    """Shows the training record as it grows: bars on a terminal, else a line now and then."""

    _MOST_BARS = 12
    _MANY = "labels"
    _NGRAMS = "n-gram models"
    _TUNING = "tuning"

    def __init__(self, run: Run, labels: list[str], recipe: str) -> None:
        self._run = run
        self._labels = labels
        self._recipe = recipe
        self._lock = threading.Lock()
        self._bars: Progress | None = bars() if run.shows_bars else None
        self._lines = None if run.shows_bars else Display(run, "learning")
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _EpochDisplay:
        if self._bars is not None:
            self._bars.start()
            if self._recipe == "tuned":
                self._tasks[self._NGRAMS] = self._bars.add_task(self._NGRAMS, total=None, state="")
        elif self._recipe == "tuned":
            self._run.say("learning n-gram models, then language models")
        if self._lines is not None:
            self._lines.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()
        if self._lines is not None:
            self._lines.__exit__()

    def name_of(self, label: Any) -> str:
        """Return what to call the training of a label, or of all together (None)."""
        return self._TUNING if label is None else str(label)

    def update(self, label: Any, record: EpochRecord) -> None:
        """Take note of an epoch of a label, or of all together; called from the threads that train."""
        loss = record.training_loss if record.validation_loss is None else record.validation_loss
        tuning, name = label is None, self.name_of(label)
        state = (
            f"epoch {record.epoch} of {record.max_epochs}, {loss:.3f} nats/{'text' if tuning else 'token'}"
        )
        with self._lock:
            if self._lines is not None:
                state = f"{name}: {state}, {record.tokens / record.seconds:,.0f} tokens/s"
                self._lines.show(0, state)
                if self._run.verbose:
                    self._run.say(state)
                return
            assert self._bars is not None
            ngrams = self._tasks.get(self._NGRAMS)
            if ngrams is not None:
                self._bars.update(ngrams, total=1, completed=1, state="done")
            many = len(self._labels) > self._MOST_BARS and name in self._labels
            self._show(self._MANY if many else name, f"{name}: {state}" if many else state, record, many)

    def _show(self, name: str, state: str, record: EpochRecord, many: bool) -> None:
        assert self._bars is not None
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=0, state="")
        task = self._bars.tasks[self._bars.task_ids.index(self._tasks[name])]
        done = record.max_epochs if record.finished else record.epoch
        if many:  # one bar for all of them, which grows with each that begins
            begins = record.epoch == 1
            self._bars.update(
                task.id,
                total=(task.total or 0) + (record.max_epochs if begins else 0),
                advance=1 + (record.max_epochs - record.epoch if record.finished else 0),
                state=state,
            )
        else:
            self._bars.update(task.id, total=record.max_epochs, completed=done, state=state)

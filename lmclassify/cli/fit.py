"""`lmclassify fit`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from lmclassify.classify.settings import LSTM_SETTINGS, Settings, lstm_options_error
from lmclassify.classify.training.progress import SECONDS_BETWEEN_LINES, LineDisplay
from lmclassify.classify.training.time_limit import TimeLimit, parse_time
from lmclassify.cli.command import Options, Run, add_command
from lmclassify.cli.common import (
    DEFAULT_MODEL,
    DIALECT_OPTIONS,
    Address,
    Encoding,
    Engine,
    InputFormat,
    LabelColumn,
    MergeLabels,
    Sheet,
    TextColumn,
    parse_dialect,
)
from lmclassify.cli.config_file import CONFIG_OPTIONS, read_config, write_config
from lmclassify.cli.fit_guard import FitGuard
from lmclassify.cli.fit_inputs import FitInputs, count_labels, parse_labels
from lmclassify.cli.fit_options import (
    ClassPrior,
    ClassWeight,
    Data,
    Fields,
    Force,
    GroupColumn,
    Label,
    Labels,
    OnBadRow,
    Output,
    Resume,
    Shards,
    Storage,
    TensorBoard,
    Time,
    Unlabelled,
    setting_options,
)
from lmclassify.cli.progress import StageBlock
from lmclassify.cli.replacement import Replacement
from lmclassify.cli.tensorboard import TensorBoardWriter
from lmclassify.errors import OptionError, counted

if TYPE_CHECKING:
    from lmclassify.classify.model import FittedModel
    from lmclassify.classify.training.progress import Display
    from lmclassify.cluster.tasks import RayTasks

_EXAMPLES = (
    "lmclassify fit mail.csv -o model",
    "lmclassify fit mail.csv --text-column subject --labels spam,ham",
    "lmclassify fit --labels spam=junk.mbox --labels ham=Maildir/",
    "lmclassify fit mail.csv --recipe ngram",
    "lmclassify fit mail.csv --time 2m",
)
_TABLE_OPTIONS: Options = {"sheet": (Sheet, None), "merge_labels": (MergeLabels, False)}
_SETTINGS = frozenset(item.name for item in fields(Settings))
_LSTM_OPTIONS = LSTM_SETTINGS | {"unlabelled", "tensorboard", "shards", "storage"}
"""Options that make no sense with recipe ngram."""


def fit(
    run: Run,
    data: Data = None,
    labels: Labels = None,
    label: Label = None,
    output: Output = DEFAULT_MODEL,
    force: Force = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    input_format: InputFormat = None,
    encoding: Encoding = None,
    fields: Fields = None,
    unlabelled: Unlabelled = None,
    resume: Resume = False,
    tensorboard: TensorBoard = None,
    engine: Engine = "local",
    address: Address = None,
    shards: Shards = 1,
    storage: Storage = None,
    on_bad_row: OnBadRow = "skip",
    class_prior: ClassPrior = None,
    class_weight: ClassWeight = None,
    time: Time = None,
    **settings: Any,
) -> None:
    """Train a classifier on labelled texts.

    Without DATA and without a file per label, the bundled sample of subject lines is used.
    """
    tables = _pop_table_options(settings)
    chosen = Settings(**settings)  # wrong options are reported before anything is read
    limit = None if time is None else TimeLimit(parse_time(time, "--time"), run.started)
    names, files = parse_labels(labels or [], label or [])
    _check_cluster(engine, address, shards, storage)
    from lmclassify.classify.training.checkpoints import Checkpoints

    inputs = FitInputs(
        data=data or [],
        names=names,
        files=files,
        unlabelled=unlabelled or [],
        text_column=text_column,
        label_column=label_column,
        group_column=group_column,
        format=input_format,
        encoding=encoding,
        fields=fields,
        **tables,
        fail_on_bad_row=on_bad_row == "fail",
    )
    inputs.check(chosen.recipe, engine == "ray")
    prior, weight = _numbers("--class-prior", class_prior), _class_weight(class_weight)
    replacement = Replacement.prepare(output, force, inputs.are_named)
    with contextlib.ExitStack() as stack:
        guard = stack.enter_context(FitGuard(run, output, replacement.old, limit, chosen.recipe != "plain"))
        writer = None if tensorboard is None else stack.enter_context(TensorBoardWriter(tensorboard))
        cluster = stack.enter_context(_connect(run, address, shards, storage)) if engine == "ray" else None
        training, remainder, more = inputs.read(run, chosen.recipe, cluster, address is not None)
        replacement.require_similar(count_labels(training, remainder))
        from lmclassify.classify.training.fit import ClassifierTrainer  # scikit-learn, once the data are good

        guard.checkpoints = stack.enter_context(Checkpoints(output, resume=resume, say=guard.say))
        trainer = ClassifierTrainer(
            settings=chosen,
            class_prior=prior,
            class_weight=weight,
            random_state=run.seed,
            n_jobs=run.threads,
            device=run.device,
            callback=None if writer is None else writer.update,
            checkpoints=guard.checkpoints,
            cluster=cluster,
            on_stage=partial(guard.write, reading=inputs.recorded(training)),
            time_limit=limit,
            display=stack.enter_context(_display(run, guard)),
            files=inputs.file_names,
        )
        model = trainer.fit(training.texts, training.labels, None, more, remainder, training.groups or None)
    _summarize(run, model)


def _pop_table_options(settings: dict[str, Any]) -> dict[str, Any]:
    """Take the options that say how tables are read out of the other options."""
    dialect = parse_dialect(*(settings.pop(name) for name in DIALECT_OPTIONS))
    return {"dialect": dialect} | {name: settings.pop(name) for name in _TABLE_OPTIONS}


def _check_cluster(engine: str, address: str | None, shards: int, storage: str | None) -> None:
    if engine != "ray" and (address is not None or shards > 1 or storage is not None):
        raise OptionError("--address, --shards and --storage are for a Ray cluster; add --engine ray")


@contextlib.contextmanager
def _display(run: Run, guard: FitGuard) -> Iterator[Display]:
    """Return what shows the progress: a block on a terminal, else lines."""
    if not run.shows_bars:
        yield LineDisplay(run.say, 0.0 if run.verbose else SECONDS_BETWEEN_LINES)
        return
    with StageBlock(run) as block:
        guard.close_display = block.close
        yield block


@contextlib.contextmanager
def _connect(run: Run, address: str | None, shards: int, storage: str | None) -> Iterator[RayTasks]:
    """Connect to a Ray cluster, or start one on this machine."""
    from lmclassify.cluster.tasks import ray_tasks

    with ray_tasks(address, run.threads, shards=shards, storage=storage) as cluster:
        each = f", {shards:,} of them for each language model" if shards > 1 else ""
        run.say(f"Ray: {counted(cluster.processes, 'process', 'processes')}{each}")
        yield cluster


def _prepare(arguments: dict[str, Any], given: frozenset[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the options from --config, and write them to --save-config."""
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
            raise OptionError("standard input (-) can be read only once")
    if arguments["recipe"] == "ngram":
        only_lstms = [name for name in hints if name in given and name in _LSTM_OPTIONS]
        if arguments["long_texts"] == "truncate":
            only_lstms = [name for name in only_lstms if name != "max_length"]
        if only_lstms:
            raise lstm_options_error(["--" + name.replace("_", "-") for name in only_lstms])
    if save_config is not None:
        for name in hints:
            _check(name, arguments[name])
        saved = [name for name in hints if name not in ("resume", "force")]  # they are about one run only
        write_config(save_config, {name: arguments[name] for name in saved}, hints)
    return arguments


def _check(name: str, value: Any) -> None:
    """Raise if the value of one option is wrong, whatever the other options are."""
    if name in _SETTINGS:
        Settings(**{name: value})
    elif name == "time" and value is not None:
        parse_time(value)
    elif name in ("class_prior", "class_weight"):
        _numbers("--" + name.replace("_", "-"), None if value == "balanced" else value)
    elif name == "fields" and value is not None:
        from lmclassify.mail.fields import parse_fields

        parse_fields(value)
    elif name == "columns":
        from lmclassify.tables.dialect import parse_columns

        parse_columns(value)
    elif name in ("labels", "label"):
        parse_labels(*([value or [], []] if name == "labels" else [[], value or []]))


def _numbers(option: str, value: str | dict[str, float] | None) -> dict[str, float] | None:
    if value is None or isinstance(value, dict):
        return value
    try:
        pairs = [item.rsplit("=", 1) for item in value.split(",")]
        numbers = {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        raise OptionError(f"{option} {value}: expected NAME=NUMBER,NAME=NUMBER") from None
    if len(numbers) < len(pairs):
        raise OptionError(f"{option} {value}: names a label twice")
    return numbers


def _class_weight(value: str | dict[str, float] | None) -> Any:
    return value if value == "balanced" else _numbers("--class-weight", value)


def _summarize(run: Run, model: FittedModel) -> None:
    """Print a line for each language model of recipe plain."""
    if model.settings.recipe != "plain":
        return
    for kind in ("label", "backward label"):
        for entry in model.training_entries(kind):
            run.say(_summary(entry))


def _summary(entry: dict[str, Any]) -> str:
    held_out = "no held-out text"
    if entry["validation_loss"] is not None:
        texts = counted(entry["validation_texts"], "held-out text")
        held_out = f"{entry['validation_loss']:.3f} nats/token on {texts}"
    backward = ", backward" if entry["kind"].startswith("backward") else ""
    return (
        f"{entry['label']}{backward}: {counted(entry['training_texts'], 'text')}, "
        f"best epoch {entry['best_epoch']} of {entry['epochs']}, {held_out}"
    )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    options = {**DIALECT_OPTIONS, **_TABLE_OPTIONS, **setting_options(), **CONFIG_OPTIONS}
    add_command(app, "fit", fit, options, prepare=_prepare, examples=_EXAMPLES)

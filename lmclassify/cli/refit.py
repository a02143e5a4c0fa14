"""`lmclassify refit`: fits a model again with the texts that it was taught."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lmclassify.classify.training.progress import SECONDS_BETWEEN_LINES, LineDisplay
from lmclassify.cli import common
from lmclassify.cli.command import Options, Run, add_command
from lmclassify.cli.fit_inputs import FitInputs, parse_labels
from lmclassify.cli.fit_options import Labels
from lmclassify.cli.progress import StageBlock
from lmclassify.cli.replacement import OldModel, replacing
from lmclassify.errors import DataError, OptionError, OutputError, counted, plural, shorten

if TYPE_CHECKING:
    from lmclassify.classify.online.refit import Refit
    from lmclassify.classify.training.progress import Display

LEAST_SHARE = 0.5
"""A refit on fewer texts than this share of those of the old model lacks its training data."""
_TABLE_OPTIONS: Options = {**common.DIALECT_OPTIONS, "sheet": (common.Sheet, None)}


def refit(
    run: Run,
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help=f"The training data: {common.TABLE}. `-` reads standard input."),
    ] = None,
    labels: Labels = None,
    model: common.Model = common.DEFAULT_MODEL,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            help="Do not fit. From now on, the model keeps the latest N texts that it is taught, in its "
            "folder, readable by its owner only. 0 deletes them and keeps no more. A new model keeps none.",
        ),
    ] = None,
    recipe: Annotated[
        Literal["tuned", "ngram", "plain"] | None,
        typer.Option("--recipe", help="See `lmclassify fit --help`. Default: the recipe of the model."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Fit even on far fewer texts than before, or if lessons are lost."),
    ] = False,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    fields: common.Fields = None,
    **table: Any,
) -> None:
    """Fit a model again with the texts that it was taught.

    The new model has the settings of the old one and replaces it. Name the training data, too: a text in them
    that was taught with another label gets that one. Texts are kept for this after `lmclassify refit --keep
    N`. Lessons that are taught during the fit are not lost.
    """
    names, files = parse_labels(labels or [], [])
    inputs = FitInputs(
        data=data or [],
        names=names,
        files=files,
        unlabelled=[],
        text_column=text_column,
        label_column=label_column,
        group_column=None,
        format=input_format,
        encoding=encoding,
        fields=fields,
        dialect=common.parse_dialect(*(table.pop(name) for name in common.DIALECT_OPTIONS)),
        merge_labels=False,
        fail_on_bad_row=False,
        **table,
    )
    if keep is None:
        _refit(run, model, inputs, recipe, force)
    elif inputs.are_named:
        raise OptionError("--keep only sets how many texts are kept: fit again without it afterwards")
    else:
        _set_limit(run, model, keep)


def _refit(run: Run, model: str, inputs: FitInputs, recipe: str | None, force: bool) -> None:
    from lmclassify.classify.online.refit import Refit

    old, work = OldModel.find(model), Refit(model)
    settings = work.model.settings if recipe is None else replace(work.model.settings, recipe=recipe)
    if settings.recipe == "online":
        raise OptionError(
            "a model of recipe online has nothing but lessons to fit: add --recipe ngram or --recipe tuned"
        )
    inputs = replace(inputs, reading=work.model.reading)
    inputs.check(settings.recipe, False)
    if not work.kept and not inputs.are_named:
        raise OptionError(
            f"{model} keeps no texts: name the training data, or let it keep what it is taught from now on "
            "with `lmclassify refit --keep 2000`"
        )
    texts, labels = _read(run, inputs, work)
    if not force:
        _require_enough(work, old, len(texts), inputs.are_named)
    from lmclassify.classify.training.fit import ClassifierTrainer  # scikit-learn, once the data are good

    parameters = work.estimator_parameters()
    with _display(run) as display:
        fitted = ClassifierTrainer(
            settings=settings,
            class_prior=parameters.get("class_prior"),
            class_weight=parameters.get("class_weight"),
            random_state=run.seed,
            n_jobs=run.threads,
            device=run.device,
            display=display,
            files=inputs.file_names if inputs.are_named else ["kept texts"],
        ).fit(texts, labels)
    undone = work.commit(fitted)
    run.say(f"model written to {model}{replacing(old)}")
    if undone:
        run.say(
            f"note: {counted(undone, 'lesson was', 'lessons were')} taken back during the fit, but the new "
            f"model was fitted on {plural(undone, 'its text', 'their texts')}: run this again"
        )


@contextlib.contextmanager
def _display(run: Run) -> Iterator[Display]:
    """Return what shows the progress: a block on a terminal, else lines."""
    if run.shows_bars:
        with StageBlock(run) as block:
            yield block
    else:
        yield LineDisplay(run.say, 0.0 if run.verbose else SECONDS_BETWEEN_LINES)


def _set_limit(run: Run, model: str, limit: int) -> None:
    from lmclassify.classify.online.kept_texts import KeptTexts
    from lmclassify.persistence.journal import folder_journal

    texts = KeptTexts(folder_journal(model, "texts"))
    before = len(texts.texts())
    texts.set_limit(limit)
    now = len(texts.texts())
    deleted = f"; {counted(before - now, 'text')} deleted" if before > now else ""
    if limit:
        run.say(
            f"{model} keeps the latest {counted(limit, 'text')} that it is taught from now on, {now:,} so "
            f"far{deleted}"
        )
    else:
        run.say(f"{model} keeps no texts{deleted}")


def _read(run: Run, inputs: FitInputs, work: Refit) -> tuple[list[str], list[Any]]:
    """Return the texts to fit and their labels; say how many come from where."""
    by_name = {str(label): label for label in work.model.classes_.tolist()}
    texts: list[str] = []
    labels: list[Any] = []
    if inputs.are_named:
        rows, _, _ = inputs.read(run, work.model.settings.recipe, None, False)
        unknown = next((label for label in rows.labels if label not in by_name), None)
        if unknown is not None:
            known = ",".join(by_name)
            raise DataError(
                f"label {shorten(unknown)} of the data is not one of the model's: leave its rows out with "
                f"--labels {known}, or train a new model with `lmclassify fit`"
            )
        texts, labels = rows.texts, [by_name[label] for label in rows.labels]
    given = len(texts)
    texts, labels, corrected = work.combine(texts, labels)
    run.say(
        f"fitting {counted(len(texts), 'text')}: {given:,} of the data, {corrected:,} of them with the label "
        f"that they were taught, and {len(texts) - given:,} more that were kept"
    )
    return texts, labels


def _require_enough(work: Refit, old: OldModel | None, texts: int, are_named: bool) -> None:
    """Raise OutputError if the new model would have learned from far fewer texts, or lacks lessons."""
    before = old.texts if old is not None else None
    if before is not None and texts < LEAST_SHARE * before:
        raise OutputError(
            f"not fitting {counted(texts, 'text')}: the model was fitted on {before:,}; name "
            f"{'all' if are_named else 'the'} training data, or add --force"
        )
    lost = work.lost_lessons()
    if lost:
        raise OutputError(
            f"{counted(lost, 'lesson')} would be lost: their texts are neither kept nor in the data, and "
            "they are too old to be carried over; name data that have them, or add --force"
        )


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    add_command(
        app,
        "refit",
        refit,
        _TABLE_OPTIONS,
        examples=(
            "lmclassify refit --keep 2000 -m model       # keep texts from now on",
            "lmclassify refit mail.csv -m model          # fit the training data and the kept texts",
            "lmclassify refit --keep 0 -m model          # delete kept texts and keep no more",
        ),
    )

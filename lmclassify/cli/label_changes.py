"""`lmclassify add-label`, `update` and `remove-label`: they change single labels of a model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli import common
from lmclassify.cli.command import ONLY_READING, Run, add_command
from lmclassify.cli.progress import ProgressDisplay
from lmclassify.cli.replacement import OldModel, replacing
from lmclassify.errors import OptionError, counted, shorten

if TYPE_CHECKING:
    from lmclassify.classify.estimator import LMClassifier
    from lmclassify.lm.neural.trainer import EpochRecord

Output = Annotated[
    str | None,
    typer.Option(
        "-o", "--output", metavar="FOLDER", help="Folder to write the model to. Default: replace the model."
    ),
]
Name = Annotated[str, typer.Argument(metavar="LABEL", help="Name of the label.")]


def add_label(
    run: Run,
    label: Name,
    texts: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Texts of the label: tables, mail, or one text per line."),
    ],
    model: common.Model = common.DEFAULT_MODEL,
    output: Output = None,
    text_column: common.TextColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    quoting: common.Quoting = None,
    header: common.Header = None,
    columns: common.Columns = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
) -> None:
    """Add a label to a model.

    The files of the other labels do not change.
    """
    from lmclassify.datasets.multiple_files import expand
    from lmclassify.datasets.texts import read_unlabelled
    from lmclassify.persistence.commit import check_target

    classifier, state = _load(run, model)
    check_target(output or model)
    name = _convert_label(classifier, label)
    found = read_unlabelled(
        expand(texts),
        text_column=text_column,
        reading=classifier.model_.reading,
        fields=classifier.model_.reading.choose_fields(fields),
        format=input_format,
        encoding=encoding,
        dialect=common.parse_dialect(quoting, header, columns),
        sheet=sheet,
        say=run.say,
    )
    run.say(f"training label {shorten(label)} on {counted(len(found), 'text')}")
    from lmclassify.classify.incremental.add_label import count_trainings

    with _TrainingProgress(
        run, f"training {shorten(label)}", count_trainings(classifier.model_, len(found))
    ) as progress:
        classifier.set_params(callback=progress.update)
        classifier.add_label(name, found)
    _save(run, classifier, model, output, state)


def update(
    run: Run,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA",
            help=f"Corrected rows: {common.TABLE}. `-` reads standard input. Or LABEL=FILE for mail and "
            "other texts of one label.",
        ),
    ],
    model: common.Model = common.DEFAULT_MODEL,
    output: Output = None,
    text_column: common.TextColumn = None,
    label_column: common.LabelColumn = None,
    input_format: common.InputFormat = None,
    encoding: common.Encoding = None,
    quoting: common.Quoting = None,
    header: common.Header = None,
    columns: common.Columns = None,
    sheet: common.Sheet = None,
    fields: common.Fields = None,
) -> None:
    """Teach a model corrected rows of a table, or mail.

    All rows are taught, or none if one cannot be used. Each text is a lesson, as with `lmclassify learn`. If
    there is a column learned_as, it names the label that a row's text moves from; leave it blank where there
    is none. What was fitted does not change.
    """
    from lmclassify.classify.incremental.update import update, update_folder
    from lmclassify.classify.online.folder import LearningFolder
    from lmclassify.datasets.corrections import read_all_corrections
    from lmclassify.persistence.commit import check_target

    check_target(output or model)
    saved = LearningFolder(model)
    saved.model.n_jobs = run.threads
    by_name = {str(label): label for label in saved.model.classes_.tolist()}
    reading = saved.model.reading
    rows = read_all_corrections(
        data,
        by_name,
        text_column=text_column,
        label_column=label_column,
        reading=reading,
        fields=reading.choose_fields(fields),
        format=input_format,
        encoding=encoding,
        dialect=common.parse_dialect(quoting, header, columns),
        sheet=sheet,
        say=run.say,
    )
    labels = [by_name[name] for name in rows.labels]
    wrong = [None if name is None else by_name[name] for name in rows.learned_as]
    run.say(f"teaching {counted(len(labels), 'row')}")
    with ProgressDisplay(run, "learning", len(labels)) as progress:

        def show(done: int) -> None:
            progress.show(done, f"{done:,} of {counted(len(labels), 'text')}")

        old = OldModel.find(output or model)
        if output is None or os.path.realpath(output) == os.path.realpath(model):
            update_folder(saved, rows.texts, labels, wrong, show)
        else:
            update(saved.model, rows.texts, labels, wrong, on_text=show).save(output)
    _say_written(run, output or model, len(by_name), old)


def remove_label(
    run: Run, label: Name, model: common.Model = common.DEFAULT_MODEL, output: Output = None
) -> None:
    """Remove a label from a model.

    The files of the other labels do not change.
    """
    from lmclassify.persistence.commit import check_target

    classifier, state = _load(run, model)
    check_target(output or model)
    classifier.remove_label(classifier.model_.label_named(label))
    _save(run, classifier, model, output, state)


class _TrainingProgress(ProgressDisplay):
    """Shows the epochs of language models that are trained one after the other."""

    def __init__(self, run: Run, name: str, trainings: int) -> None:
        super().__init__(run, name)
        self._trainings, self._finished = trainings, 0

    def update(self, label: Any, record: EpochRecord) -> None:
        """Show an epoch."""
        number = min(self._finished + 1, self._trainings)
        done = self._finished + record.epoch / record.max_epochs
        if record.finished:
            self._finished += 1
            done = self._finished
        state = f"language model {number} of {self._trainings}, epoch {record.epoch} of {record.max_epochs}"
        self.show(min(done, self._trainings), state, self._trainings)


def _load(run: Run, folder: str) -> tuple[LMClassifier, str]:
    """Load a model; return it and its state."""
    from lmclassify.classify.estimator import LMClassifier
    from lmclassify.persistence.journal import model_state

    state = model_state(folder)
    classifier = LMClassifier.load(folder)
    classifier.set_params(n_jobs=run.threads, device=run.device, random_state=run.seed)
    return classifier, state


def _save(run: Run, classifier: LMClassifier, model: str, output: str | None, state: str) -> None:
    """Save the model, unless another process has changed or taught it since it was loaded."""
    folder = output or model
    old = OldModel.find(folder)
    classifier.model_.save(folder, replaces=state if output is None else None)
    _say_written(run, folder, len(classifier.classes_), old)


def _say_written(run: Run, folder: str, labels: int, old: OldModel | None) -> None:
    run.say(f"model written to {folder}, {counted(labels, 'label')}{replacing(old)}")


def _convert_label(classifier: LMClassifier, name: str) -> Any:
    """Return a new label in the type of the other labels."""
    if not name or any("\ud800" <= character <= "\udfff" for character in name):
        raise OptionError("the name of a label must be valid UTF-8 and not empty")
    kind = type(classifier.classes_.tolist()[0])
    try:
        label = name == "True" if kind is bool else kind(name)
    except ValueError:
        label = None
    if str(label) != name:
        raise OptionError(f"label {shorten(name)} is not of type {kind.__name__} like the other labels")
    return label


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    add_command(
        app,
        "add-label",
        add_label,
        examples=(
            "lmclassify add-label newsletter newsletters.txt -m model",
            "lmclassify add-label newsletter Newsletters.mbox -m model",
            "lmclassify add-label newsletter newsletters.csv --text-column subject -m model -o new-model",
        ),
    )
    add_command(
        app,
        "update",
        update,
        examples=(
            "lmclassify update corrected.csv -m model",
            "lmclassify update spam=missed.mbox ham=Wanted/ -m model",
            "lmclassify update corrected.csv --label-column right -m model -o new-model",
            "grep -v unclear corrected.csv | lmclassify update - -m model",
        ),
    )
    add_command(
        app,
        "remove-label",
        remove_label,
        examples=(
            "lmclassify remove-label newsletter",
            "lmclassify remove-label newsletter -m model",
            "lmclassify remove-label newsletter -m model -o new-model",
        ),
        without=ONLY_READING,
    )

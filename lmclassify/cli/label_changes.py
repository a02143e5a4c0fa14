"""`lmclassify add-label`, `update` and `remove-label`: one label's models changed, the others left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmclassify.cli.common import (
    DEFAULT_FIELDS,
    DEFAULT_MODEL,
    TABLE,
    Display,
    Encoding,
    Fields,
    InputFormat,
    LabelColumn,
    Model,
    Run,
    TextColumn,
    command,
)
from lmclassify.errors import DataError, OptionError, shorten

if TYPE_CHECKING:
    from lmclassify.classify.estimator import LMClassifier
    from lmclassify.datasets.sources import RowReader
    from lmclassify.lm.neural.trainer import EpochRecord

_LEARNED_AS = "learned_as"

Output = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FOLDER", help="Where to write. Default: the model itself."),
]
Name = Annotated[str, typer.Argument(metavar="LABEL", help="The label's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""

    @command(app, "add-label")
    def add_label(
        run: Run,
        label: Name,
        texts: Annotated[
            list[str], typer.Argument(metavar="FILE...", help="Its texts: tables, mail, or one text a line.")
        ],
        model: Model = DEFAULT_MODEL,
        output: Output = None,
        text_column: TextColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
        fields: Fields = DEFAULT_FIELDS,
    ) -> None:
        """Learn one label more; the other labels' files stay as they are."""
        from lmclassify.datasets.labelled import read_unlabelled
        from lmclassify.datasets.multiple_files import expand
        from lmclassify.mail.fields import parse_fields
        from lmclassify.persistence.commit import check_target

        mail_fields = parse_fields(fields)
        classifier, checksum = _load(run, model)
        check_target(output or model)
        name = _of_type(classifier, label)
        found = read_unlabelled(
            expand(texts),
            text_column=text_column,
            fields=mail_fields,
            format=input_format,
            encoding=encoding,
            say=run.say,
        )
        run.say(f"learning {shorten(label)} from {len(found):,} texts")
        from lmclassify.classify.incremental.add_label import trainings

        with _Progress(
            run, f"learning {shorten(label)}", trainings(classifier.model_, len(found))
        ) as progress:
            classifier.set_params(callback=progress.update)
            classifier.add_label(name, found)
        _save(run, classifier, model, output, checksum)

    @command(app, "update")
    def update(
        run: Run,
        data: Annotated[str, typer.Argument(metavar="DATA", help=f"{TABLE}; - is standard input.")],
        model: Model = DEFAULT_MODEL,
        output: Output = None,
        text_column: TextColumn = None,
        label_column: LabelColumn = None,
        input_format: InputFormat = None,
        encoding: Encoding = None,
    ) -> None:
        """Learn from corrected rows.

        A column learned_as, where there is one, names the label that had wrongly learnt a row's text and
        is to unlearn it; blank for none. Files of labels that no row names stay as they are.
        """
        from lmclassify.datasets.sources import open_rows
        from lmclassify.persistence.commit import check_target

        classifier, checksum = _load(run, model)
        check_target(output or model)
        with open_rows(data, format=input_format, encoding=encoding) as table:
            texts, labels, wrong = _corrections(run, classifier, table, text_column, label_column)
        run.say(f"learning from {len(texts):,} rows")
        with _Progress(run, "learning", len(set(labels))) as progress:
            classifier.set_params(callback=progress.update)
            classifier.update(texts, labels, wrong)
        _save(run, classifier, model, output, checksum)

    @command(app, "remove-label")
    def remove_label(run: Run, label: Name, model: Model = DEFAULT_MODEL, output: Output = None) -> None:
        """Forget one label; the other labels' files stay as they are."""
        from lmclassify.persistence.commit import check_target

        classifier, checksum = _load(run, model)
        check_target(output or model)
        classifier.remove_label(classifier.model_.label_named(label))
        _save(run, classifier, model, output, checksum)


class _Progress(Display):
    """Counts epochs of several trainings that come one after the other, each of about as many."""

    def __init__(self, run: Run, name: str, trainings: int) -> None:
        super().__init__(run, name)
        self._trainings, self._ended_ones = trainings, 0

    def update(self, label: Any, record: EpochRecord) -> None:
        """Take note of an epoch."""
        place = min(self._ended_ones + 1, self._trainings)
        done = self._ended_ones + record.epoch / record.max_epochs
        if record.finished:
            self._ended_ones += 1
            done = self._ended_ones
        state = f"language model {place} of {self._trainings}, epoch {record.epoch} of {record.max_epochs}"
        self.show(min(done, self._trainings), state, self._trainings)


def _load(run: Run, folder: str) -> tuple[LMClassifier, str]:
    """Return the model and what tells it from any other."""
    from lmclassify.classify.estimator import LMClassifier
    from lmclassify.persistence.reading import model_checksum

    checksum = model_checksum(folder)
    classifier = LMClassifier.load(folder)
    classifier.set_params(n_jobs=run.threads, device=run.device, random_state=run.seed)
    return classifier, checksum


def _save(run: Run, classifier: LMClassifier, model: str, output: str | None, checksum: str) -> None:
    """Write the model; one that another process has changed meanwhile is not overwritten."""
    classifier.model_.save(output or model, replaces=checksum if output is None else None)
    run.say(f"model written to {output or model}, {len(classifier.classes_):,} labels")


def _of_type(classifier: LMClassifier, name: str) -> Any:
    """Return a new label's name as what the other labels are."""
    if not name or any("\ud800" <= character <= "\udfff" for character in name):
        raise OptionError("a label's name must be valid UTF-8, and not empty")
    kind = type(classifier.classes_.tolist()[0])
    try:
        label = name == "True" if kind is bool else kind(name)
    except ValueError:
        label = None
    if str(label) != name:
        raise OptionError(f"label {shorten(name)} is no {kind.__name__}, as the other labels are")
    return label


def _corrections(
    run: Run, classifier: LMClassifier, table: RowReader, text_column: str | None, label_column: str | None
) -> tuple[list[str], list[Any], list[Any]]:
    """Return texts, their labels, and the labels that had wrongly learnt them or None."""
    from lmclassify.tables.columns import LABEL_COLUMNS, TEXT_COLUMNS, require_column

    texts: list[str] = []
    labels: list[Any] = []
    wrong: list[Any] = []
    known = {str(label): label for label in classifier.classes_.tolist()}
    text_at = require_column(table.columns, text_column, TEXT_COLUMNS, "text", table.name)
    label_at = require_column(table.columns, label_column, LABEL_COLUMNS, "label", table.name)
    run.say(table.describe(text_at, label_at))
    wrong_at = table.columns.index(_LEARNED_AS) if _LEARNED_AS in table.columns else None
    for chunk in table.chunks():
        for row, cells in enumerate(chunk.cells, chunk.first):
            text, label = cells[text_at], cells[label_at]
            unlearnt = "" if wrong_at is None else cells[wrong_at]
            if not text.strip() or not label.strip():
                continue
            for given in (label, *([unlearnt] if unlearnt.strip() else [])):
                if given not in known:
                    raise DataError(
                        f"{table.name}, row {row}: the model has no label {shorten(given)}; "
                        "add-label adds one"
                    )
            if label == unlearnt:
                raise DataError(
                    f"{table.name}, row {row}: {shorten(label)} cannot both learn and unlearn a text"
                )
            texts.append(text)
            labels.append(known[label])
            wrong.append(known[unlearnt] if unlearnt.strip() else None)
    if not texts:
        raise DataError(f"{table.name}: no row has both a text and a label")
    if len(texts) < table.rows_read:
        run.say(f"note: {table.rows_read - len(texts):,} rows without text or label left out")
    return texts, labels, wrong

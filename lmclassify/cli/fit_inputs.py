"""Which texts `fit` reads, and how."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lmclassify.cli.command import Run
from lmclassify.datasets.reading import Reading
from lmclassify.errors import OptionError, counted, listing, plural
from lmclassify.mail.fields import DEFAULT_FIELDS, parse_fields
from lmclassify.tables.columns import column_names

if TYPE_CHECKING:
    from lmclassify.classify.training.sampling import StreamedRemainder
    from lmclassify.cluster.tasks import RayTasks
    from lmclassify.datasets.labelled import LabelledTableReader, LabelledTexts
    from lmclassify.tables.dialect import Dialect

SELF_TRAINED = ("tuned", "ngram")
"""Recipes that also learn from texts without label."""
FEW_TEXTS = 20
"""With fewer texts, at most two or three of a label are held out at a time: too few to judge it."""
SELF_TRAINED = ("tuned", "ngram")
"""Recipes that also learn from texts without label."""
_RAREST = 5  # labels that the note on few texts names


def _file_name(path: str) -> str:
    return "standard input" if path == "-" else os.path.basename(path.rstrip("/")) or path


@dataclass(frozen=True, kw_only=True)
class FitInputs:
    """The options that say which texts are read, and how."""

    data: list[str]
    names: list[str]
    files: dict[str, str]
    unlabelled: list[str]
    text_column: str | None
    label_column: str | None
    group_column: str | None
    format: Any
    encoding: str | None
    dialect: Dialect
    merge_labels: bool
    sheet: str | None
    fields: str | None
    fail_on_bad_row: bool
    reading: Reading | None = None
    """How the texts of an existing model were read, to read these the same way."""

    @property
    def mail_fields(self) -> tuple[str, ...]:
        """The fields of mail to read. Raises OptionError if there are no such fields."""
        if self.reading is not None:
            return self.reading.choose_fields(self.fields)
        return DEFAULT_FIELDS if self.fields is None else parse_fields(self.fields)

    def recorded(self, training: LabelledTexts) -> Reading:
        """Return what the model keeps of how its texts were read."""
        columns = training.columns
        return Reading(
            fields=self.mail_fields if self.fields is not None or training.from_mail else None,
            text_columns=self._text_columns if columns is None else columns.text,
            label_column=self.label_column if columns is None else columns.label,
            columns=self.dialect.columns if columns is None else columns.without_header,
        )

    @property
    def _text_columns(self) -> tuple[str, ...] | None:
        return None if self.text_column is None else tuple(column_names((), self.text_column))

    @property
    def are_named(self) -> bool:
        """Whether the user has named data; else the bundled sample is used."""
        return bool(self.data or self.files)

    def check(self, recipe: str, on_ray: bool) -> None:
        """Raise where options contradict each other, or --fields names no parts of a message."""
        self.mail_fields  # noqa: B018, raises
        if self.files and (self.data or self.names):
            raise OptionError("--labels NAME=FILE names all texts; it excludes DATA and --labels A,B")
        if self.files and (self.label_column or (self.text_column and not self.unlabelled)):
            raise OptionError("--labels NAME=FILE has no columns; drop --text-column and --label-column")
        if self.files and self.group_column is not None:
            raise OptionError("--labels NAME=FILE has no columns; drop --group-column")
        if self.files and (self.dialect.has_header is not None or self.merge_labels):
            raise OptionError(
                "--labels NAME=FILE has no columns; drop --no-header, --columns, --merge-labels"
            )
        if self.merge_labels and on_ray:
            raise OptionError(
                "--merge-labels counts labels in one process: drop --engine ray, or write the labels in one "
                "form in the files; without --merge-labels, fit names those that differ in form only"
            )
        if self.group_column is not None and on_ray:
            raise OptionError("--group-column compares texts in one process: drop it or --engine ray")
        if self.unlabelled and recipe not in SELF_TRAINED:
            raise OptionError(f"--unlabelled: recipe {recipe} learns from labelled texts only")
        if [*self.data, *self.files.values(), *self.unlabelled].count("-") > 1:
            raise OptionError("standard input (-) can be read only once")

    def read(
        self, run: Run, recipe: str, cluster: RayTasks | None, absolute: bool
    ) -> tuple[LabelledTexts, StreamedRemainder | None, list[str]]:
        """Read the labelled texts and those without labels.

        A cluster's processes read tables, except for recipe plain; then the labelled texts are a sample, and
        the second value streams the others. `absolute` says that the processes may run in other folders.
        """
        training, remainder = self._read_labelled(run, recipe, cluster, absolute)
        unlabelled = [*training.unlabelled, *self._read_unlabelled(run)]
        note_labels(run, training, remainder)
        return training, remainder, unlabelled

    def _read_labelled(
        self, run: Run, recipe: str, cluster: RayTasks | None, absolute: bool
    ) -> tuple[LabelledTexts, StreamedRemainder | None]:
        from lmclassify.datasets.labelled import read_tables
        from lmclassify.datasets.multiple_files import expand
        from lmclassify.datasets.texts import read_files

        if self.files:
            texts = read_files(
                self.files,
                fields=self.mail_fields,
                fail_on_bad_row=self.fail_on_bad_row,
                format=self.format,
                encoding=self.encoding,
                dialect=self.dialect,
                sheet=self.sheet,
                say=run.say,
            )
            return texts, None
        paths = expand(self._tables(run))
        if cluster is None or recipe == "plain" or "-" in self.data:
            return read_tables(paths, self._table_reader(recipe), say=run.say), None
        from lmclassify.classify.training.sampling import sample_tables
        from lmclassify.tables.urls import is_url

        if absolute:
            paths = [path if is_url(path) else os.path.abspath(path) for path in paths]
        return sample_tables(paths, self._table_reader(None), cluster, seed=run.seed, say=run.say)

    def _read_unlabelled(self, run: Run) -> list[str]:
        from lmclassify.datasets.multiple_files import expand
        from lmclassify.datasets.texts import read_unlabelled

        texts = read_unlabelled(
            expand(self.unlabelled),
            text_column=self.text_column,
            fields=self.mail_fields,
            fail_on_bad_row=self.fail_on_bad_row,
            encoding=self.encoding,
            dialect=replace(self.dialect, header=None, columns=None),
            say=run.say,
        )
        if texts:
            run.say(f"{', '.join(self.unlabelled)}: {counted(len(texts), 'text')} without label")
        return texts

    @property
    def file_names(self) -> list[str]:
        """The names of the files with labelled texts, without their folders."""
        if self.files:
            return [f"{label}={_file_name(path)}" for label, path in self.files.items()]
        return [_file_name(path) for path in self.data] or ["the bundled subject lines"]

    def _tables(self, run: Run) -> list[str]:
        from lmclassify.datasets.bundled import bundled_data

        if not self.data:
            run.say("no DATA given: training on the bundled subject lines")
        return self.data or [str(bundled_data())]

    def _table_reader(self, recipe: str | None) -> LabelledTableReader:
        from lmclassify.datasets.labelled import LabelledTableReader

        return LabelledTableReader(
            labels=self.names,
            text_column=self.text_column,
            label_column=self.label_column,
            group_column=self.group_column,
            fail_on_bad_row=self.fail_on_bad_row,
            format=self.format,
            encoding=self.encoding,
            dialect=self.dialect,
            sheet=self.sheet,
            keep_unlabelled=recipe in SELF_TRAINED,
            merge_labels=self.merge_labels,
            reading=self.reading or Reading(),
        )


def count_labels(training: LabelledTexts, remainder: StreamedRemainder | None) -> Counter[str]:
    """Return the number of texts of each label."""
    return Counter(training.labels) + Counter(remainder.counts if remainder is not None else {})


def note_labels(run: Run, training: LabelledTexts, remainder: StreamedRemainder | None) -> None:
    """Say if there is only one label, labels have few texts, or texts begin with the same word."""
    from lmclassify.datasets.label_forms import with_counts
    from lmclassify.datasets.texts import note_first_words

    counts = count_labels(training, remainder)
    if len(counts) == 1:
        run.say(
            f"note: all texts have one label ({training.labels[0]}); the model predicts it for every text"
        )
    few = {label: count for label, count in counts.items() if count < FEW_TEXTS}
    if few:
        rarest = dict(sorted(few.items(), key=lambda item: (item[1], item[0]))[:_RAREST])
        more = f", and {len(few) - len(rarest):,} more" if len(few) > len(rarest) else ""
        which = (
            f"{len(few):,} of {len(counts):,} labels {plural(len(few), 'has', 'have')}"
            if len(counts) > 1
            else "the label has"
        )
        run.say(
            f"note: {which} fewer than {FEW_TEXTS} texts, too few to learn and to choose thresholds: "
            f"{with_counts(rarest)}{more}"
        )
    note_first_words(training, run.say)


def parse_labels(labels: list[str], exact: list[str]) -> tuple[list[str], dict[str, str]]:
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
    check_label_names(names, files)
    return names, files


def check_label_names(names: Sequence[str], others: Iterable[str] = ()) -> None:
    """Raise OptionError if a name of --labels is empty, given twice or not valid Unicode.

    `others` only have to be valid Unicode.
    """
    if not all(names):
        raise OptionError("--labels holds an empty name")
    if any("\ud800" <= character <= "\udfff" for name in [*names, *others] for character in name):
        raise OptionError("--labels holds bytes that are not valid UTF-8")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--labels names {listing(twice)} twice")

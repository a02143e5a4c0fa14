"""Which texts `fit` reads, and how."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmclassify.cli.command import Run
from lmclassify.errors import OptionError, listing
from lmclassify.mail.fields import parse_fields

if TYPE_CHECKING:
    from lmclassify.classify.training.sampling import StreamedRemainder
    from lmclassify.cluster.tasks import RayTasks
    from lmclassify.datasets.labelled import LabelledTableReader, LabelledTexts


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
    sheet: str | None
    fields: str
    fail_on_bad_row: bool

    def check(self, recipe: str, on_ray: bool) -> None:
        """Raise where options contradict each other, or --fields names no parts of a message."""
        parse_fields(self.fields)
        if self.files and (self.data or self.names):
            raise OptionError("--labels NAME=FILE names all texts; it excludes DATA and --labels A,B")
        if self.files and (self.label_column or (self.text_column and not self.unlabelled)):
            raise OptionError("--labels NAME=FILE has no columns; drop --text-column and --label-column")
        if self.files and self.group_column is not None:
            raise OptionError("--labels NAME=FILE has no columns; drop --group-column")
        if self.group_column is not None and on_ray:
            raise OptionError("--group-column compares texts in one process: drop it or --engine ray")
        if self.unlabelled and recipe != "tuned":
            raise OptionError("--unlabelled trains the background model, which only recipe tuned has")
        if [*self.data, *self.files.values(), *self.unlabelled].count("-") > 1:
            raise OptionError("standard input (-) can be read only once")

    def read(
        self, run: Run, recipe: str, cluster: RayTasks | None, absolute: bool
    ) -> tuple[LabelledTexts, StreamedRemainder | None]:
        """Read the labelled texts.

        A cluster's processes read tables, except for recipe plain; then the texts are a sample, and the
        second value streams the other texts. `absolute` says that the processes may run in other folders.
        """
        from lmclassify.datasets.labelled import read_files, read_tables
        from lmclassify.datasets.multiple_files import expand

        if self.files:
            texts = read_files(
                self.files,
                fields=parse_fields(self.fields),
                fail_on_bad_row=self.fail_on_bad_row,
                format=self.format,
                encoding=self.encoding,
                sheet=self.sheet,
                say=run.say,
            )
            return texts, None
        paths = expand(self._tables(run))
        if cluster is None or recipe == "plain" or "-" in self.data:
            return read_tables(paths, self._table_reader(), say=run.say), None
        from lmclassify.classify.training.sampling import sample_tables
        from lmclassify.tables.urls import is_url

        if absolute:
            paths = [path if is_url(path) else os.path.abspath(path) for path in paths]
        return sample_tables(paths, self._table_reader(), cluster, seed=run.seed, say=run.say)

    def read_unlabelled(self, run: Run) -> list[str]:
        """Read the texts without labels."""
        from lmclassify.datasets.labelled import read_unlabelled
        from lmclassify.datasets.multiple_files import expand

        texts = read_unlabelled(
            expand(self.unlabelled),
            text_column=self.text_column,
            fields=parse_fields(self.fields),
            fail_on_bad_row=self.fail_on_bad_row,
            encoding=self.encoding,
            say=run.say,
        )
        if texts:
            run.say(f"{len(texts):,} texts without label for the background model")
        return texts

    def _tables(self, run: Run) -> list[str]:
        from lmclassify.datasets.bundled import bundled_data

        if not self.data:
            run.say("no DATA given: training on the bundled subject lines")
        return self.data or [str(bundled_data())]

    def _table_reader(self) -> LabelledTableReader:
        from lmclassify.datasets.labelled import LabelledTableReader

        return LabelledTableReader(
            labels=self.names,
            text_column=self.text_column,
            label_column=self.label_column,
            group_column=self.group_column,
            fail_on_bad_row=self.fail_on_bad_row,
            format=self.format,
            encoding=self.encoding,
            sheet=self.sheet,
        )


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
    if not all(names):
        raise OptionError("--labels holds an empty name")
    if any("\ud800" <= character <= "\udfff" for name in [*names, *files] for character in name):
        raise OptionError("--labels holds bytes that are not valid UTF-8")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--labels names {listing(twice)} twice")
    return names, files

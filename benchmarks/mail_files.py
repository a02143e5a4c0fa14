"""The same texts read from CSV and from mail files, and bogofilter on the same mail: accuracy and speed.

``python -m benchmarks.mail_files TRAIN TEST`` turns each text into the subject of a message, writes one
mbox file per label, runs `lmclassify fit` and `predict` on the CSV files and on the mail, trains bogofilter
on the same messages if it is installed (Debian's package), and prints a table. Arguments after ``--`` go to
`lmclassify fit`. Rates are of whole commands, including start-up.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from email.header import Header
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common import errors_in_one_line, print_progress, read_table, select, table_head, texts_of
from lmclassify.comparison.splits import proportional_sample
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.errors import LMClassifyError
from lmclassify.mail.messages_table import read_texts

_HEADERS = (
    "From sender@example.com Thu Jan  1 00:00:00 2026\n"
    "From: sender@example.com\nTo: receiver@example.com\nDate: Thu, 01 Jan 2026 00:00:00 +0000\n"
    "Message-ID: <{number}@example.com>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    "Subject: {subject}\n\n\n"
)


class Row(NamedTuple):
    """One row of the table."""

    name: str
    accuracy: float
    fit_rate: float
    """Texts per second."""
    predict_rate: float
    """Texts per second."""


def write_mbox(path: Path, texts: Sequence[str]) -> None:
    """Write an mbox file of messages with these subjects and no body."""
    with open(path, "w", encoding="ascii", newline="\n") as file:
        for number, text in enumerate(texts):
            subject = " ".join(text.split())
            if not subject.isascii() or "=?" in subject:
                subject = Header(subject, "utf-8", maxlinelen=70, header_name="Subject").encode()
            file.write(_HEADERS.format(number=number, subject=subject))


class MailFiles:
    """A training and a test set in a folder, as CSV and as mbox files.

    Parameters
    ----------
    folder : Path
        An empty folder.
    train, test : LabelledTexts
    """

    def __init__(self, folder: Path, train: LabelledTexts, test: LabelledTexts) -> None:
        self.folder, self.train, self.test = folder, train, test
        self.labels = sorted(set(train.labels))
        grouped = sorted(zip(train.texts, train.labels, strict=True), key=lambda pair: pair[1])
        self._write_csv("train.csv", grouped)
        self._write_csv("test.csv", zip(test.texts, test.labels, strict=True))
        for label in self.labels:
            write_mbox(self.mbox(label), texts_of(self.train, label))
        write_mbox(folder / "test.mbox", test.texts)

    def _write_csv(self, name: str, rows: Iterable[tuple[str, str]]) -> None:
        with open(self.folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])

    def mbox(self, label: str) -> Path:
        """Return the mbox file with the training messages of a label."""
        return self.folder / f"train-{self.labels.index(label)}.mbox"

    def changed(self) -> int:
        """Return how many training texts change on the way through mail, other than in white space."""
        return sum(
            found != " ".join(text.split())
            for label in self.labels
            for found, text in zip(
                read_texts(str(self.mbox(label)), ("subject",)), texts_of(self.train, label), strict=True
            )
        )

    def run_csv(self, options: Sequence[str]) -> Row:
        """Fit and predict on the CSV files."""
        return self._run_lmclassify("from CSV", ["train.csv"], "test.csv", options)

    def run_mail(self, options: Sequence[str]) -> Row:
        """Fit and predict on the mbox files."""
        files = [f"--labels={label}={self.mbox(label)}" for label in self.labels]
        return self._run_lmclassify("from mail", ["--fields", "subject", *files], "test.mbox", options)

    def _run_lmclassify(self, name: str, train: Sequence[str], test: str, options: Sequence[str]) -> Row:
        fitting = _run("fit", *train, "-o", "model", *options, folder=self.folder)
        labelling = _run("predict", test, "-m", "model", "-o", "labelled.csv", folder=self.folder)
        with open(self.folder / "labelled.csv", newline="", encoding="utf-8") as file:
            predicted = [row["predicted_label"] for row in csv.DictReader(file)]
        return self._row(name, sum(map(str.__eq__, predicted, self.test.labels)), fitting, labelling)

    def run_bogofilter(self, program: str) -> list[Row]:
        """Train and test bogofilter.

        Where it is unsure, the first row counts the likelier label, the second a mistake.
        """
        spam = next((label for label in self.labels if label.casefold() == "spam"), self.labels[-1])
        base = [
            program,
            "-C",
            "-d",
            str(self.folder),
            "-M",
        ]  # -C: ignore configuration files
        started = time.perf_counter()
        for label in self.labels:
            option = "-s" if label == spam else "-n"
            subprocess.run([*base, option, "-I", str(self.mbox(label))], check=True)
        fitting, started = time.perf_counter() - started, time.perf_counter()
        command = [*base, "-T", "-I", str(self.folder / "test.mbox")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        labelling = time.perf_counter() - started
        num_likelier = num_sure = 0
        for line, label in zip(done.stdout.splitlines(), self.test.labels, strict=True):
            verdict, score = line.split()
            num_likelier += (float(score) > 0.5) == (label == spam)
            num_sure += verdict == ("S" if label == spam else "H")
        return [
            self._row("bogofilter, likelier label", num_likelier, fitting, labelling),
            self._row("bogofilter, unsure counts as wrong", num_sure, fitting, labelling),
        ]

    def _row(self, name: str, right: int, fitting: float, labelling: float) -> Row:
        tested = len(self.test.texts)
        return Row(name, right / tested, len(self.train.texts) / fitting, tested / labelling)


def _run(*arguments: str, folder: Path) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "lmclassify", arguments[0], "-q", *arguments[1:]]
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise LMClassifyError(f"failed: {' '.join(command)}")
    return time.perf_counter() - started


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = table_head("", "accuracy", "fit texts/s", "predict texts/s")
    for row in rows:
        lines.append(f"| {row.name} | {row.accuracy:.4f} | {row.fit_rate:,.0f} | {row.predict_rate:,.0f} |")
    return "\n".join(lines)


def _sample(data: LabelledTexts, size: int | None) -> LabelledTexts:
    if size is None or size >= len(data.texts):
        return data
    chosen = proportional_sample(data.labels, size, np.random.default_rng(0))
    return select(data, chosen.tolist())


def main() -> None:
    """Print the table."""
    arguments: list[str] = sys.argv[1:]
    fit_options: list[str] = []
    if "--" in arguments:
        index = arguments.index("--")
        arguments, fit_options = arguments[:index], arguments[index + 1 :]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mail_files",
        description="The same texts from CSV and from mail, compared with bogofilter.",
        epilog="Arguments after -- go to lmclassify fit, for example: -- --recipe plain",
    )
    parser.add_argument("train", help="labelled texts to fit on, CSV")
    parser.add_argument("test", help="labelled texts to predict, CSV")
    parser.add_argument("--size", type=int, metavar="N", help="use a random sample of N texts of each file")
    options = parser.parse_args(arguments)
    with errors_in_one_line():
        train, test = (_sample(read_table(path), options.size) for path in (options.train, options.test))
        with tempfile.TemporaryDirectory() as folder:
            files = MailFiles(Path(folder), train, test)
            print_progress(
                f"{len(train.texts):,} training and {len(test.texts):,} test texts; "
                f"{files.changed()} changed by mail"
            )
            rows = [files.run_csv(fit_options), files.run_mail(fit_options)]
            program = shutil.which("bogofilter")
            if program is None or len(files.labels) != 2:
                print_progress("without bogofilter: it is not installed, or there are not two labels")
            else:
                rows += files.run_bogofilter(program)
        print(table(rows))


if __name__ == "__main__":
    main()

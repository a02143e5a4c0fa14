"""The same texts from a CSV file and from mail files, and bogofilter beside: accuracy and texts a second.

``python -m benchmarks.mail_files TRAIN TEST`` makes a message of each text (its subject, and the same
headers for all), an mbox file a label, fits and labels from either by the program, trains bogofilter on the
same messages where it is installed (Debian's package), and prints a table. What follows ``--`` goes to
`lmclassify fit`. Each rate is of a whole run, start-up too.
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

from lmclassify.comparison.plan import proportional_sample
from lmclassify.datasets.labelled import LabelledTexts, read_tables
from lmclassify.errors import LMClassifyError
from lmclassify.mail.messages_table import read_texts

_HEADERS = (
    "From sender@example.com Thu Jan  1 00:00:00 2026\n"
    "From: sender@example.com\nTo: receiver@example.com\nDate: Thu, 01 Jan 2026 00:00:00 +0000\n"
    "Message-ID: <{number}@example.com>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    "Subject: {subject}\n\n\n"
)


class Row(NamedTuple):
    """One way of learning and labelling."""

    name: str
    accuracy: float
    learnt: float
    """Texts a second."""
    labelled: float
    """Texts a second."""


def write_mbox(path: Path, texts: Sequence[str]) -> None:
    """Write an mbox file of messages with these subjects and no body."""
    with open(path, "w", encoding="ascii", newline="\n") as file:
        for number, text in enumerate(texts):
            subject = " ".join(text.split())
            if not subject.isascii() or "=?" in subject:
                subject = Header(subject, "utf-8", maxlinelen=70, header_name="Subject").encode()
            file.write(_HEADERS.format(number=number, subject=subject))


class MailFiles:
    """A training and a test set as files of both sorts, in a folder; the training texts label by label.

    Parameters
    ----------
    folder : Path
        Empty.
    train, test : LabelledTexts
    """

    def __init__(self, folder: Path, train: LabelledTexts, test: LabelledTexts) -> None:
        self.folder, self.train, self.test = folder, train, test
        self.labels = sorted(set(train.labels))
        grouped = sorted(zip(train.texts, train.labels, strict=True), key=lambda pair: pair[1])
        self._write_csv("train.csv", grouped)
        self._write_csv("test.csv", zip(test.texts, test.labels, strict=True))
        for label in self.labels:
            write_mbox(self.mbox(label), self._own(label))
        write_mbox(folder / "test.mbox", test.texts)

    def _write_csv(self, name: str, rows: Iterable[tuple[str, str]]) -> None:
        with open(self.folder / name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])

    def mbox(self, label: str) -> Path:
        """Return where the messages to learn a label from lie."""
        return self.folder / f"train-{self.labels.index(label)}.mbox"

    def _own(self, label: str) -> list[str]:
        return [text for text, its in zip(self.train.texts, self.train.labels, strict=True) if its == label]

    def changed(self) -> int:
        """Return how many texts to learn do not come back from mail as they are, but for white space."""
        return sum(
            found != " ".join(text.split())
            for label in self.labels
            for found, text in zip(read_texts(str(self.mbox(label))), self._own(label), strict=True)
        )

    def by_csv(self, options: Sequence[str]) -> Row:
        """Learn and label from the CSV files."""
        return self._by_program("from CSV", ["train.csv"], "test.csv", options)

    def by_mail(self, options: Sequence[str]) -> Row:
        """Learn and label from the mbox files."""
        files = [f"--labels={label}={self.mbox(label)}" for label in self.labels]
        return self._by_program("from mail", files, "test.mbox", options)

    def _by_program(self, name: str, train: Sequence[str], test: str, options: Sequence[str]) -> Row:
        fitting = _run("fit", *train, "-o", "model", *options, folder=self.folder)
        labelling = _run("predict", test, "-m", "model", "-o", "labelled.csv", folder=self.folder)
        with open(self.folder / "labelled.csv", newline="", encoding="utf-8") as file:
            predicted = [row["predicted_label"] for row in csv.DictReader(file)]
        return self._row(name, sum(map(str.__eq__, predicted, self.test.labels)), fitting, labelling)

    def by_bogofilter(self, program: str) -> list[Row]:
        """Let bogofilter learn and label; where it is unsure, count the likelier label, or else a mistake."""
        spam = next((label for label in self.labels if label.casefold() == "spam"), self.labels[-1])
        base = [program, "-C", "-d", str(self.folder), "-M"]  # -C: no configuration of this machine's
        started = time.perf_counter()
        for label in self.labels:
            what = "-s" if label == spam else "-n"
            subprocess.run([*base, what, "-I", str(self.mbox(label))], check=True)
        fitting, started = time.perf_counter() - started, time.perf_counter()
        command = [*base, "-T", "-I", str(self.folder / "test.mbox")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        labelling = time.perf_counter() - started
        likelier = sure = 0
        for line, label in zip(done.stdout.splitlines(), self.test.labels, strict=True):
            verdict, score = line.split()
            likelier += (float(score) > 0.5) == (label == spam)
            sure += verdict == ("S" if label == spam else "H")
        return [
            self._row("bogofilter, likelier label", likelier, fitting, labelling),
            self._row("bogofilter, unsure is wrong", sure, fitting, labelling),
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
    lines = ["| | accuracy | texts/s learnt | texts/s labelled |", "|---|---|---|---|"]
    lines += [f"| {r.name} | {r.accuracy:.4f} | {r.learnt:,.0f} | {r.labelled:,.0f} |" for r in rows]
    return "\n".join(lines)


def _draw(data: LabelledTexts, size: int | None) -> LabelledTexts:
    if size is None or size >= len(data.texts):
        return data
    chosen = proportional_sample(data.labels, size, np.random.default_rng(0))
    return LabelledTexts([data.texts[at] for at in chosen], [data.labels[at] for at in chosen])


def main() -> None:
    """Measure and print."""
    arguments: list[str] = sys.argv[1:]
    options: list[str] = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mail_files",
        description=__doc__.split("\n")[0] if __doc__ else None,
        epilog="What follows -- goes to lmclassify fit: -- --recipe plain, say.",
    )
    parser.add_argument("train", help="labelled texts, CSV")
    parser.add_argument("test", help="the same, to label")
    parser.add_argument("--size", type=int, metavar="N", help="draw so many texts of each file")
    given = parser.parse_args(arguments)
    try:
        tables = [read_tables([path], say=_say) for path in (given.train, given.test)]
        train, test = (_draw(data, given.size) for data in tables)
        with tempfile.TemporaryDirectory() as folder:
            files = MailFiles(Path(folder), train, test)
            _say(
                f"{len(train.texts):,} texts to learn, {len(test.texts):,} to label; {files.changed()} differ"
            )
            rows = [files.by_csv(options), files.by_mail(options)]
            program = shutil.which("bogofilter")
            if program is None or len(files.labels) != 2:
                _say("no bogofilter: it is not installed, or there are not two labels")
            else:
                rows += files.by_bogofilter(program)
        print(table(rows))
    except (LMClassifyError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

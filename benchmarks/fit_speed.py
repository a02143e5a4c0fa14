"""Time, memory and accuracy of `fit`, side by side with another checkout of lmclassify.

``python -m benchmarks.fit_speed FOLDER --reference CHECKOUT`` fits ``<set>.train.csv`` of FOLDER with the
checkout's version and with this one, in turn, each in a process of its own through the public API, and
predicts ``<set>.test.csv``. Every run is a line of the results file as soon as it ends, and its predictions
are kept in a folder, so a run that was interrupted continues. ``--report`` prints the tables of
docs/experiments.md.

A time counts as measured alone if other processes took less than 5% of the machine's CPU time during the
fit; ``--alone`` repeats the runs whose time was not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.common import append_record, print_progress, read_records, write_section
from benchmarks.fit_report import NEW, NGRAM, REFERENCE, SVM, Report, is_alone, read_scores

Array = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("fit_worker.py")
SETS = ("trec6", "sms_spam", "sst2", "enron_subjects", "ag_news7600", "clinc150")
"""The shared sets, the ones that are fitted fast first."""
_RECIPES = {"default": NEW, "ngram": NGRAM, "svm": SVM}


class Run(NamedTuple):
    """One fit: which code, on what."""

    row: str
    tree: Path
    recipe: str
    data: str
    seed: int


def code_of(tree: Path) -> str:
    """Return the hash of the package's source in a checkout; "-changed" follows uncommitted changes."""
    git = ["git", "-C", str(tree)]
    code = subprocess.check_output([*git, "rev-parse", "--short=10", "HEAD:lmclassify"], text=True).strip()
    changed = subprocess.check_output([*git, "status", "--porcelain", "lmclassify"], text=True)
    return code + ("-changed" if changed else "")


def measure(run: Run, code: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Fit once in another process; return its record, or None if it failed or took too long."""
    output = options.predictions / f"{code}-{run.recipe}-{run.data}-{run.seed}.npz"
    files = [str(options.folder / f"{run.data}.{part}.csv") for part in ("train", "test")]
    command = [sys.executable, "-P", str(WORKER), *files, str(output), "--recipe", run.recipe]
    command += ["--seed", str(run.seed), "--threads", str(options.threads)]
    environment = {**os.environ, "PYTHONPATH": str(run.tree)}
    try:
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=options.limit
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        took_long = isinstance(error, subprocess.TimeoutExpired)
        reason = f"takes more than {options.limit:g} s" if took_long else "failed"
        print_progress(f"{run.data}, seed {run.seed}, {run.row}: {reason}")
        return None
    record: dict[str, Any] = {"row": run.row, "code": code, "data": run.data, "seed": run.seed}
    record |= {"threads": options.threads, **json.loads(done.stdout), "predictions": output.name}
    scores = read_scores(output)
    record["predict_rate"] = len(scores.correct) / record.pop("predict_seconds")
    record |= {"accuracy": float(scores.correct.mean()), "log_loss": float(scores.loss.mean())}
    record |= {"macro_f1": scores.macro_f1, "ece": scores.ece}
    if run.recipe == "svm":  # its scores are not calibrated
        record |= {"log_loss": None, "ece": None}
    return record | {"date": time.strftime("%Y-%m-%dT%H:%M")}


def planned(options: argparse.Namespace) -> Iterator[Run]:
    """Yield the runs asked for, the two versions in turn. The SVM has no randomness: it runs once."""
    for data in options.sets:
        for seed in options.seeds:
            if options.reference and options.only != "new":
                yield Run(REFERENCE, options.reference, "default", data, seed)
            for recipe in options.recipes if options.only != "reference" else ():
                if recipe != "svm" or seed == options.seeds[0]:
                    yield Run(_RECIPES[recipe], ROOT, recipe, data, seed)


def run_all(options: argparse.Namespace) -> bool:
    """Make all runs that are not in the results file; return whether none failed."""
    started, good = time.perf_counter(), True
    options.predictions.mkdir(parents=True, exist_ok=True)
    codes = {tree: code_of(tree) for tree in (options.reference, ROOT) if tree}
    for run in planned(options):
        if _finished(read_records(options.results), run, codes[run.tree], options):
            continue
        if time.perf_counter() - started > 60 * options.minutes:
            print_progress("the minutes are over; the same command continues")
            break
        record = measure(run, codes[run.tree], options)
        good = good and record is not None
        if record is None:
            continue
        append_record(options.results, record)
        print_progress(
            f"{run.data}, seed {run.seed}, {run.row}: "
            f"{record['fit_seconds']:.1f} s{'' if is_alone(record) else ' (not alone)'}, "
            f"{record['fit_cpu_seconds']:.1f} CPU s, {record['peak_megabytes']:.0f} MB, "
            f"accuracy {record['accuracy']:.4f}, log-loss {record['log_loss'] or float('nan'):.4f}"
        )
    return good


def _finished(records: Sequence[dict[str, Any]], run: Run, code: str, options: argparse.Namespace) -> bool:
    wanted = (run.row, code, run.data, run.seed)
    return any(
        (record["row"], record["code"], record["data"], record["seed"]) == wanted
        and (not options.alone or is_alone(record))
        and (options.predictions / record["predictions"]).exists()
        for record in records
    )


def main() -> None:
    """Make the runs, or print the report."""
    parser = argparse.ArgumentParser(description="Time, memory and accuracy of fit, beside another checkout.")
    parser.add_argument("folder", type=Path, help="folder with <set>.train.csv and <set>.test.csv")
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="checkout to compare with")
    parser.add_argument(
        "--sets", type=_names, default=SETS, help="separated by commas (default: the shared six)"
    )
    parser.add_argument("--seeds", type=lambda given: [int(seed) for seed in given.split(",")], default=[0])
    parser.add_argument(
        "--recipes", type=_names, default=tuple(_RECIPES), help=f"default: {','.join(_RECIPES)}"
    )
    parser.add_argument("--only", choices=("reference", "new"), help="run only one of the two versions")
    parser.add_argument("--alone", action="store_true", help="repeat runs whose time was not measured alone")
    parser.add_argument("--minutes", type=float, default=np.inf, help="start no run after so many minutes")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="end a run that takes longer")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "fit_speed.jsonl")
    parser.add_argument("--predictions", type=Path, default=ROOT / "benchmarks" / "predictions")
    parser.add_argument("--report", action="store_true", help="print the tables of the results file")
    parser.add_argument("--baselines", type=Path, help="report: also rows of runs of lmclassify benchmark")
    parser.add_argument("--into", type=Path, help="report: write it into a section of this Markdown file")
    options = parser.parse_args()
    if options.report:
        baselines = read_records(options.baselines) if options.baselines else []
        report = Report(read_records(options.results), options.predictions, options.sets, baselines)
        write_section(options.results.stem, report.lines(), options.into)
    elif not run_all(options):
        sys.exit("some fits failed; see above")


def _names(given: str) -> tuple[str, ...]:
    return tuple(given.split(","))


if __name__ == "__main__":
    main()

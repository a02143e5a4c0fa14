"""Runs in this process and in processes of their own."""

from __future__ import annotations

import dataclasses

import pytest

from lmclassify.comparison.methods import METHODS, Method, Setup
from lmclassify.comparison.plan import Plan
from lmclassify.comparison.results import ResultsFile, read_results
from lmclassify.comparison.runner import Benchmark, measure, measure_in_process
from lmclassify.comparison.tables import to_dict, to_text
from tests.comparison import broken_methods
from tests.comparison.samples import data_file, emails, figures, subjects

SETUP = Setup(seed=0, threads=1, device="cpu")
NB, CNB = METHODS["nb"], METHODS["cnb"]
NO_WORK = {"begin": lambda cell: None, "end": lambda record: None}


def measure_nothing(method, split, setup):
    """Return figures without training."""
    return figures(0.9, 0.3), None


def must_not_measure(method, split, setup):
    raise AssertionError("the run was repeated")


@pytest.fixture(name="subjects")
def _subjects():
    return subjects()


@pytest.fixture(name="emails")
def _emails():
    return emails()


def test_labels_missing_from_the_training_data_count_as_wrong(subjects):
    test = data_file("t.csv", subjects.rows.texts[:4], [*subjects.rows.labels[:3], "new"])
    plan = Plan(subjects, test, [NB])
    assert plan.notes == ["subjects.csv has no label 'new': 1 text of t.csv counts as wrong"]
    got = measure(NB, plan.split(plan.cells()[0]), SETUP)
    assert got.accuracy == 0.75
    assert 36.04 / 4 < got.log_loss < 36.05 / 4 + 1


def test_measure_reports_all_figures(subjects, emails):
    plan = Plan(subjects, emails, [NB])
    got = measure(NB, plan.split(plan.cells()[0]), SETUP)
    assert 0.4 < got.accuracy <= 1
    assert 0 < got.macro_f1 <= 1
    assert 0 < got.log_loss < 1
    assert 0 <= got.ece < 1
    assert 0 < got.fit_seconds < 10
    assert got.calibration_seconds > 0
    assert got.texts_per_second > 100
    assert got.peak_megabytes > 10
    assert got.temperature > 0


def test_runs_are_saved_and_not_repeated(subjects, emails, tmp_path):
    path = str(tmp_path / "results.jsonl")
    plan = Plan(subjects, emails, [NB, CNB], sizes=[20, "all"])
    begun, ended = [], []
    job = Benchmark(plan, ResultsFile(path), threads=1, measure=measure_nothing)
    job.run(begun.append, ended.append)
    assert begun == plan.cells()
    assert ended == job.records
    assert job.waiting == []
    assert read_results(path) == job.records
    assert job.records[0].versions["lmclassify"]
    assert job.records[0].error is None
    again = Benchmark(plan, ResultsFile(path), threads=1, measure=must_not_measure)
    again.run(**NO_WORK)
    assert again.records == job.records
    assert len(read_results(path)) == 4
    more = Benchmark(Plan(subjects, emails, [NB, CNB], sizes=[20, 30]), ResultsFile(path), threads=1)
    assert [cell.size for cell in more.waiting] == [30, 30]
    other_rows = data_file("subjects.csv", ["changed", *subjects.rows.texts[1:]], subjects.rows.labels)
    assert len(Benchmark(Plan(other_rows, emails, [NB]), ResultsFile(path), threads=1).waiting) == 1
    slower = dataclasses.replace(NB, settings={"alpha": 1})
    assert len(Benchmark(Plan(subjects, emails, [slower]), ResultsFile(path), threads=1).waiting) == 1


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (broken_methods.raises, "RuntimeError: no such luck"),
        (broken_methods.is_killed, "killed by signal 9 (out of memory?)"),
    ],
)
def test_a_failed_run_is_recorded_and_repeated(subjects, emails, tmp_path, build, error):
    path = str(tmp_path / "results.jsonl")
    plan = Plan(subjects, emails, [Method("nb", "broken", build)])
    job = Benchmark(plan, ResultsFile(path), threads=1)
    job.run(**NO_WORK)
    assert [item.error for item in job.records] == [error]
    assert f"nb      failed: {error}" in to_text(job.records)
    assert to_dict(job.records)["sizes"][0]["rows"][0]["errors"] == [error]
    assert Benchmark(plan, ResultsFile(path), threads=1).waiting == plan.cells()


def test_an_interrupted_run_ends_its_process(subjects, emails, monkeypatch):
    plan = Plan(subjects, emails, [NB])

    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("multiprocessing.connection.Connection.recv", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure_in_process(NB, plan.split(plan.cells()[0]), SETUP)

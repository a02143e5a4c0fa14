from __future__ import annotations

import dataclasses
import json

import pytest

from lmclassify.comparison.methods import METHODS, Method, Setup
from lmclassify.comparison.plan import DataFile, Plan
from lmclassify.comparison.plots import plot_learning_curves
from lmclassify.comparison.results import Cell, Figures, Record, ResultsFile, read_results
from lmclassify.comparison.runner import Benchmark, measure, measure_in_process
from lmclassify.comparison.tables import summarise, to_dict, to_markdown, to_text, verdicts
from lmclassify.datasets.labelled import LabelledTexts
from lmclassify.errors import DataError, OptionError, OutputError
from lmclassify.evaluation.plots import check_plot
from tests.comparison import broken_methods
from tests.conftest import bundled

SETUP = Setup(seed=0, threads=1, device="cpu")
NB, CNB = METHODS["nb"], METHODS["cnb"]
NO_WORK = {"begin": lambda cell: None, "end": lambda record: None}


def data_file(name: str, texts: list[str], labels: list[str]) -> DataFile:
    return DataFile(name, f"digest of {name}", LabelledTexts(texts, labels))


@pytest.fixture
def subjects() -> DataFile:
    return data_file("subjects.csv", *bundled(limit=120))


@pytest.fixture
def emails() -> DataFile:
    return data_file("emails.csv", *bundled("emails.csv", limit=30))


def figures(accuracy: float, log_loss: float) -> Figures:
    return Figures(
        accuracy=accuracy,
        macro_f1=accuracy,
        log_loss=log_loss,
        ece=0.1,
        fit_seconds=1.25,
        calibration_seconds=2.0,
        texts_per_second=1234.5,
        peak_megabytes=100.0,
        temperature=None,
    )


def record(method: str, accuracy: float = 0.9, log_loss: float = 0.3, **changes: object) -> Record:
    values = {
        "data": "folder/mail.train.csv",
        "data_sha256": "d",
        "test": "folder/mail.test.csv",
        "test_sha256": "t",
        "rows_sha256": "r",
        "labels": 2,
        "training_texts": 100,
        "test_texts": 50,
        "method": method,
        "settings": {},
        "size": "all",
        "seed": 0,
        "fold": None,
        "folds": None,
        "figures": figures(accuracy, log_loss),
        "error": None,
        "threads": 1,
        "device": "cpu",
        "versions": {"lmclassify": "0"},
        "commit": None,
        "machine": "m",
        "date": "2026-01-01T00:00:00+00:00",
    }
    return Record(**{**values, **changes})


def test_runs_of_a_test_file(subjects, emails):
    methods = [METHODS["lmclassify"], NB]
    plan = Plan(subjects, emails, methods, sizes=["all", 50, 20, 500], seeds=[3, 4])
    assert plan.sizes == [20, 50, "all"]
    assert plan.notes == ["size 500 skipped: there are only 120 training texts"]
    cells = plan.cells()
    assert len(cells) == 2 * 2 * 2 + 2 + 1  # nb learns the same from all texts whatever the seed
    assert cells[0] == Cell(method="lmclassify", size=20, seed=3, fold=None)
    assert [cell.seed for cell in cells if cell.size == "all"] == [3, 0, 4]
    first, other = (plan.split(Cell(method="nb", size=20, seed=seed, fold=None)) for seed in (3, 4))
    assert len(first.training.texts) == len(first.training.labels) == 20
    assert set(first.training.labels) == {"ham", "spam"}
    assert first.training.texts != other.training.texts
    assert first == plan.split(Cell(method="cnb", size=20, seed=3, fold=None))
    assert first.test == emails.rows


def test_folds_and_a_label_with_one_text(subjects):
    data = data_file("x.csv", [*subjects.rows.texts, "odd one"], [*subjects.rows.labels, "odd"])
    plan = Plan(data, None, [NB], seeds=[0, 1], folds=4)
    assert plan.notes == ["label 'odd' has one text: used for training only, never for testing"]
    cells = plan.cells()
    assert [(cell.seed, cell.fold) for cell in cells] == [(s, f) for s in (0, 1) for f in range(4)]
    tried = [text for cell in cells[:4] for text in plan.split(cell).test.texts]
    assert sorted(tried) == sorted(subjects.rows.texts)
    for cell in cells:
        split = plan.split(cell)
        assert set(split.training.labels) == {"ham", "spam", "odd"}
        assert not set(split.training.texts) & set(split.test.texts)


def test_labels_with_fewer_texts_than_folds():
    data = data_file("x.csv", list("abcdefgh"), ["x"] * 5 + ["y"] * 2 + ["z"])
    plan = Plan(data, None, [NB], folds=5)
    for cell in plan.cells():
        assert set(plan.split(cell).training.labels) == {"x", "y", "z"}


def test_plans_that_make_no_sense(subjects, emails):
    with pytest.raises(OptionError, match="--sizes 1: each of the 2 labels needs a text"):
        Plan(subjects, emails, [NB], sizes=[1])
    with pytest.raises(OptionError, match="--sizes: there are only 120 training texts"):
        Plan(subjects, emails, [NB], sizes=[121])
    with pytest.raises(DataError, match="all texts have label 'a'; two are needed"):
        Plan(data_file("x.csv", ["t"], ["a"]), emails, [NB])
    with pytest.raises(DataError, match=r"3 texts .* cannot make 4 folds; lower --folds or give --test"):
        Plan(data_file("x.csv", list("stuv"), list("aaab")), None, [NB], folds=4)


def test_labels_that_only_the_test_file_has_count_as_wrong(subjects):
    test = data_file("t.csv", subjects.rows.texts[:4], [*subjects.rows.labels[:3], "new"])
    plan = Plan(subjects, test, [NB])
    assert plan.notes == ["subjects.csv has no label 'new': 1 texts of t.csv count as wrong"]
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


def test_runs_are_kept_and_not_done_again(subjects, emails, tmp_path, monkeypatch):
    path = str(tmp_path / "results.jsonl")
    plan = Plan(subjects, emails, [NB, CNB], sizes=[20, "all"])
    begun, ended = [], []
    job = Benchmark(plan, ResultsFile(path), threads=1)
    job.run(begun.append, ended.append)
    assert begun == plan.cells()
    assert ended == job.records
    assert job.waiting == []
    assert read_results(path) == job.records
    assert job.records[0].versions["lmclassify"]
    assert job.records[0].error is None
    monkeypatch.setattr("lmclassify.comparison.runner.measure_in_process", None)
    again = Benchmark(plan, ResultsFile(path), threads=1)
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
def test_a_run_that_fails_is_recorded_and_tried_again(subjects, emails, tmp_path, build, error):
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


def test_a_torn_last_line_is_repaired(tmp_path):
    path = tmp_path / "results.jsonl"
    file = ResultsFile(str(path))
    file.append(record("svm"))
    file.append(record("nb"))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in (first + 1, first + 30, len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert read_results(str(path)) == [record("svm")]
        assert path.stat().st_size == cut  # reading alone repairs nothing
        again = ResultsFile(str(path))
        again.append(record("nb"))
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-1])  # only the line's end is missing
    ResultsFile(str(path)).append(record("cnb"))
    assert [item.method for item in read_results(str(path))] == ["svm", "nb", "cnb"]


@pytest.mark.parametrize(
    "content", [b"text,label\na,b\n", b"a", b'{"x": 1}\n', b'{"lmclassify_benchmark": 1, "data": "x"}\n']
)
def test_a_file_that_is_no_results_is_left_alone(tmp_path, content):
    path = tmp_path / "precious.csv"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"precious.csv, line 1: no results of lmclassify benchmark; name another"
    ):
        ResultsFile(str(path))
    assert path.read_bytes() == content


def test_results_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        ResultsFile(str(tmp_path))
    with pytest.raises(DataError, match="cannot read"):
        read_results(str(tmp_path / "nothing"))


def test_means_spreads_and_the_best():
    records = [
        record("svm", 0.80, 0.40),
        record("svm", 0.90, 0.50, seed=1),
        record("lmclassify", 0.85, 0.30),
        record("nb", figures=None, error="ValueError: x"),
        record("svm", 0.5, 0.7, size=20, training_texts=20),
    ]
    small, whole = summarise(records)
    assert (small.size, whole.size) == (20, "all")
    assert [row.method for row in whole.rows] == ["lmclassify", "svm", "nb"]
    svm = whole.rows[1]
    assert svm.figures["accuracy"].mean == pytest.approx(0.85)
    assert svm.figures["accuracy"].std == pytest.approx(0.0707, abs=1e-4)
    assert whole.rows[0].figures["accuracy"].std is None
    assert verdicts(small) == []
    assert verdicts(whole) == [
        "lmclassify, accuracy: level with svm at 0.8500",
        "lmclassify, log-loss: ahead of the best rival, svm, by 0.1500 (0.3000 against 0.4500)",
    ]
    text = to_text(records)
    assert "folder/mail.train.csv, 2 labels, tried on folder/mail.test.csv (50 texts)" in text
    assert "all 100 texts to learn from" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["lmclassify", "0.8500*", "±", "–", "0.8500*", "±", "–", "0.3000*", "±", "–"] in [
        line[:10] for line in lines
    ]
    assert "nb          failed: ValueError: x" in text
    assert "ran once: svm, nb" in text


def test_a_loss_is_said_plainly():
    (block,) = summarise([record("lmclassify", 0.80, 0.5), record("svm", 0.9, 0.2), record("nb", 0.7, 0.1)])
    assert verdicts(block) == [
        "lmclassify, accuracy: behind the best rival, svm, by 0.1000 (0.8000 against 0.9000)",
        "lmclassify, log-loss: behind the best rival, nb, by 0.4000 (0.5000 against 0.1000)",
    ]


def test_json():
    result = json.loads(
        json.dumps(to_dict([record("lmclassify"), record("svm", 0.8)], notes=["n"], waiting=3))
    )
    assert set(result) == {
        "data", "test", "folds", "labels", "sizes", "notes", "runs_not_done", "runs",
    }  # fmt: skip
    (size,) = result["sizes"]
    assert set(size) == {"size", "training_texts", "rows", "verdicts"}
    assert size["rows"][0] == {
        "method": "lmclassify",
        "runs": 1,
        "figures": {
            "accuracy": {"mean": 0.9, "std": None},
            "macro_f1": {"mean": 0.9, "std": None},
            "log_loss": {"mean": 0.3, "std": None},
            "ece": {"mean": 0.1, "std": None},
            "fit_seconds": {"mean": 1.25, "std": None},
            "texts_per_second": {"mean": 1234.5, "std": None},
            "peak_megabytes": {"mean": 100.0, "std": None},
        },
        "errors": [],
        "best_in": [
            "accuracy", "macro_f1", "log_loss", "ece", "fit_seconds", "texts_per_second", "peak_megabytes",
        ],
    }  # fmt: skip
    assert result["runs"][1]["method"] == "svm"
    assert result["runs_not_done"] == 3


def test_markdown_of_several_data_sets():
    records = [
        record("svm", 0.5, versions={"lmclassify": "older"}, seed=7),  # what was run later replaces these
        record("svm", 0.6),
        record("svm", 0.9, data="sms.csv", rows_sha256="older"),
        record("svm", 0.80),
        record("lmclassify", 0.9),
        record("ngrams", 0.89),  # a part of ours is no rival
        record("svm", 0.7, data="sms.csv", rows_sha256="s"),
        record("svm", 0.6, size=20, training_texts=20),
    ]
    text = to_markdown(records)
    assert text.startswith(
        "**accuracy**, all texts\n\n| | mail | sms |\n|---|---|---|\n| lmclassify | **0.9000** |  |\n"
        "| ngrams | 0.8900 |  |\n| svm | 0.8000 | 0.7000 |\n"
        "| *ahead by, points* | +10.00 |  |\n"
    )
    assert "**log-loss**, 20 texts to learn from\n\n| | mail |" in text
    assert "| svm | **1.25** | 1.25 |" in text


def test_learning_curves_are_a_picture(tmp_path):
    records = [
        record(method, 0.5 + place / 10, 0.7, size=size, training_texts=texts, seed=seed)
        for method in ("lmclassify", "svm", "plain")
        for place, (size, texts) in enumerate([(20, 20), ("all", 100)])
        for seed in (0, 1)
    ]
    for name, begin in (("a.png", b"\x89PNG\r\n"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")):
        path = tmp_path / name
        check_plot(str(path))
        plot_learning_curves(records, str(path))
        assert path.read_bytes().startswith(begin)
    plot_learning_curves([record("svm", data="$odd_{name.csv")], str(tmp_path / "one.png"))


def test_plots_that_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"--plot a.gif: the name must end in one of .png, .svg, .pdf"):
        check_plot("a.gif")
    with pytest.raises(OutputError, match="cannot write"):
        check_plot(str(tmp_path / "none" / "a.png"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"plots need matplotlib: pip install 'lmclassify\[plots\]'"):
        check_plot("a.png")

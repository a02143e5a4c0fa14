"""Fit on a real Ray cluster of two processes: the model is the one that a fit in this process makes."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lmclassify
from lmclassify.classify.training.ngram_counts import count_by_label, count_ngrams, labelled_batches
from lmclassify.classify.training.ngrams import ANALYZERS
from lmclassify.classify.training.sampling import sample_tables
from lmclassify.cluster.tasks import RayTasks, Stopped, ray_tasks
from lmclassify.datasets.labelled import LabelledTableReader, read_tables
from lmclassify.errors import DataError, LMClassifyWarning, OptionError
from lmclassify.persistence.reading import read_model
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import ROOT, SMALL, TUNED, bundled, run_cli_process, trainer

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("ray")]
pytest.importorskip("ray", reason="needs the extra ray")

TEXTS, LABELS = bundled(limit=120)
CODES = np.array([label == "spam" for label in LABELS], dtype=np.intp)
PLAIN = {**SMALL, "max_epochs": 3, "direction": "both", "dropout": 0.2}


@pytest.fixture(scope="module")
def cluster():
    with ray_tasks(None, 2) as tasks:
        yield tasks


def fit(folder, settings, cluster=None, callback=None):
    """Fit and save; return the files' contents."""
    parameters = {**settings, "n_jobs": 1, "callback": callback}
    trainer(parameters, cluster=cluster).fit(TEXTS, LABELS).save(folder)
    return read_model(folder).files


def busy_workers():
    """Return the ids of the processes below this one that run a task right now."""
    parent, name = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            name[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:  # has ended meanwhile
            continue

    def ours(process):
        while process in parent:
            if process == os.getpid():
                return True
            process = parent[process]
        return False

    return [
        process
        for process in parent
        if name.get(process, b"").startswith((b"ray::_call", b"ray::RayTrainWorker", b"ray::TrainWorker"))
        and ours(process)
    ]


@pytest.mark.parametrize("settings", [PLAIN, TUNED], ids=["plain", "tuned"])
def test_a_model_fitted_on_a_cluster_is_the_same(tmp_path, settings, cluster):
    told, told_there = [], []
    here = fit(tmp_path / "here", settings, callback=lambda label, record: told.append((label, record.epoch)))
    there = fit(
        tmp_path / "there",
        settings,
        cluster,
        callback=lambda label, record: told_there.append((label, record.epoch)),
    )
    assert there == here
    assert sorted(map(str, told_there)) == sorted(map(str, told))


def test_a_worker_that_is_killed_costs_nothing_but_time(tmp_path, cluster):
    settings = {**PLAIN, "max_epochs": 4, "num_lstm_units": 96}
    here = fit(tmp_path / "here", settings)
    killed, begun, ended = [], threading.Event(), threading.Event()

    def kill_some():
        begun.wait()
        while len(killed) < 2 and not ended.is_set():
            for worker in busy_workers()[:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    killer = threading.Thread(target=kill_some)
    killer.start()
    there = fit(tmp_path / "there", settings, cluster, callback=lambda label, record: begun.set())
    ended.set()
    killer.join()
    assert killed
    assert there == here


def _die_once(folder):
    """Kill the process that this runs in, unless one was killed before."""
    try:
        os.mkdir(os.path.join(folder, "died"))
    except FileExistsError:
        return "done"
    return os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_whose_worker_dies_runs_again(tmp_path, cluster):
    assert cluster.call(_die_once, str(tmp_path), stop=threading.Event()) == "done"
    assert (tmp_path / "died").exists()


def test_results_come_in_order_and_an_error_is_the_job_s_own(cluster):
    assert list(cluster.map(lambda number: number**2, range(9))) == [number**2 for number in range(9)]
    with pytest.raises(OptionError, match=r"^no$"):
        list(cluster.map(_refuse, [1, 2]))


def _refuse(_):
    raise OptionError("no")


def test_a_task_that_is_to_stop_is_given_up(cluster):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Stopped):
        cluster.call(time.sleep, 300, stop=stop)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_n_grams_counted_on_a_cluster_are_the_same(analyzer, cluster):
    subwords = Tokenizer.train("subword", TEXTS, 200)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
    own, remainder = (
        labelled_batches(TEXTS[part], CODES[part], weights[part], max_characters=500)
        for part in (slice(60), slice(60, None))
    )
    assert len(remainder) > 3
    found = []
    for where in (None, cluster):
        counted = count_ngrams(analyzer, ANALYZERS[analyzer], own, remainder, subwords, cluster=where)
        by_label = count_by_label(counted, remainder, subwords, 2, cluster=where)
        found.append([counted.keys, counted.remainder_texts, counted.lengths, counted.columns])
        found[-1] += [counted.counts.toarray(), by_label.counts.toarray(), by_label.texts, by_label.weights]
        found[-1] += [] if counted.contexts is None else [counted.contexts]
    for here, there in zip(*found, strict=True):
        np.testing.assert_array_equal(here, there)


def test_processes_that_train_one_model_together_make_one_as_good(cluster):
    settings = {**SMALL, "max_epochs": 5, "num_lstm_units": 24}
    told, killed = [], []

    def kill_one(_, record):
        told.append(record.epoch)
        if record.epoch == 2:
            killed.extend(busy_workers()[:1])
            os.kill(killed[0], signal.SIGKILL)

    texts, labels = bundled(limit=300)
    ham = [text for text, label in zip(texts, labels, strict=True) if label == "ham"]
    here = trainer(settings).fit(ham, ["ham"] * len(ham))
    together = RayTasks(2, shards=2)
    there = trainer({**settings, "callback": kill_one}, cluster=together).fit(ham, ["ham"] * len(ham))
    assert killed
    assert told == [1, 2, 3, 4, 5]
    new, _ = bundled("emails.csv")
    assert there.perplexity(new, "ham") == pytest.approx(here.perplexity(new, "ham"), rel=0.1)


@pytest.fixture
def tables(tmp_path):
    """Return files of texts with labels, one of them with bad rows."""
    paths = []
    for number in range(3):
        paths.append(str(tmp_path / f"{number}.csv"))
        with open(paths[-1], "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            rows.writerows(zip(TEXTS[number::3], LABELS[number::3], strict=True))
            rows.writerows([["", "ham"]] * (number == 1))
    return paths


def test_few_texts_of_files_are_read_as_everywhere_else(tables, cluster):
    said, said_there = [], []
    here = read_tables(tables, say=said.append)
    there, rest = sample_tables(tables, LabelledTableReader(), cluster, say=said_there.append)
    assert (there, rest) == (here, None)
    assert said_there == said
    assert "1 row without text or label skipped" in "".join(said)


def test_of_many_texts_in_files_a_sample_is_taken_and_the_rest_counted_there(tables, cluster):
    reader = LabelledTableReader()
    sample, rest = sample_tables(tables, reader, cluster, size=40, seed=1, say=lambda line: None)
    assert 40 <= len(sample.texts) < 60
    assert sum(rest.counts.values()) == len(TEXTS) - len(sample.texts)
    again, _ = sample_tables(tables, reader, cluster, size=40, seed=1, say=lambda line: None)
    other, _ = sample_tables(tables, reader, cluster, size=40, seed=2, say=lambda line: None)
    assert again == sample != other
    labels = ["ham", "spam"]
    chunks = [batch for shard in rest.shards(labels, np.array([1.0, 3.0])) for batch in shard.batches()]
    there = [
        (text, labels[code]) for chunk in chunks for text, code in zip(chunk.texts, chunk.codes, strict=True)
    ]
    sampled = list(zip(sample.texts, sample.labels, strict=True))
    assert sorted(there + sampled) == sorted(zip(TEXTS, LABELS, strict=True))  # nothing lost or doubled
    assert all((chunk.weights == np.where(chunk.codes, 3.0, 1.0)).all() for chunk in chunks)

    settings = {**TUNED, "class_weight": "balanced", "max_epochs": 1}
    with pytest.warns(LMClassifyWarning, match=r"^120 texts: n-grams are counted in all, .* on 4\d drawn"):
        there = trainer(settings, cluster=cluster).fit(sample.texts, sample.labels, remainder=rest)
    whole = trainer(settings).fit(TEXTS, LABELS)
    np.testing.assert_allclose(there.log_priors, whole.log_priors)
    np.testing.assert_allclose(there.label_weights, whole.label_weights)
    (words,) = (model for model in there.ngrams if model.analyzer.unit == "word")
    (expected,) = (model for model in whole.ngrams if model.analyzer.unit == "word")
    np.testing.assert_array_equal(words.keys, expected.keys)
    np.testing.assert_allclose(words.counts, expected.counts, rtol=1e-5)


def test_a_bad_file_among_good_ones_is_named(tables, cluster):
    Path(tables[1]).write_bytes(b"text,label\nok,ham\nb\xffd,spam\n")
    with pytest.raises(DataError, match=r"1\.csv, row 2 .*byte"):
        sample_tables(tables, LabelledTableReader(), cluster, say=lambda line: None)


def test_the_command_fits_on_a_cluster_of_its_own(tables, tmp_path):
    options = [*tables, "--threads", "2", "--max-epochs", "1", "--num-lstm-units", "8"]
    done = [
        run_cli_process("fit", *options, "-o", name, "--engine", name, cwd=tmp_path)
        for name in ("local", "ray")
    ]
    assert [one.returncode for one in done] == [0, 0], done[1].stderr
    assert done[1].stdout == b""
    assert b"Ray: 2 processes\n" in done[1].stderr
    assert read_model(tmp_path / "ray").files == read_model(tmp_path / "local").files


def test_a_cluster_trains_on_processors():
    with pytest.raises(OptionError, match="device must be auto or cpu"):
        trainer({**SMALL, "device": "cuda"}, cluster=object()).fit(["a", "b"], ["x", "y"])


def test_the_example_in_the_documentation_fits_on_a_cluster(tmp_path):
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?ClassifierTrainer.*?)```", text, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", example], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert lmclassify.load(tmp_path / "model").classes_.tolist() == ["ham", "spam"]

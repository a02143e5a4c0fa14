"""Fit on a real Ray cluster of two processes: the model is the one that a fit in this process makes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lmclassify import LMClassifier
from lmclassify.classify.counting import count_ngrams, label_counts, shards_of
from lmclassify.classify.ngrams import VIEWS
from lmclassify.classify.persistence import read_model
from lmclassify.engines.ray_tasks import Stopped, ray_tasks
from lmclassify.errors import OptionError
from lmclassify.text.tokenizer import Tokenizer
from tests.conftest import SMALL, TUNED, bundled

pytestmark = pytest.mark.long
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
    classifier = LMClassifier(**settings, n_jobs=1, callback=callback)
    classifier.fit(TEXTS, LABELS, cluster=cluster).save(folder)
    return read_model(folder).parts


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
        process for process in parent if name.get(process, b"").startswith(b"ray::_call") and ours(process)
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
    settings = {**PLAIN, "max_epochs": 4}
    here = fit(tmp_path / "here", settings)
    killed = []

    def kill_one(label, record):
        if record.epoch == 2 and len(killed) < 2:  # while the other label's epoch is being trained
            for worker in busy_workers()[:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    there = fit(tmp_path / "there", settings, cluster, callback=kill_one)
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


@pytest.mark.parametrize("view", VIEWS)
def test_n_grams_counted_on_a_cluster_are_the_same(view, cluster, monkeypatch):
    monkeypatch.setattr("lmclassify.classify.scoring._CHARACTERS_AT_A_TIME", 500)
    subwords = Tokenizer.train("subword", TEXTS, 200)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))
    others = shards_of(TEXTS[60:], CODES[60:], weights[60:])
    assert len(others) > 3
    found = []
    for where in (None, cluster):
        counted = count_ngrams(view, VIEWS[view], TEXTS[:60], others, subwords, 1, where)
        by_label = label_counts(counted, others, subwords, 2, 1, where)
        found.append([counted.keys, counted.elsewhere, counted.lengths, counted.columns, by_label.counts])
        found[-1] += [counted.counts.toarray(), by_label.texts, by_label.weights]
        found[-1] += [] if counted.contexts is None else [counted.contexts]
    for here, there in zip(*found, strict=True):
        np.testing.assert_array_equal(here, there)

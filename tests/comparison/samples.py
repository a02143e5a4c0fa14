"""Data files and records for the tests of this package."""

from __future__ import annotations

from lmclassify.comparison.plan import DataFile
from lmclassify.comparison.results import Figures, Record
from lmclassify.datasets.labelled import LabelledTexts
from tests.conftest import bundled


def data_file(name: str, texts: list[str], labels: list[str]) -> DataFile:
    return DataFile(name, f"digest of {name}", LabelledTexts(texts, labels))


def subjects() -> DataFile:
    return data_file("subjects.csv", *bundled(limit=120))


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

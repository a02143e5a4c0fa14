"""Markdown tables of a results file."""

from __future__ import annotations

from benchmarks.comparison_tables import to_markdown
from tests.comparison.samples import record


def test_markdown_of_several_data_sets():
    records = [
        record("svm", 0.5, versions={"lmclassify": "older"}, seed=7),  # what was run later replaces these
        record("svm", 0.6),
        record("svm", 0.9, data="sms.csv", rows_sha256="older"),
        record("svm", 0.80),
        record("lmclassify", 0.9),
        record("ngram", 0.89),  # not a baseline
        record("svm", 0.7, data="sms.csv", rows_sha256="s"),
        record("svm", 0.6, size=20, training_texts=20),
    ]
    text = to_markdown(records)
    assert text.startswith(
        "**accuracy**, all texts\n\n| | mail | sms |\n|---|---|---|\n| lmclassify | **0.9000** |  |\n"
        "| ngram | 0.8900 |  |\n| svm | 0.8000 | 0.7000 |\n"
        "| *ahead by, points* | +10.00 |  |\n"
    )
    assert "**log-loss**, 20 training texts\n\n| | mail |" in text
    assert "| svm | **1.25** | 1.25 |" in text

"""The tables of `fit_speed` and their intervals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.common import write_section
from benchmarks.fit_report import NEW, REFERENCE, Report, bootstrap, read_scores


def _save(path: Path, right: list[bool]) -> None:
    """Save predictions of two labels, of which some are right, each with probability .8."""
    truth = np.zeros(len(right), dtype=int)
    chosen = np.where(right, 0, 1)
    probabilities = np.where(np.arange(2) == chosen[:, None], 0.8, 0.2)
    np.savez(path, log_probabilities=np.log(probabilities), truth=truth)


def _record(row: str, seed: int, name: str, **figures: Any) -> dict[str, Any]:
    record = {"row": row, "code": row, "data": "small", "seed": seed, "predictions": name}
    record |= {"fit_seconds": 8.0, "fit_cpu_seconds": 8.0, "peak_megabytes": 90.0, "predict_rate": 5.0}
    record |= {"others_share": 0.0, "accuracy": 0.5, "log_loss": 1.0, "macro_f1": 0.5, "ece": 0.1}
    return record | figures


def test_scores_of_saved_predictions(tmp_path: Path) -> None:
    _save(tmp_path / "run.npz", [True, True, True, False])
    scores = read_scores(tmp_path / "run.npz")
    assert scores.correct.tolist() == [1, 1, 1, 0]
    assert scores.loss == pytest.approx(-np.log([0.8, 0.8, 0.8, 0.2]))
    assert scores.ece == pytest.approx(0.05)


def test_bootstrap_of_a_difference_and_of_a_ratio() -> None:
    new, old = np.full(50, 0.9), np.full(50, 0.6)
    samples, observed = bootstrap(new, old, relative=False)
    assert observed == pytest.approx(0.3)
    assert samples == pytest.approx(0.3)
    assert bootstrap(new, old, relative=True)[1] == pytest.approx(0.5)


def test_report_compares_the_seeds_of_both_versions(tmp_path: Path) -> None:
    _save(tmp_path / "old.npz", [True, False, False, False])
    _save(tmp_path / "new.npz", [True, True, False, False])
    records = [
        _record(REFERENCE, 0, "old.npz"),
        _record(NEW, 0, "new.npz", fit_seconds=2.0),
        _record(NEW, 1, "missing.npz", fit_seconds=20.0, others_share=0.5),
    ]
    lines = Report(records, tmp_path, ["small", "absent"]).lines()
    assert f"| {NEW} | 2.0 |" in lines  # the time that was measured alone
    assert f"| *{NEW} / {REFERENCE}* | 0.25 |" in lines
    (accuracy,) = [line for line in lines if line.startswith(f"| *{NEW} - {REFERENCE}, points*")]
    assert "+25.00 (+0.00 to +75.00)" in accuracy


def test_a_section_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n")
    write_section("one", ["new"], path)
    assert path.read_text() == "a\n<!-- one -->\n\nnew\n\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n"
    with pytest.raises(ValueError, match="no section three"):
        write_section("three", [], path)

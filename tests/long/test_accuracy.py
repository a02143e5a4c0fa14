"""Accuracy of whole fits on the bundled sample, with the default settings of each recipe."""

from __future__ import annotations

import json

import pytest

from lmclassify import bundled_data
from tests.conftest import run_cli

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("recipe", "min_accuracy"), [("plain", 0.85), ("tuned", 0.92)])
def test_accuracy_on_the_bundled_sample(tmp_path, recipe, min_accuracy):
    fit = run_cli("fit", bundled_data("subjects.csv"), "--recipe", recipe, "-q", cwd=tmp_path)
    assert fit.returncode == 0, fit.stderr.decode()
    done = run_cli("evaluate", bundled_data("emails.csv"), "-q", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["accuracy"] >= min_accuracy

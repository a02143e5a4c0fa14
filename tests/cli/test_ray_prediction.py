import sys
from pathlib import Path
from typing import Any

import pytest

from lmclassify.cli.command import Run
from lmclassify.cli.predict import predict_on_ray
from lmclassify.errors import OptionError


def predict(data: list[str], output: str, **options: Any) -> None:
    predict_on_ray(
        Run(),
        data,
        output,
        None,
        model="none",
        exact=False,
        format=None,
        reading={"format": None, "encoding": None, "fields": ("subject",)},
        columns={"text_column": None, "label_column": None},
        overwrite_columns=False,
        escape_formulas=False,
        decision_options={},
        **options,
    )


def test_without_ray_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"^--engine ray needs Ray: pip install 'lmclassify\[ray\]'$"):
        predict(["a.csv"], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_a_cluster_cannot_do_is_refused() -> None:
    with pytest.raises(OptionError, match="-o FOLDER"):
        predict(["a.csv"], "-")
    with pytest.raises(OptionError, match="not standard input"):
        predict(["a.csv", "-"], "out")

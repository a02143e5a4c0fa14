from __future__ import annotations

import pytest

from lmclassify.errors import OptionError, OutputError
from lmclassify.evaluation.plots import check_plot


def test_check_plot(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"--plot a.gif: the name must end in one of .png, .svg, .pdf"):
        check_plot("a.gif")
    with pytest.raises(OutputError, match="cannot write"):
        check_plot(str(tmp_path / "none" / "a.png"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"plots need matplotlib: .*pip install .*\[plots\]"):
        check_plot("a.png")

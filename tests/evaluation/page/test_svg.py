from __future__ import annotations

import importlib.util
import re

import pytest

from lmclassify import OutputError
from lmclassify.evaluation.page.svg import render_svg, require_matplotlib


def draw(figure):
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="<b> $x$ 你好 😀")
    axes.bar([0.5], [1.0])
    axes.legend()


def test_svg_is_reproducible_and_figures_share_no_ids():
    one, again, other = (
        render_svg("one", 'A "title"', draw, (4, 3)),
        render_svg("one", 'A "title"', draw, (4, 3)),
        render_svg("two", "B", draw, (4, 3)),
    )
    assert one == again
    ids = [set(re.findall(r' id="([^"]+)"', picture)) for picture in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r'href="#([^"]+)"', one)) | set(re.findall(r"url\(#([^)]+)\)", one)) == ids[0]
    assert one.startswith('<svg viewBox="0 0 288 216" role="img" aria-label="A &quot;title&quot;">')
    assert "&lt;b&gt; $x$ 你好 😀" in one
    for removed in ("http", "xmlns", "<style", "<metadata", "DejaVu", "<!--"):
        assert removed not in one


def test_matplotlib_settings_of_the_user_have_no_effect():
    import matplotlib

    expected = render_svg("one", "A", draw, (4, 3))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert render_svg("one", "A", draw, (4, 3)) == expected


def test_the_error_without_matplotlib_names_the_extra(monkeypatch):
    require_matplotlib()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        OutputError, match=r"--html needs matplotlib for its plots: .*pip install .*\[plots\]"
    ):
        require_matplotlib()

"""Figures of matplotlib as SVG within HTML: the same bytes each time, no ids twice, no outside references."""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lmclassify.errors import OutputError
from lmclassify.evaluation.page.markup import Html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00", "#56B4E9")
"""Okabe and Ito's, which the colour-blind can tell apart; of a darker yellow, to be seen on white."""
BLACK = "#222222"
STYLES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (8, 2)))
MARKERS = "osD^vP"

_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.edgecolor": "#777777",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.0,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",  # texts stay texts: in the reader's font, to be found and copied
    "text.parse_math": False,
}
_DROPPED = ("metadata", "style", "title")
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_FONT = re.compile(r"font: (?:[^;]* )?([\d.]+px) [^;]*")  # as matplotlib wrote it before 3.10
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def require_matplotlib() -> None:
    """Raise OutputError if there is no matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError("--html needs matplotlib for its plots: pip install 'lmclassify[plots]'")


def svg(name: str, title: str, draw: Callable[[Figure], None], size: tuple[float, float]) -> Html:
    """Return a figure as an SVG element.

    Parameters
    ----------
    name : str
        What its ids begin with; no other figure of the page may have it.
    title : str
        The text alternative.
    draw : callable
        Draws into the figure.
    size : tuple of float
        Width and height in inches of 96 pixels where it is not scaled.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that matplotlib's font lacks: the reader's may have them
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=none, transparent=True)
    return _inline(file.getvalue(), name, title)


def _inline(file: bytes, name: str, title: str) -> Html:
    root = ElementTree.fromstring(file)
    _clean(root)
    references = {
        reference
        for node in root.iter()
        for key, value in node.attrib.items()
        for reference in ([value[1:]] if key == "href" else _REFERENCE.findall(value))
    }
    for node in root.iter():
        for key, value in list(node.attrib.items()):
            if key == "id" and value not in references:
                del node.attrib[key]
            elif key == "id":
                node.set(key, f"{name}-{value}")
            elif key == "href":
                node.set(key, f"#{name}-{value[1:]}")
            elif key == "style":
                value = _FAMILY.sub("", _FONT.sub(r"font-size: \1", value))
                node.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
            else:
                node.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib |= {"viewBox": box, "role": "img", "aria-label": title}
    return Html(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))


def _clean(node: ElementTree.Element) -> None:
    """Take away namespaces, which HTML has no need of, and what is not drawn."""
    node.tag = node.tag.rpartition("}")[2]
    for key, value in list(node.attrib.items()):
        if key.startswith("{"):
            del node.attrib[key]
            node.set(key.rpartition("}")[2], value)
    for child in list(node):
        if child.tag.rpartition("}")[2] in _DROPPED:
            node.remove(child)
        else:
            _clean(child)


def from_0_to_1(axes: Axes) -> None:
    """Give axes for shares."""
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks)

"""Matplotlib figures as inline SVG: reproducible bytes, unique ids, no external references."""

from __future__ import annotations

import importlib.util
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from lmclassify.errors import OutputError
from lmclassify.extras import install_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, GREY = "#222222", "#8f9baa"
LINE_STYLES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (8, 2)))
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
    "svg.fonttype": "none",  # text stays text: searchable, in the reader's font
    "text.parse_math": False,
}
_REMOVED = ("metadata", "style", "title")
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_FONT = re.compile(r"font: (?:[^;]* )?([\d.]+px) [^;]*")  # as matplotlib wrote it before 3.10
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def require_matplotlib() -> None:
    """Raise OutputError if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise OutputError(f"--html needs matplotlib for its plots: {install_extra('plots')}")


def render_svg(name: str, title: str, draw: Callable[[Figure], None], size: tuple[float, float]) -> Markup:
    """Return a figure as an SVG element.

    Parameters
    ----------
    name : str
        Prefix of its ids, unique within the page.
    title : str
        Text alternative for screen readers.
    draw : callable
        Draws into the figure that it is given.
    size : tuple of float
        Width and height in inches.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    file = io.BytesIO()
    with style.context(["default", {**_STYLE, "svg.hashsalt": name}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs missing from matplotlib's font
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=none, transparent=True)
    return _inline(file.getvalue(), name, title)


def _inline(file: bytes, name: str, title: str) -> Markup:
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
    return Markup(ElementTree.tostring(root, encoding="unicode", short_empty_elements=False))


def _clean(node: ElementTree.Element) -> None:
    """Remove namespaces, which inline SVG does not need, and elements that are not drawn."""
    node.tag = node.tag.rpartition("}")[2]
    for key, value in list(node.attrib.items()):
        if key.startswith("{"):
            del node.attrib[key]
            node.set(key.rpartition("}")[2], value)
    for child in list(node):
        if child.tag.rpartition("}")[2] in _REMOVED:
            node.remove(child)
        else:
            _clean(child)


def unit_axes(axes: Axes) -> None:
    """Set both axes to the range from 0 to 1."""
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=ticks, yticks=ticks)

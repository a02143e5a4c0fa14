"""Where the bundled sample data lie."""

from __future__ import annotations

from pathlib import Path

from lmclassify.errors import DataError

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled_data(name: str = "subjects.csv") -> Path:
    """Return the path of a bundled data file, in a checkout, an editable install or a wheel.

    Parameters
    ----------
    name : str
        ``subjects.csv`` (to learn from) or ``emails.csv`` (to try a model on).

    Raises
    ------
    DataError
        If no file of that name is bundled.
    """
    folders = [_PACKAGE / "data", _PACKAGE.parent / "data"]  # a wheel, a checkout
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    known = sorted({path.name for folder in folders for path in folder.glob("*.csv")})
    raise DataError(f"no bundled data file {name!r}; there are: {', '.join(known) or 'none'}")

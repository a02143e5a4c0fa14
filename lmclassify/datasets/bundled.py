"""Paths of the bundled sample data."""

from __future__ import annotations

from pathlib import Path

from lmclassify.errors import DataError

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled_data(name: str = "subjects.csv") -> Path:
    """Return the path of a bundled data file, in a checkout, an editable install or a wheel.

    Parameters
    ----------
    name : str
        ``subjects.csv`` (for training) or ``emails.csv`` (for prediction).

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If there is no such file.
    """
    folders = [_PACKAGE / "data", _PACKAGE.parent / "data"]  # in a wheel, in a checkout
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    known = sorted({path.name for folder in folders for path in folder.glob("*.csv")})
    raise DataError(f"no bundled data file {name!r}; choose from: {', '.join(known) or 'none'}")

"""How to install the optional packages that an error message names."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_extra(extra: str) -> str:
    """Return a command that installs an extra: with the pinned versions, if there is a checkout.

    Examples
    --------
    In a checkout ``pip install -c constraints.txt '.[parquet]'``, elsewhere
    ``pip install 'lmclassify[parquet]'``.
    """
    return _command(extra, checkout(), Path.cwd())


def install_package(name: str) -> str:
    """Return a command that installs a package which is in no extra."""
    return f"{_pip()} install {name}"


def checkout(package: Path | None = None) -> Path | None:
    """Return the checkout that this package is run or was installed from; None if it came from a wheel.

    Parameters
    ----------
    package : Path, optional
        The folder with the package. Default: the one that runs.
    """
    folders = [(package or Path(__file__).parent).resolve().parent, _installed_from()]
    for folder in folders:
        if folder is not None and all(
            (folder / name).is_file() for name in ("pyproject.toml", "constraints.txt")
        ):
            return folder
    return None


def _installed_from() -> Path | None:
    """Return the folder that pip has installed this package from, which it notes (PEP 610)."""
    try:
        noted = json.loads(metadata.distribution("lmclassify").read_text("direct_url.json") or "{}")
        url = urlsplit(noted.get("url", ""))
    except (metadata.PackageNotFoundError, ValueError, AttributeError, OSError):
        return None
    return Path(unquote(url.path)) if url.scheme == "file" else None


def _command(extra: str, folder: Path | None, here: Path) -> str:
    if folder is None:
        return f"{_pip()} install 'lmclassify[{extra}]'"
    if folder == here.resolve():
        return f"{_pip()} install -c constraints.txt '.[{extra}]'"
    constraints, package = shlex.quote(str(folder / "constraints.txt")), shlex.quote(f"{folder}[{extra}]")
    return f"{_pip()} install -c {constraints} {package}"


def _pip() -> str:
    """Return how to call the pip of this Python: by its name only if the shell would find this one."""
    python = Path(sys.executable)
    found = shutil.which("pip")
    if found is not None and Path(found).parent == python.parent:
        return "pip"
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return f"{shlex.quote(str(python))} -m pip"

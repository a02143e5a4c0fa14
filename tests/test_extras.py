"""The commands that install optional packages."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from lmclassify import extras
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def activated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pip of this Python is the one that the shell finds."""
    monkeypatch.setattr(shutil, "which", lambda name: str(Path(sys.executable).parent / name))


def test_the_command_fits_where_the_package_came_from(tmp_path, monkeypatch):
    assert extras.checkout() == ROOT
    monkeypatch.chdir(ROOT)
    assert extras.install_extra("parquet") == "pip install -c constraints.txt '.[parquet]'"
    monkeypatch.chdir(tmp_path)
    assert extras.install_extra("ray") == f"pip install -c {ROOT}/constraints.txt '{ROOT}[ray]'"
    wheel = tmp_path / "site-packages" / "lmclassify"
    monkeypatch.setattr(extras, "_installed_from", lambda: None)
    assert extras.checkout(wheel) is None
    monkeypatch.setattr(extras, "checkout", lambda: None)
    assert extras.install_extra("serve") == "pip install 'lmclassify[serve]'"


def test_a_package_installed_from_a_checkout_knows_it(tmp_path, monkeypatch):
    class Installed:
        def __init__(self, noted: str | None) -> None:
            self._noted = noted

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return self._noted

    wheel = tmp_path / "site-packages" / "lmclassify"
    noted = f'{{"url": "file://{ROOT}", "dir_info": {{}}}}'
    for given, expected in [
        (noted, ROOT),
        (None, None),
        ("[]", None),
        (f'{{"url": "file://{tmp_path}"}}', None),
    ]:
        monkeypatch.setattr(extras.metadata, "distribution", lambda name, given=given: Installed(given))
        assert extras.checkout(wheel) == expected


def test_a_pip_that_the_shell_does_not_find_is_called_by_its_python(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    assert extras.install_package("tensorboard") == ".venv/bin/python -m pip install tensorboard"

"""The systemd unit and the Dockerfile, as far as they can be checked without either."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_cli

UNIT = ROOT / "docs" / "service" / "lmclassify.service"
DOCKERFILE = (ROOT / "docs" / "service" / "Dockerfile").read_text()


def test_options_are_the_programs(tmp_path):
    known = set(re.findall(r"--[a-z-]+", run_cli("serve", "--help", cwd=tmp_path).stdout.decode()))
    for text in (UNIT.read_text(), *re.findall(r"ENTRYPOINT.*", DOCKERFILE)):
        used = {
            option
            for line in re.findall(r".*lmclassify.*serve.*", text)
            for option in re.findall(r"--[a-z-]+", line)
        }
        assert used
        assert used <= known


def test_the_image_has_what_using_a_model_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    names = {re.match(r"[a-z-]+", line)[0] for line in needed} - {"torch", "scikit-learn", "pandas"}
    (listed,) = re.findall(r"RUN pip install --no-cache-dir -c constraints.txt \\\n((?: .*\n)+)", DOCKERFILE)
    assert set(listed.replace("\\", "").split()) == names


def test_the_image_copies_what_there_is():
    for sources in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    unit = tmp_path / UNIT.name
    program = Path(sys.executable).parent / "lmclassify"
    unit.write_text(UNIT.read_text().replace("/opt/lmclassify/bin/lmclassify", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

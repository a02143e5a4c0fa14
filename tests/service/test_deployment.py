"""The systemd unit and the Dockerfile, as far as they can be checked without running them."""

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
MILTER_UNIT = ROOT / "docs" / "service" / "lmclassify-milter.service"
DOCKERFILE = (ROOT / "docs" / "service" / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        ("serve", [UNIT.read_text(), *re.findall(r"ENTRYPOINT.*", DOCKERFILE)]),
        ("milter", [MILTER_UNIT.read_text()]),
    ],
)
def test_options_exist(command, texts, tmp_path):
    shown = run_cli(command, "--help", cwd=tmp_path).stdout.decode()
    shown = re.sub(r"--\[no-\]([a-z-]+)", r"--\1 --no-\1", shown)
    known = set(re.findall(r"--[a-z-]+", shown))
    for text in texts:
        used = {
            option
            for line in re.findall(rf".*lmclassify.*\W{command}.*", text)
            for option in re.findall(r"--[a-z-]+", line)
        }
        assert used
        assert used <= known


SERVE = """
import sys
sys.modules.update(dict.fromkeys({missing!r}))  # importing these fails
sys.argv = ["lmclassify", "serve", "--help"]
from lmclassify.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code
import lmclassify.service.server, lmclassify.service.model_scorer
"""
MODULES = {"scikit-learn": "sklearn"}


def test_the_image_has_the_dependencies_of_serve():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    names = {re.match(r"[a-z0-9-]+", line)[0] for line in needed}
    (block,) = re.findall(r"RUN pip install --no-cache-dir -c constraints.txt \\\n((?: .*\n)+)", DOCKERFILE)
    listed = set(block.replace("\\", "").split())
    assert listed <= names
    missing = [MODULES.get(name, name).replace("-", "_") for name in names - listed]
    assert "torch" in missing
    script = SERVE.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_image_copies_existing_files():
    for sources in re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())


@pytest.mark.long
@pytest.mark.parametrize("file", [UNIT, MILTER_UNIT], ids=lambda file: file.name)
def test_systemd_accepts_the_unit(tmp_path, file):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (Debian: systemd)")
    unit = tmp_path / file.name
    program = Path(sys.executable).parent / "lmclassify"
    unit.write_text(file.read_text().replace("/opt/lmclassify/bin/lmclassify", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

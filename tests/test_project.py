"""The project as a whole: its names, its documents' commands, its wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import lmclassify
from tests.conftest import ROOT, bundled

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks_of(language: str) -> list[str]:
    return re.findall(rf"<!-- tested -->\n```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_exported_names_exist():
    for name in lmclassify.__all__:
        assert getattr(lmclassify, name) is not None
    assert dir(lmclassify) == sorted(lmclassify.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lmclassify.nonsense  # noqa: B018


def test_the_changelog_begins_with_this_version():
    versions = re.findall(
        r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert versions[0] == lmclassify.__version__


def test_constraints_pin_what_the_project_needs():
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^ +"([a-z][a-z0-9-]+)>=', project, re.MULTILINE)
    assert len(needed) > 10
    for name in needed:
        assert re.search(rf"^{name}==", pins, re.MULTILINE), name
    assert "torch==2.13.0\n" in pins


def test_the_readme_lists_every_module():
    for path in (ROOT / "lmclassify").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if path.name not in ("__init__.py", "__main__.py", "_lazy.py") and "/cli/" not in name:
            assert f"| {name} |" in README, name


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the checkout, in which the README's commands can run."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def test_the_commands_of_the_readme(checkout):
    blocks = blocks_of("sh")
    assert len(blocks) == 6
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=checkout,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, block + done.stderr
    assert (
        (checkout / "labelled.csv").read_text().startswith("id,from,date,subject,label,predicted_label,p_ham")
    )


def test_the_python_of_the_readme(checkout):
    (block,) = blocks_of("python")
    assert len(block.strip().splitlines()) <= 11
    done = subprocess.run([sys.executable, "-c", block], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (checkout / "subjects-model" / "config.json").exists()


@pytest.mark.parametrize(
    ("page", "count"), [pytest.param("scikit-learn.md", 7, marks=pytest.mark.long), ("how-it-works.md", 3)]
)
def test_the_examples_of_the_documents(tmp_path, page, count):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == count
    code = "\n".join(blocks)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_the_tutorial(tmp_path):
    """Its commands as they stand, with the bundled texts as somebody's mail."""
    for name, file, step in (("", "subjects.csv", 4), ("new-", "emails.csv", 1)):
        texts, labels = bundled(file)
        for label, box in (("spam", "junk"), ("ham", "inbox")):
            own = [text for text, given in zip(texts, labels, strict=True) if given == label][::step]
            message = "From a@example.com Thu Jan  1 00:00:00 2026\nSubject: {}\n\nhello\n\n"
            (tmp_path / f"{name}{box}.mbox").write_text("".join(map(message.format, own)), encoding="utf-8")
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 5
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{block}"],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, block + done.stderr
    assert done.stdout.startswith("X-LMClassify-Label: ")
    assert (tmp_path / "report.html").exists()


def test_the_wheel_works_elsewhere(tmp_path):
    """Built, installed into a new environment, it fits from another folder on the data it carries."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path / "dist", ROOT]
    subprocess.run(build, check=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    venv.create(tmp_path / "env", with_pip=False)
    # The libraries come from the environment of the tests: nothing is downloaded here.
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    libraries = Path(next(entry for entry in sys.path if entry.endswith("site-packages")))
    (site / "libraries.pth").write_text(f"{libraries}\n")
    install = [*pip, "--python", tmp_path / "env" / "bin" / "python", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", wheel], check=True, env={**os.environ, "PYTHONPATH": ""})
    (tmp_path / "elsewhere").mkdir()
    program = tmp_path / "env" / "bin" / "lmclassify"
    run = {"cwd": tmp_path / "elsewhere", "check": True, "capture_output": True, "text": True}
    options = ["--max-epochs", "1", "--num-lstm-units", "8"]
    fit = subprocess.run([program, "fit", *options], **run)
    where = tmp_path / "env" / "lib"
    assert str(where) in fit.stderr
    assert "subjects.csv" in fit.stderr
    python = tmp_path / "env" / "bin" / "python"
    find = "import lmclassify; print(lmclassify.__file__, lmclassify.bundled_data('emails.csv'))"
    found = subprocess.run([python, "-c", find], **run).stdout.split()
    assert all(path.startswith(str(where)) for path in found), found
    predicted = subprocess.run([program, "predict", found[1], "-q"], **run).stdout
    assert len(predicted.splitlines()) == 201

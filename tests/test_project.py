"""The project as a whole: exported names, pinned versions, documentation and its commands, the wheel."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import lmclassify
from tests.conftest import ROOT, bundled

MAX_FILE_LINES, MAX_FUNCTION_LINES = 450, 80  # longer ones hold more than one idea
README = (ROOT / "README.md").read_text(encoding="utf-8")


def readme_blocks(language: str) -> list[str]:
    """Return the README's code blocks in `language` that are marked as tested."""
    return re.findall(rf"<!-- tested -->\n```{language}\n(.*?)```", README, flags=re.DOTALL)


def run_block(block: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell block of a document in `folder`; programs it left running are ended."""
    end = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", end + block],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, block + done.stderr
    return done


def test_exported_names_exist():
    for name in lmclassify.__all__:
        assert getattr(lmclassify, name) is not None
    assert dir(lmclassify) == sorted(lmclassify.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lmclassify.nonsense  # noqa: B018


def test_changelog_names_this_version():
    versions = re.findall(
        r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert versions[0] == lmclassify.__version__


def test_constraints_pin_every_dependency():
    pins = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^ +"([a-z][a-z0-9-]+)>=', project, re.MULTILINE)
    assert len(needed) > 10
    for name in needed:
        assert re.search(rf"^{name}==", pins, re.MULTILINE), name
    assert "torch==2.13.0\n" in pins


def test_architecture_page_names_every_package():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for init in (ROOT / "lmclassify").rglob("__init__.py"):
        if init.parent != ROOT / "lmclassify":
            assert re.search(rf"^ +{init.parent.name}/ ", page, re.MULTILINE), init.parent


def test_files_and_functions_are_short():
    too_long = []
    for path in [*(ROOT / "lmclassify").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        code = path.read_text(encoding="utf-8")
        name = path.relative_to(ROOT).as_posix()
        if code.count("\n") > MAX_FILE_LINES:
            too_long.append(name)
        functions = (
            node
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        too_long += [
            f"{name}: {node.name}"
            for node in functions
            if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
        ]
    assert too_long == []


def documents() -> list[Path]:
    folders = (ROOT, ROOT / "benchmarks", ROOT / "data")
    return [*(ROOT / "docs").rglob("*.md"), *(page for folder in folders for page in folder.glob("*.md"))]


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page.read_text(encoding="utf-8")), target


def test_readme_is_short():
    assert len(README.split()) <= 900


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the checkout, in which the README's commands can run."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


@pytest.mark.long
def test_readme_commands(checkout):
    blocks = readme_blocks("sh")
    assert len(blocks) == 3
    for block in blocks:
        run_block(block, checkout)
    labelled = (checkout / "labelled.csv").read_text()
    assert labelled.startswith("id,from,date,subject,label,predicted_label,p_ham")


@pytest.mark.long
def test_readme_python(checkout):
    (block,) = readme_blocks("python")
    assert len([line for line in block.splitlines() if line]) <= 8
    done = subprocess.run([sys.executable, "-c", block], cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (checkout / "subjects-model" / "config.json").exists()


@pytest.mark.long
@pytest.mark.parametrize(("page", "count"), [("scikit-learn.md", 11), ("how-it-works.md", 3)])
def test_python_of_the_documentation(tmp_path, page, count):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == count
    code = "\n".join(blocks)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def marked_blocks(page: Path, language: str) -> list[str]:
    """Return a page's code blocks in `language` that are marked as tested."""
    return re.findall(
        rf"<!-- tested -->\n```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    )


@pytest.fixture
def newcomer(tmp_path: Path) -> Path:
    """A folder with what the documentation asks a reader to have: the sample, own texts, own mail."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    for name, file, step in (("", "subjects.csv", 4), ("new", "emails.csv", 1)):
        texts, labels = bundled(file)
        table = pd.DataFrame({"text": texts, "label": labels})[::step]
        table.to_csv(tmp_path / ("mine-new.csv" if name else "mine.csv"), index=False)
        for label, box in (("spam", "junk"), ("ham", "inbox")):
            own = table["text"][table["label"] == label]
            message = "From a@example.com Thu Jan  1 00:00:00 2026\nSubject: {}\n\nhello\n\n"
            path = tmp_path / f"{name}{'-' if name else ''}{box}.mbox"
            path.write_text("".join(map(message.format, own)), encoding="utf-8")
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    sorted(
        path.name for path in (ROOT / "docs").glob("*.md") if "<!-- tested -->\n```sh" in path.read_text()
    ),
)
def test_commands_of_the_documentation(newcomer, name):
    """The commands of a page work as they stand, in their order."""
    for block in marked_blocks(ROOT / "docs" / name, "sh"):
        run_block(block, newcomer)
    for code in marked_blocks(ROOT / "docs" / name, "python"):
        done = subprocess.run([sys.executable, "-c", code], cwd=newcomer, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution, built as `make dist` does, without the network."""
    for name in ("build", "twine"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture
def wheel(distributions: tuple[Path, Path]) -> Path:
    return distributions[0]


@pytest.fixture
def source(distributions: tuple[Path, Path]) -> Path:
    return distributions[1]


def new_environment(folder: Path, distribution: Path) -> tuple[Path, dict[str, str]]:
    """Install into a new environment; return its `bin` folder and the variables for its programs.

    The libraries come from the environment of the tests: nothing is downloaded.
    """
    venv.create(folder, with_pip=False)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    install = [*pip, "--python", folder / "bin" / "python", "install", "--quiet", "--no-deps", "--no-index"]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*install, "--no-build-isolation", distribution], check=True, env=variables)
    return folder / "bin", variables


@pytest.mark.long
def test_distributions_pass_the_checks_of_the_index(distributions):
    check = [sys.executable, "-m", "twine", "check", "--strict", *distributions]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_source_distribution_is_complete(source, tmp_path):
    with tarfile.open(source) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    listed = ["git", "ls-files", "-z"]
    tracked = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert set(filter(None, tracked.split("\0"))) <= names
    programs, variables = new_environment(tmp_path / "env", source)
    version = subprocess.run(
        [programs / "lmclassify", "--version"], env=variables, cwd=tmp_path, capture_output=True, text=True
    )
    assert lmclassify.__version__ in version.stdout


@pytest.mark.long
def test_wheel_holds_the_package_and_its_data_only(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lmclassify"}
    sources = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "lmclassify").rglob("*") if path.is_file()
    }
    sources = {name for name in sources if "__pycache__" not in name}
    data = {f"lmclassify/data/{name}" for name in ("subjects.csv", "emails.csv", "README.md")}
    assert {name for name in names if name.startswith("lmclassify/")} == sources | data


@pytest.mark.long
def test_wheel_works_elsewhere(wheel, tmp_path):
    """Installed into a new environment, it fits from another folder on the data it carries."""
    programs, environment = new_environment(tmp_path / "env", wheel)
    (tmp_path / "elsewhere").mkdir()
    program = programs / "lmclassify"
    run = {
        "cwd": tmp_path / "elsewhere",
        "env": environment,
        "check": True,
        "capture_output": True,
        "text": True,
    }
    options = ["--recipe", "plain", "--max-epochs", "1", "--num-lstm-units", "8"]
    fit = subprocess.run([program, "fit", *options], **run)
    where = tmp_path / "env" / "lib"
    assert str(where) in fit.stderr
    assert "subjects.csv" in fit.stderr
    python = programs / "python"
    find = "import lmclassify; print(lmclassify.__file__, lmclassify.bundled_data('emails.csv'))"
    found = subprocess.run([python, "-c", find], **run).stdout.split()
    assert all(path.startswith(str(where)) for path in found), found
    predicted = subprocess.run([program, "predict", found[1], "-q"], **run).stdout
    assert len(predicted.splitlines()) == 301

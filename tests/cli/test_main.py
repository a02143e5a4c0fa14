"""The program: its commands, help, version and imports."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

import lmclassify
from tests.conftest import ROOT, run_cli


def test_version_and_help_import_no_large_library(tmp_path):
    assert run_cli("--version", cwd=tmp_path).stdout.decode() == f"lmclassify {lmclassify.__version__}\n"
    large = "{'torch', 'pandas', 'sklearn', 'numpy', 'tokenizers', 'rich', 'matplotlib', 'multiprocessing'}"
    for arguments in (["--version"], ["fit", "--help"], ["benchmark", "--help"]):
        program = (
            "import sys, atexit\n"
            f"atexit.register(lambda: print(sorted({large} & set(sys.modules)), file=sys.stderr))\n"
            f"sys.argv = ['lmclassify', *{arguments}]\n"
            "from lmclassify.cli.main import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=tmp_path)
        assert done.stderr.decode().strip() == "[]", arguments
        assert b"lmclassify" in done.stdout


def test_every_command_has_help(tmp_path):
    listed = run_cli("--help", cwd=tmp_path).stdout.decode().split("Commands:")[1]
    names = [line.split()[0] for line in listed.strip().splitlines()]
    assert set(names) >= {"fit", "predict", "add-label", "benchmark"}
    for name in names:
        shown = run_cli(name, "--help", cwd=tmp_path).stdout.decode()
        assert shown.startswith(f"Usage: lmclassify {name} [OPTIONS]"), name
    unknown = run_cli("predicts", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "No such command 'predicts'" in unknown.stderr.decode()


@pytest.mark.parametrize("recipe", ["plain", "tuned"])
def test_using_a_model_does_not_import_training_libraries(recipe, tmp_path):
    shutil.copytree(ROOT / "tests" / "golden" / recipe / "model", tmp_path / "model")
    (tmp_path / "texts.csv").write_text("text,label\nhello,ham\n")
    program = (
        "import sys\n"
        "from lmclassify.cli.main import main\n"
        "training = {'torch', 'sklearn', 'scipy', 'pandas'}\n"
        "for line in ('predict texts.csv', 'explain a', 'explain --texts texts.csv', 'suggest a', 'info'):\n"
        "    sys.argv = ['lmclassify', *line.split(), '-m', 'model', '-q']\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        assert not end.code, line\n"
        "    assert not training & set(sys.modules), line\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_checkout_and_the_command_are_the_same_program(tmp_path):
    by_file = subprocess.run([sys.executable, ROOT / "cli.py", "--help"], capture_output=True, check=True)
    assert by_file.stdout == run_cli("--help", cwd=tmp_path).stdout

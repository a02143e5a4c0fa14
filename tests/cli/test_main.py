"""The program: its commands, help, version and imports."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import typer

import lmclassify
from lmclassify.cli.main import COMMAND_MODULES, build_program
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
    listed = run_cli("--help", cwd=tmp_path).stdout.decode().split("Commands:")[1].split("\nExamples:")[0]
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


def sections(text: str) -> dict[str, str]:
    """Return the sections of a help text by heading."""
    parts = re.split(r"^  ?(?=Examples:)|^(?=\w+:$)", text, flags=re.MULTILINE)
    return {heading: body for heading, _, body in (part.partition(":\n") for part in parts[1:])}


def test_help_groups_options_and_has_examples(tmp_path):
    shown = sections(run_cli("fit", "--help", cwd=tmp_path).stdout.decode())
    assert list(shown) == ["Data", "Output", "Model", "Training", "Advanced", "Ray", "Examples"]
    del shown["Examples"]
    for group, option in [
        ("Data", "--text-column"),
        ("Output", "--quiet"),
        ("Model", "--num-lstm-units"),
        ("Training", "--max-epochs"),
        ("Advanced", "--warmup"),
        ("Ray", "--shards"),
    ]:
        assert [name for name, body in shown.items() if re.search(rf"^  .*{option}\b", body, re.M)] == [group]
    for command in COMMAND_MODULES:
        text = run_cli(command, "--help", cwd=tmp_path).stdout.decode()
        assert sections(text)["Examples"].strip().startswith(f"lmclassify {command}")


def test_commands_have_only_options_that_matter(tmp_path):
    for command, option in [
        ("predict", "--device"),
        ("info", "--device"),
        ("info", "--seed"),
        ("serve", "--seed"),
    ]:
        assert option not in run_cli(command, "--help", cwd=tmp_path).stdout.decode()
        refused = run_cli(command, option, 1, cwd=tmp_path)
        assert refused.returncode == 2
        assert f"No such option: {option}" in refused.stderr.decode()


@pytest.mark.parametrize("command", [[], *([name] for name in COMMAND_MODULES)])
@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal(command, columns, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text, _, examples = run_cli(*command, "--help", cwd=tmp_path).stdout.decode().partition("\nExamples:\n")
    for line in text.splitlines():
        assert len(line) <= columns
        assert not re.fullmatch(r"  -\S.*", line) or re.fullmatch(r"  -\S+( \S+)*  +\S.*", line), (
            f"{line}: the description begins on another line"
        )
    assert len(examples.splitlines()) >= 3
    assert "no-\n" not in text


def test_summaries_are_never_cut(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    text = " ".join(run_cli("--help", cwd=tmp_path).stdout.decode().split())
    assert "..." not in text.partition("Commands:")[2].partition("Examples:")[0]
    assert "serve Serve a model over HTTP: a JSON API and a page to try it on. filter" in text


@pytest.mark.parametrize("name", COMMAND_MODULES)
def test_examples_can_be_parsed(name):
    group = typer.main.get_command(build_program([name]))
    command = group.commands[name]
    _, *examples = (command.epilog or "").splitlines()
    for example in examples:
        words = shlex.split(example, comments=True)
        at = words.index("lmclassify")
        end = next(
            (place for place, word in enumerate(words) if place > at and word in ("|", "<", ">")), len(words)
        )
        assert words[at + 1] == name, example
        with command.make_context(name, words[at + 2 : end]) as context:
            assert context.params, example


def test_a_typing_error_in_an_option_or_command_suggests_the_right_one(tmp_path):
    assert "Did you mean 'predict'?" in run_cli("predct", cwd=tmp_path).stderr.decode()
    refused = run_cli("fit", "--text-colum", "a", cwd=tmp_path)
    assert refused.returncode == 2
    assert "No such option: --text-colum. Did you mean --text-column?" in " ".join(
        refused.stderr.decode().split()
    )


def test_help_is_as_wide_as_the_terminal(tmp_path, monkeypatch):
    for columns in (100, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        widest = max(map(len, run_cli("fit", "--help", cwd=tmp_path).stdout.decode().splitlines()))
        assert columns - 30 < widest <= columns

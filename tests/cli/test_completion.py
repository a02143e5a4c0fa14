"""Completion as the shells ask for it: an environment variable, and no arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lmclassify.cli.main import COMMAND_MODULES, build_program
from tests.conftest import run_cli


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def completed(monkeypatch: pytest.MonkeyPatch, folder: Path, shell: str, line: str) -> list[str]:
    """Return what a shell would be told of an unfinished line."""
    monkeypatch.setenv("_LMCLASSIFY_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    done = run_cli(cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


def test_bash(home, monkeypatch):
    assert completed(monkeypatch, home, "bash", "lmclassify ") == list(COMMAND_MODULES)
    assert completed(monkeypatch, home, "bash", "lmclassify fit --recipe ") == [
        "tuned",
        "ngram",
        "plain",
        "online",
    ]
    assert completed(monkeypatch, home, "bash", "lmclassify download sm") == ["sms-spam"]


def test_zsh(home, monkeypatch):
    (line,) = completed(monkeypatch, home, "zsh", "lmclassify fit --rec")
    assert line.startswith('_arguments \'*: :(("--recipe":"Model of the labels.')


def test_fish(home, monkeypatch):
    lines = completed(monkeypatch, home, "fish", "lmclassify fit --")
    assert len(lines) > 40
    assert all(line.startswith("--") for line in lines)
    assert all(line.split("\t")[1] for line in lines)


def test_bash_with_the_script_that_is_installed(home, monkeypatch):
    import shellingham

    monkeypatch.setattr(shellingham, "detect_shell", lambda: ("bash", "bash"))
    with pytest.raises(SystemExit) as status:
        build_program(["--install-completion"])(["--install-completion"], prog_name="lmclassify")
    assert status.value.code in (None, 0)
    script = home / ".bash_completions" / "lmclassify.sh"
    assert str(script) in (home / ".bashrc").read_text()
    ask = f'. {script}; COMP_WORDS=(lmclassify eval); COMP_CWORD=1; _lmclassify_completion "$1"; echo "$COMPREPLY"'
    program = Path(sys.executable).parent / "lmclassify"
    done = subprocess.run(
        ["bash", "-c", ask, "bash", program], capture_output=True, text=True, env=os.environ
    )
    assert (done.stdout, done.stderr) == ("evaluate\n", "")


def test_commands_are_still_made_alone():
    program = build_program(["fit"])
    assert not program._add_completion
    assert len(program.registered_commands) == 1

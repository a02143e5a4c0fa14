"""The promises of SECURITY.md: network, other programs, file permissions."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lmclassify.cli.config_file import write_config
from tests.conftest import ROOT, bundled
from tests.service.conftest import running

# Python calls such a hook for certain events (PEP 578). It is active in each process that has its folder on
# the import path, the service's scoring process included.
HOOK = """
import os, sys

CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg")
NAMING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
STARTING = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn")
OWN = ("127.0.0.1", "::1", "localhost")


def hook(event, arguments):
    if event in CONNECTING:
        address = arguments[1]
        bad = isinstance(address, tuple) and address[0] not in OWN
    elif event in NAMING:
        bad = arguments[0] not in OWN
    else:
        bad = event in STARTING and "lmclassify.service.model_scorer" not in str(arguments)
    if bad:
        with open(os.environ["LMCLASSIFY_AUDIT"], "a") as file:
            file.write(f"{event} {arguments}\\n")


sys.addaudithook(hook)
"""


@pytest.fixture
def audited(tmp_path):
    """The environment for processes with the hook, and the file in which it records violations."""
    folder = tmp_path / "hook"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HOOK)
    (folder / "violations").touch()
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "LMCLASSIFY_AUDIT": str(folder / "violations")}
    return environment, folder / "violations"


def run(environment: dict[str, str], *command: object, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()


VIOLATIONS = """
import contextlib, os, socket
for violation in (
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9)),
    lambda: socket.getaddrinfo("name.invalid", 80),
    lambda: os.system("true"),
):
    with contextlib.suppress(OSError):
        violation()
"""


def test_the_hook_records_violations(audited, tmp_path):
    environment, violations = audited
    run(environment, "-c", VIOLATIONS, cwd=tmp_path)
    seen = [line.split()[0] for line in violations.read_text().splitlines()]
    assert seen == ["socket.connect", "socket.getaddrinfo", "os.system"]


COMMANDS = """
import sys
from lmclassify.cli.main import main
for command in (
    ["predict", "texts.csv", "-m", MODEL, "-o", "labelled.csv", "-q"],
    ["explain", "free prize", "-m", MODEL, "--format", "html"],
    ["suggest", "your account", "-m", MODEL],
    ["generate", "--label", "spam", "-m", MODEL],
    ["info", MODEL],
):
    sys.argv = ["lmclassify", *command]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (command, end.code)
assert "huggingface_hub" not in sys.modules
"""


def labelled_texts(path: Path) -> Path:
    texts, labels = bundled(limit=40)
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True) if '"' not in text]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def test_using_a_model_needs_no_network_and_starts_no_program(audited, saved, tmp_path):
    environment, violations = audited
    labelled_texts(tmp_path / "texts.csv")
    run(environment, "-c", COMMANDS.replace("MODEL", repr(str(saved))), cwd=tmp_path)
    assert violations.read_text() == ""


@pytest.mark.long
def test_fitting_and_serving_need_no_network_and_start_no_program(audited, tmp_path):
    environment, violations = audited
    data = labelled_texts(tmp_path / "texts.csv")
    run(environment, "-m", "lmclassify", "fit", data, "-q", "--max-epochs", 1, "-o", "model", cwd=tmp_path)
    run(environment, "-m", "lmclassify", "predict", data, "-m", "model", "-o", "out.parquet", cwd=tmp_path)
    run(environment, "-m", "lmclassify", "evaluate", data, "-m", "model", "--html", "page.html", cwd=tmp_path)
    with (
        running("-m", "model", "--port", 0, cwd=tmp_path, environment=environment) as service,
        service.client() as client,
    ):
        assert client.post("/v1/predict", json={"text": "free"}).status_code == 200
        for path in ("/", "/docs", "/openapi.json", "/metrics"):
            assert client.get(path).status_code == 200
    assert violations.read_text() == ""


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("mask", "file_mode", "folder_mode"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_files_have_the_permissions_that_the_umask_leaves(model, tmp_path, mask, file_mode, folder_mode):
    before = os.umask(mask)
    try:
        model.save(tmp_path / "model")
        model.save(tmp_path / "model")
        write_config(str(tmp_path / "fit.toml"), {"seed": 1}, {"seed": int})
    finally:
        os.umask(before)
    assert modes(tmp_path) == {file_mode}
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == folder_mode


def test_options_in_the_policy_exist():
    text = (ROOT / "SECURITY.md").read_text()
    source = "".join(path.read_text() for path in (ROOT / "lmclassify" / "cli").glob("*.py"))
    named = set(re.findall(r"`(?:lmclassify \w+ )?(--[a-z-]+)", text))
    assert named
    assert [option for option in sorted(named) if f'"{option}' not in source] == []

"""The command `lmclassify milter`: what it refuses. What it does is tested in tests/mail/test_milter.py."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.conftest import ROOT, run_cli


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["-m", "missing"], 1, "missing"),
        (["--listen", "127.0.0.1:8895"], 2, "--listen takes inet:HOST:PORT or unix:PATH, not '127.0.0.1:8895'"),
        (["--listen", "inet:8895"], 2, "--listen takes inet:HOST:PORT or unix:PATH, not 'inet:8895'"),
        (["--listen", "inet:localhost:70000"], 2, "--listen takes inet:HOST:PORT"),
        (["--listen", "unix:"], 2, "--listen takes inet:HOST:PORT"),
        (["--reject-above", "1.5"], 2, "--reject-above takes a probability, not 1.5"),
        (["--quarantine-above", "nan"], 2, "--quarantine-above takes a probability, not nan"),
        (["--timeout", "0"], 2, "--timeout must be a number of seconds above 0, not 0"),
        (["--timeout", "inf"], 2, "--timeout must be a number of seconds above 0, not inf"),
        (["--unsure", "0.9,0.2"], 2, "--unsure takes LOW,HIGH"),
        (["--fields", "title"], 2, "--fields takes subject"),
        (["--socket", "s", "-m", "model"], 2, "with --socket the service has the model"),
    ],
)  # fmt: skip
def test_misuse(tmp_path, options, status, said):
    done = run_cli("milter", *options, cwd=tmp_path)
    assert done.returncode == status
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("lmclassify: error: ")
    assert said in line


def test_options_that_do_not_fit_the_model(saved):
    done = run_cli("milter", "-m", saved, "--positive", "junk", cwd=saved.parent)
    assert done.returncode == 2
    assert b"--positive: the model has no label 'junk'" in done.stderr


def test_addresses_where_it_cannot_listen(saved, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"inet:127.0.0.1:{taken.getsockname()[1]}"
        done = run_cli("milter", "-m", saved, "--listen", address, cwd=tmp_path)
    assert done.returncode == 1
    assert b"Address already in use; see --listen" in done.stderr
    (tmp_path / "file").touch()
    done = run_cli("milter", "-m", saved, "--listen", "unix:file", cwd=tmp_path)
    assert done.returncode == 1
    assert b"file exists and is not a socket; choose another path for --listen" in done.stderr


WITHOUT_SERVICE = """
import sys
sys.modules.update(dict.fromkeys(["fastapi", "prometheus_client", "starlette", "uvicorn"]))  # cannot be imported
from lmclassify.cli.main import main
main()
"""


def test_the_milter_needs_no_package_of_the_service(saved):
    options = ["milter", "-m", saved, "--listen", "unix:README.md"]
    command = [sys.executable, "-c", WITHOUT_SERVICE, *map(str, options)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "README.md exists and is not a socket" in done.stderr
    assert done.returncode == 1

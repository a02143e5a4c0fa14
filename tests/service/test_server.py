"""`lmclassify serve` as a process: sockets, signals, models that change, options."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from tests.conftest import run_cli
from tests.service.conftest import running


def predict(client, text="Your free prize is waiting"):
    return client.post("/v1/predict", json={"text": text}).json()["predictions"][0]


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def test_sigterm_finishes_what_runs(folder):
    with running("-m", folder, "--port", 0, cwd=folder.parent) as service, service.client() as client:
        texts = ["a long text of many words " * 300] * 100
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(client.post("/v1/predict", json={"texts": texts}))
        )
        asking.start()
        time.sleep(0.4)
        assert service.stop() == 0
        asking.join()
        assert answers[0].status_code == 200
        assert len(answers[0].json()["predictions"]) == 100
        assert "Traceback" not in "".join(service.said)


@pytest.mark.parametrize("watch", [False, True])
def test_a_new_model_is_loaded(folder, tuned_folder, watch):
    options = ["-m", folder, "--port", 0, *(["--watch"] if watch else [])]
    with running(*options, cwd=folder.parent) as service, service.client() as client:
        before = client.get("/v1/model").json()["checksum"]
        shutil.copytree(tuned_folder, folder, dirs_exist_ok=True)
        if not watch:
            service.process.send_signal(signal.SIGHUP)
        service.wait_for("model loaded again")
        after = client.get("/v1/model").json()["checksum"]
        assert after != before
        (folder / "config.json").write_text("{}")
        if not watch:
            service.process.send_signal(signal.SIGHUP)
        service.wait_for("was not loaded again, the old one stays in service")
        assert client.get("/v1/model").json()["checksum"] == after
        assert predict(client)["label"] in ("spam", "ham")
        assert service.stop() == 0


def test_a_local_socket_is_this_users_and_goes_away(folder):
    path = folder.parent / "service.sock"
    left_over = socket.socket(socket.AF_UNIX)
    left_over.bind(str(path))
    left_over.close()
    with running("-m", folder, "--socket", path, cwd=folder.parent) as service:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), base_url="http://local") as client:
            assert predict(client)["label"] in ("spam", "ham")
        second = run_cli("serve", "-m", folder, "--socket", path, cwd=folder.parent)
        assert second.returncode == 1
        assert second.stderr.decode().count("\n") == 1
        assert "another service listens on" in second.stderr.decode()
        assert service.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-m", "nowhere"], 1, "nowhere"),
        (["--host", "192.0.2.1"], 1, "cannot listen on 192.0.2.1 port 8000"),
        (["--socket", "file"], 1, "file is no socket"),
        (["--socket", "no/such/folder/s"], 1, "cannot listen on no/such/folder/s"),
        (["--token-file", "missing"], 2, "--token-file missing: No such file"),
        (["--token-file", "file"], 2, "a token is one word of visible ASCII characters"),
        (["--unknown-label", "spam"], 2, "--unknown-label must be a name that no label"),
        (["--port", "70000"], 2, "'--port'"),
        (["--max-texts", "0"], 2, "'--max-texts'"),
        (["--timeout", "inf"], 2, "--timeout must be a number of seconds"),
        (["--timeout", "nan"], 2, "--timeout"),
        (["--socket", "s", "--port", "1"], 2, "--socket is instead of --host and --port"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(folder, options, status, message):
    (folder.parent / "file").write_text("two words\n")
    port = [] if {"--port", "--host", "--socket"} & set(options) else ["--port", "0"]
    done = run_cli("serve", "-m", folder, *port, *options, cwd=folder.parent)
    assert done.returncode == status
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_port_that_is_taken(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_cli("serve", "-m", folder, "--port", port, cwd=folder.parent)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"lmclassify: error: cannot listen on 127.0.0.1 port {port}: Address already in use; see --host and --port\n"
    )


def test_a_token_from_the_environment_or_a_file(folder):
    (folder.parent / "token").write_text("from-file\n")
    environment = {"LMCLASSIFY_TOKEN": "from-environment"}
    for options, token in (([], "from-environment"), (["--token-file", "token"], "from-file")):
        with (
            running(
                "-m", folder, "--port", 0, *options, cwd=folder.parent, environment=environment
            ) as service,
            service.client() as client,
        ):
            assert client.get("/v1/model").status_code == 401
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.get("/v1/model").status_code == 200


def test_the_token_is_read_again(folder):
    file = folder.parent / "token"
    file.write_text("old\n")
    with (
        running("-m", folder, "--port", 0, "--token-file", file, cwd=folder.parent) as service,
        service.client() as client,
    ):
        for content, works in (("two words\n", "old"), ("new\n", "new")):
            file.write_text(content)
            service.process.send_signal(signal.SIGHUP)
            service.wait_for("model loaded again")
            client.headers["Authorization"] = f"Bearer {works}"
            assert client.get("/v1/model").status_code == 200
        client.headers["Authorization"] = "Bearer old"
        assert client.get("/v1/model").status_code == 401
        assert service.stop() == 0
        assert "the token was not read again, the old one stays" in "".join(service.said)


def test_labels_are_decided_as_options_say(tuned_folder):
    options = ["--unknown-label", "other", "--unknown-rate", "0.9"]
    with (
        running("-m", tuned_folder, "--port", 0, *options, cwd=tuned_folder.parent) as service,
        service.client() as client,
    ):
        assert predict(client, "Zwölf Boxkämpfer 12345 %%%")["label"] == "other"


def test_every_limit_is_an_option(folder):
    options = [
        "--max-body-bytes",
        3000,
        "--max-texts",
        2,
        "--max-characters",
        100,
        "--timeout",
        60,
        "--exact",
    ]
    options += [
        "--max-waiting",
        1,
        "--max-connections",
        2,
        "--batch-milliseconds",
        1,
        "--no-batching",
        "--log-texts",
        "-v",
    ]
    with (
        running("-m", folder, "--port", 0, *options, cwd=folder.parent) as service,
        service.client() as client,
    ):
        limits = client.get("/v1/model").json()["limits"]
        assert (limits["max_body_bytes"], limits["max_texts"], limits["max_characters"]) == (3000, 2, 100)
        assert client.post("/v1/predict", json={"text": "a" * 101}).status_code == 422
        assert client.post("/v1/predict", json={"texts": ["a"] * 3}).status_code == 422
        assert client.post("/v1/predict", content=b" " * 3001).status_code == 415
        assert client.post("/v1/predict", json={"texts": ["a" * 4000]}).status_code == 413
        assert predict(client, "a logged text")["label"]
        assert service.stop() == 0
        assert "a logged text" in "".join(service.said)
        assert "POST /v1/predict 200" in "".join(service.said)


def test_a_second_signal_ends_at_once(folder):
    with running("-m", folder, "--port", 0, "--timeout", 60, cwd=folder.parent) as service:
        (worker,) = children_of(service.process.pid)
        os.kill(worker, signal.SIGSTOP)
        started = time.monotonic()
        for _ in range(2):
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert service.process.wait(timeout=30) == 0
        assert time.monotonic() - started < 5
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_a_scoring_process_that_hangs_dies_with_the_service(folder):
    with running("-m", folder, "--port", 0, cwd=folder.parent) as service:
        (worker,) = children_of(service.process.pid)
        os.kill(worker, signal.SIGSTOP)
        service.process.kill()
        service.process.wait()
        ended = time.monotonic() + 2
        while Path(f"/proc/{worker}").exists() and state_of(worker) != "Z":
            assert time.monotonic() < ended
            time.sleep(0.02)


def state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_signal_while_the_model_loads_ends_it(folder):
    command = [sys.executable, "-m", "lmclassify", "serve", "-m", str(folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (workers := [child for child in children_of(process.pid) if is_worker(child)]):
            time.sleep(0.01)
        (worker,) = workers
        os.kill(worker, signal.SIGSTOP)
        process.send_signal(signal.SIGHUP)  # does no harm so early
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "serving" not in said


def is_worker(process: int) -> bool:
    return b"lmclassify.service.worker" in Path(f"/proc/{process}/cmdline").read_bytes()


def children_of(process: int) -> list[int]:
    files = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def test_without_its_packages(monkeypatch, capsys):
    import importlib.util

    import typer.testing

    from lmclassify.cli.main import _program

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    done = typer.testing.CliRunner().invoke(_program(["serve"]), ["serve"])
    assert done.exit_code == 1
    assert "serve needs uvicorn: pip install" in done.output

"""The server process: signals, sockets, reloading. `lmclassify serve` itself is in test_serve_command.py."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
from pathlib import Path

import httpx2
import pytest

from lmclassify.errors import OutputError
from lmclassify.service.sockets import listen_on_path, listen_on_port
from tests.conftest import ROOT
from tests.service.conftest import DEADLINE, fake_command, running, serving, wait_until


def fake_service(watch: Path | str = "", ready: bool = True, **options: object):
    """Run a service of the fake scorer in a process of its own."""
    command = ("-m", "tests.service.fake_serve")
    return running(str(watch), json.dumps(options), cwd=ROOT, command=command, ready=ready)


def worker_of(service) -> int:
    """Return the process id of the fake scorer."""
    with service.client() as client:
        return client.get("/v1/model").json()["pid"]


def replace(file: Path, content: str) -> None:
    """Write a file in one step, as lmclassify does."""
    draft = file.with_name("draft")
    draft.write_text(content)
    draft.replace(file)


def ask_in_thread(service, text: str) -> tuple[threading.Thread, list[httpx2.Response]]:
    answers: list[httpx2.Response] = []

    def ask() -> None:
        with service.client() as client:
            answers.append(client.post("/v1/predict", json={"text": text}))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def test_sigterm_finishes_running_requests(gate):
    with fake_service() as service:
        thread, answers = ask_in_thread(service, gate.text)
        wait_until(lambda: gate.reached)
        service.process.send_signal(signal.SIGTERM)
        service.wait_for("stopping after the running requests")
        gate.release()
        assert service.end() == 0
        thread.join(DEADLINE)
        assert answers[0].status_code == 200
        assert answers[0].json()["predictions"][0]["text"] == gate.text
        assert "Traceback" not in "".join(service.said)


def test_a_second_signal_ends_at_once(gate):
    with fake_service() as service:
        worker = worker_of(service)
        with socket.create_connection(("127.0.0.1", int(service.url.strip("/").rsplit(":", 1)[1]))) as client:
            body = json.dumps({"text": gate.text}).encode()
            client.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            wait_until(lambda: gate.reached)  # and it is never released
            service.process.send_signal(signal.SIGTERM)
            service.wait_for("stopping after the running requests")
            service.process.send_signal(signal.SIGTERM)
            assert service.end() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_the_model_is_reloaded_on_sighup_and_when_its_folder_changes(tmp_path):
    config = tmp_path / "config.json"
    config.write_text("old")
    with fake_service(tmp_path, name_file=str(config)) as service, service.client() as client:
        service.process.send_signal(signal.SIGHUP)
        service.wait_for("reloaded the model")
        assert client.get("/v1/model").json()["model"] == "old"
        replace(config, "another")
        service.wait_for("reloaded the model")
        assert client.get("/v1/model").json()["model"] == "another"
        replace(config, "broken")
        service.wait_for("cannot reload the model, so the old one stays in use: this model is broken")
        answer = client.post("/v1/predict", json={"text": "a"}).json()
        assert answer["predictions"][0]["label"] == "another"
        replace(config, "repaired")
        service.wait_for("reloaded the model")
        assert client.get("/v1/model").json()["model"] == "repaired"
        assert service.stop() == 0


def test_a_signal_while_the_model_loads_ends_the_service(gate):
    with fake_service(ready=False, load_gate=gate.text.removeprefix("hold ")) as service:
        wait_until(lambda: gate.reached)
        service.process.send_signal(signal.SIGHUP)  # has no effect so early
        service.process.send_signal(signal.SIGTERM)
        assert service.end() == 0
        assert "serving" not in "".join(service.said)


@pytest.mark.long
@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux ends a process with its parent")
def test_a_worker_that_hangs_dies_with_the_service():
    def has_ended(process: int) -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    with fake_service() as service:
        worker = worker_of(service)
        os.kill(worker, signal.SIGSTOP)
        service.process.kill()
        service.process.wait()
        wait_until(lambda: has_ended(worker))


def test_a_local_socket_is_private_and_removed_at_the_end(short_folder):
    path = short_folder / "service.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with serving(fake_command(), path) as url:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path)), base_url=url) as client:
            assert client.post("/v1/predict", json={"text": "a"}).status_code == 200
        with pytest.raises(OutputError, match="another service listens on"), listen_on_path(path):
            pass
    assert not path.exists()


def test_a_port_in_use():
    with listen_on_port("127.0.0.1", 0) as taken, pytest.raises(OutputError) as caught:
        port = taken.getsockname()[1]
        listen_on_port("127.0.0.1", port)
    message = f"cannot listen on 127.0.0.1 port {port}: Address already in use; see --host and --port"
    assert str(caught.value) == message

"""`lmclassify serve`: its options, its messages, and one run from start to end."""

from __future__ import annotations

import re
import signal

import pytest

import lmclassify.service.server
from tests.conftest import run_cli
from tests.service.conftest import running


def predict(client, text="Your free prize is waiting"):
    return client.post("/v1/predict", json={"text": text}).json()["predictions"][0]


def test_serve_from_start_to_end(saved, tmp_path):
    token = tmp_path / "token"
    token.write_text("old\n")
    options = ["-m", saved, "--port", 0, "--token-file", token, "--timeout", 600, "--log-texts", "-v"]
    options += ["--max-body-bytes", 3000, "--max-texts", 2, "--max-characters", 100]
    with running(*options, cwd=tmp_path) as service, service.client() as client:
        assert client.get("/v1/model").status_code == 401
        for content, works in (("two words\n", "old"), ("new\n", "new")):
            token.write_text(content)
            service.process.send_signal(signal.SIGHUP)
            service.wait_for("reloaded the model")
            client.headers["Authorization"] = f"Bearer {works}"
            assert client.get("/v1/model").status_code == 200
        assert predict(client, "a logged text")["label"] in ("spam", "ham")
        limits = client.get("/v1/model").json()["limits"]
        assert (limits["max_body_bytes"], limits["max_texts"], limits["max_characters"]) == (3000, 2, 100)
        assert client.post("/v1/predict", json={"text": "a" * 101}).status_code == 422
        assert client.post("/v1/predict", json={"texts": ["a"] * 3}).status_code == 422
        assert client.post("/v1/predict", json={"texts": ["a" * 4000]}).status_code == 413
        client.headers["Authorization"] = "Bearer old"
        assert client.get("/v1/model").status_code == 401
        assert service.stop() == 0
    said = "".join(service.said)
    assert "cannot reload the token, so the old one stays in use" in said
    assert "a logged text" in said
    assert "POST /v1/predict 200" in said
    assert "Traceback" not in said


@pytest.fixture
def served_with(monkeypatch):
    """What the command passes to `serve`, which does nothing here."""
    calls = []

    def serve(command, settings, listener, **options):
        calls.append({"command": command, "settings": settings, "listener": listener, **options})

    monkeypatch.setattr(lmclassify.service.server, "serve", serve)
    return calls


def test_every_option_reaches_the_service(served_with, tmp_path, monkeypatch):
    monkeypatch.setenv("LMCLASSIFY_TOKEN", "from-environment")
    options = {
        "--max-body-bytes": 3000,
        "--max-texts": 2,
        "--max-characters": 100,
        "--timeout": 60.0,
        "--max-waiting": 1,
        "--max-connections": 3,
        "--batch-milliseconds": 1.0,
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    arguments += ["-m", "some/model", "--port", "0", "--no-batching", "--log-texts", "--exact", "--watch"]
    arguments += ["--unknown-label", "other", "--allowed-host", "Example.ORG", "--threads", "3"]
    done = run_cli("serve", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    (call,) = served_with
    settings = call["settings"]
    for option, value in options.items():
        assert getattr(settings, option.removeprefix("--").replace("-", "_")) == value
    assert not settings.batching
    assert settings.log_texts
    assert settings.token == "from-environment"
    assert settings.allowed_hosts == ("example.org", "localhost", "127.0.0.1", "::1")
    scorer = call["command"].options
    assert (scorer["folder"], scorer["exact"], scorer["threads"]) == ("some/model", True, 3)
    assert scorer["deciding"]["unknown_label"] == "other"
    assert call["watch"] == "some/model"


def test_models_of_users_need_no_shared_one(served_with, tmp_path):
    (tmp_path / "users").mkdir()
    common = ["serve", "--port", 0, "--models", "users"]
    assert run_cli(*common, "--max-models", 3, cwd=tmp_path).returncode == 0
    assert run_cli(*common, "-m", "lmclassify-model", "--watch", cwd=tmp_path).returncode == 0
    users, both = (call["command"].options for call in served_with)
    assert (users["folder"], users["users"], users["max_models"]) == (None, "users", 3)
    assert (both["folder"], both["users"]) == ("lmclassify-model", "users")
    assert served_with[0]["settings"].user_models
    done = run_cli(*common, "--watch", cwd=tmp_path)
    assert (done.returncode, b"--watch needs -m" in done.stderr) == (2, True)


def test_a_token_file_is_used_instead_of_the_environment(served_with, tmp_path, monkeypatch):
    monkeypatch.setenv("LMCLASSIFY_TOKEN", "from-environment")
    (tmp_path / "token").write_text("from-file\n")
    token = tmp_path / "token"
    assert run_cli("serve", "--port", 0, "--token-file", token, cwd=tmp_path).returncode == 0
    (call,) = served_with
    assert call["settings"].token == "from-file"
    assert call["watch"] is None
    token.write_text("another\n")
    assert call["reload_token"]() == "another"


def test_serving_other_machines_without_a_token_is_noted(served_with, tmp_path):
    done = run_cli("serve", "--host", "0.0.0.0", "--port", 0, cwd=tmp_path)
    assert b"other machines can reach this address; require a token with --token-file" in done.stderr
    assert served_with[0]["settings"].allowed_hosts == ()
    done = run_cli("serve", "--port", 0, cwd=tmp_path)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ([], True),
        (["--host", "localhost"], True),
        (["--no-learn"], False),
        (["--allowed-host", "example.org"], False),
        (["--allowed-host", "example.org", "--learn"], True),
        (["--host", "0.0.0.0", "--token-file", "token"], False),
        (["--host", "0.0.0.0", "--token-file", "token", "--learn"], True),
    ],
)
def test_who_may_teach_by_default(served_with, tmp_path, options, learns):
    (tmp_path / "token").write_text("secret")
    assert run_cli("serve", "--port", 0, *options, cwd=tmp_path).returncode == 0
    assert served_with[0]["settings"].learn is learns


def test_a_service_on_a_socket_learns(served_with, short_folder):
    assert run_cli("serve", "--socket", short_folder / "s", cwd=short_folder).returncode == 0
    assert served_with[0]["settings"].learn


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["-m", "nowhere"], 1, "nowhere"),
        (["--host", "192.0.2.1"], 1, "cannot listen on 192.0.2.1 port 8000"),
        (["--socket", "file"], 1, "file exists and is not a socket"),
        (["--socket", "no/such/folder/s"], 1, "cannot listen on no/such/folder/s"),
        (["--token-file", "missing"], 2, "--token-file missing: No such file"),
        (["--token-file", "file"], 2, "a token is one word of visible ASCII characters"),
        (["--unknown-label", "spam"], 2, "--unknown-label must be a name that no label"),
        (["--port", "70000"], 2, "'--port'"),
        (["--max-texts", "0"], 2, "'--max-texts'"),
        (["--timeout", "inf"], 2, "--timeout must be a number of seconds"),
        (["--timeout", "nan"], 2, "--timeout"),
        (
            ["--host", "0.0.0.0", "--learn"],
            2,
            "--learn on 0.0.0.0, which others can reach, needs a token",
        ),
        (["--models", "nowhere"], 2, "--models nowhere: no such folder"),
        (["--socket", "s", "--port", "1"], 2, "--socket excludes --host and --port"),
    ],
)
def test_mistakes_are_one_line(saved, tmp_path, options, status, message):
    (tmp_path / "file").write_text("two words\n")
    port = [] if {"--port", "--host", "--socket"} & set(options) else ["--port", "0"]
    done = run_cli("serve", "-m", saved, *port, *options, cwd=tmp_path)
    assert done.returncode == status
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_without_its_packages(monkeypatch, tmp_path):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    done = run_cli("serve", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(rb"serve needs uvicorn: .*pip install", done.stderr)

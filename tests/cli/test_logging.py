"""`--log-format json`."""

from __future__ import annotations

import json
import shutil

import httpx2

from tests.cli.helpers import EMAILS
from tests.conftest import run_cli
from tests.service.conftest import Running


def lines_of(stderr: bytes) -> list[dict[str, str]]:
    found = [json.loads(line) for line in stderr.decode().splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in found)
    return found


def test_messages_as_json(saved, tmp_path):
    done = run_cli("predict", EMAILS, "-m", saved, "-o", "x.csv", "--log-format", "json", cwd=tmp_path)
    columns, report = lines_of(done.stderr)
    assert columns["level"] == report["level"] == "info"
    assert "text column 'subject'" in columns["message"]
    assert "macro avg" in report["message"]
    (tmp_path / "y.csv").write_text("text\nhello\n")
    done = run_cli("predict", "y.csv", "-m", saved, "--log-format", "json", cwd=tmp_path)
    assert [line["level"] for line in lines_of(done.stderr)] == ["info", "warning"]
    assert lines_of(done.stderr)[1]["message"].startswith("no classification report: no label column")


def test_an_error_as_json(tmp_path):
    (line,) = lines_of(run_cli("info", "--log-format", "json", cwd=tmp_path).stderr)
    assert line["level"] == "error"
    assert "traceback" not in line
    (line,) = lines_of(run_cli("info", "--log-format", "json", "--debug", "-q", cwd=tmp_path).stderr)
    assert "ModelError" in line["traceback"]


def test_a_service_logs_as_json(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "m")
    service = Running("-m", tmp_path / "m", "--port", 0, "-v", "--log-format", "json", cwd=tmp_path)
    try:
        url = json.loads(service.said[-1])["message"].split()[-1]
        assert httpx2.get(url + "healthz").status_code == 200
    finally:
        assert service.stop() == 0
    said = lines_of("".join(service.said).encode())
    (request,) = [line for line in said if "/healthz" in line["message"]]
    assert request["level"] == "debug"

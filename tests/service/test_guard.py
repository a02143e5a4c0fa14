"""Limits and their statuses, tokens, hosts, and what is logged."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest

from lmclassify.service.settings import ServiceSettings
from tests.service.conftest import Gate, until, with_service


def problem(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return answer.json()["detail"]


def test_a_body_may_not_be_too_large():
    async def chunks():
        for _ in range(30):
            yield b" " * 10

    async def use(service, client):
        json = {"Content-Type": "application/json"}
        fits = b'{"text": "' + b"a" * 88 + b'"}'
        assert len(fits) == 100
        assert (await client.post("/v1/predict", content=fits, headers=json)).status_code == 200
        detail = problem(await client.post("/v1/predict", content=fits + b" ", headers=json), 413)
        assert "100 bytes" in detail
        problem(await client.post("/v1/predict", content=chunks(), headers=json), 413)

    with_service(use, max_body_bytes=100)


def test_texts_may_not_be_too_many_or_too_long():
    async def use(service, client):
        several = await client.post("/v1/predict", json={"texts": ["a"] * 4})
        assert "at most 3 texts" in problem(several, 422)
        assert several.json()["errors"][0]["pointer"] == "/texts"
        long = await client.post("/v1/predict", json={"texts": ["a", "a" * 11]})
        assert "at most 10 characters" in problem(long, 422)
        assert long.json()["errors"][0]["pointer"] == "/texts/1"
        for path, field in (("predict", "text"), ("explain", "text"), ("suggest", "prefix")):
            answer = await client.post(f"/v1/{path}", json={field: "a" * 11})
            problem(answer, 422)
            assert answer.json()["errors"][0]["pointer"] == f"/{field}"
            assert (await client.post(f"/v1/{path}", json={field: "😀" * 10})).status_code == 200

    with_service(use, max_texts=3, max_characters=10)


def test_only_so_many_requests_wait(gate):
    async def use(service, client):
        asked = [asyncio.create_task(client.post("/v1/predict", json={"text": gate.text})) for _ in range(5)]
        await until(lambda: sum(task.done() for task in asked) == 2)
        refused = [task.result() for task in asked if task.done()]
        for answer in refused:
            assert "try again" in problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        gate.release()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
        assert (await client.post("/v1/predict", json={"text": "a"})).status_code == 200

    with_service(use, max_waiting=3)


def test_an_answer_takes_only_so_long(gate):
    async def use(service, client):
        answers = await asyncio.gather(
            client.post("/v1/predict", json={"text": gate.text}),
            *(client.post("/v1/explain", json={"text": "waits behind it"}) for _ in range(20)),
        )
        for answer in answers:
            assert "0.2 s" in problem(answer, 504)
        assert "lmclassify_waiting_requests 0.0" in (await client.get("/metrics")).text  # all are dropped
        gate.release()
        while (await client.post("/v1/explain", json={"text": "a"})).status_code != 200:
            pass  # a slow machine may reach the limit again

    with_service(use, timeout=0.2, worker_timeout=3600)


def test_a_request_takes_only_so_long_to_arrive():
    async def never_ending():
        yield b'{"text": '
        await asyncio.Event().wait()

    async def use(service, client):
        json = {"Content-Type": "application/json"}
        answer = await client.post("/v1/predict", content=never_ending(), headers=json)
        assert "0.2 s" in problem(answer, 408)

    with_service(use, timeout=0.2)


def test_a_request_whose_client_disconnects_is_dropped(gate):
    async def use(service, client):
        messages = [{"type": "http.request", "body": b'{"text": "dropped"}'}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            pass

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predict",
            "raw_path": b"/v1/predict",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
        }
        first = asyncio.create_task(client.post("/v1/predict", json={"text": gate.text}))
        await until(lambda: gate.reached)
        await service.app(scope, receive, send)
        gate.release()
        await first
        answer = await client.post("/v1/predict", json={"text": "b"})
        assert answer.json()["predictions"][0]["batches"] == [1, 1]
        assert (
            'lmclassify_requests_total{path="/v1/predict",status="499"} 1.0'
            in (await client.get("/metrics")).text
        )

    with_service(use)


def test_a_large_request_is_scored_in_pieces(gate):
    async def use(service, client):
        first = asyncio.create_task(client.post("/v1/predict", json={"text": gate.text}))
        await until(lambda: gate.reached)
        large = asyncio.create_task(client.post("/v1/predict", json={"texts": ["a"] * 600}))
        gate.release()
        answer = (await large).json()["predictions"]
        assert len(answer) == 600
        assert answer[-1]["batches"] == [1, 256, 256, 88]
        await first

    with_service(use)


def test_a_worker_has_twice_the_time_of_a_request_by_default():
    assert ServiceSettings(timeout=3).seconds_to_answer_batch == 6
    assert ServiceSettings(timeout=3, worker_timeout=1).seconds_to_answer_batch == 1


def test_a_worker_that_hangs_gets_504_and_is_replaced(tmp_path):
    async def use(service, client):
        gate = Gate(tmp_path / "never")
        assert (await client.post("/v1/predict", json={"text": gate.text})).status_code == 504
        while (answer := await client.post("/v1/predict", json={"text": "a"})).status_code != 200:
            assert answer.status_code in (503, 504)
        assert (await client.get("/readyz")).status_code == 200

    with_service(use, timeout=0.3, worker_timeout=2)


def test_a_token_is_required():
    async def use(service, client):
        body = {"text": "a"}
        for header in (
            None,
            "Bearer wrong",
            "Basic secret-1",
            "secret-1",
            "Bearer ",
            "Bearer secret-1x",
            "Bearer ß",
        ):
            headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
            answer = await client.post("/v1/predict", json=body, headers=headers)
            assert "Authorization: Bearer" in problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/v1/model", "/metrics"):
            problem(await client.get(path), 401)
        for path in ("/healthz", "/readyz", "/openapi.json", "/"):
            assert (await client.get(path)).status_code == 200
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} secret-1"}
            assert (await client.post("/v1/predict", json=body, headers=headers)).status_code == 200

    with_service(use, token="secret-1")


@pytest.mark.parametrize("log_texts", [False, True])
def test_the_log_holds_texts_only_if_asked(caplog, capfd, log_texts):
    async def use(service, client):
        await client.post("/v1/predict", json={"text": "the secret"})
        assert (await client.post("/v1/predict", json={"text": "fail: the secret"})).status_code == 500
        await client.post("/v1/predict", json={"the secret": "the secret"})
        await client.post("/v1/explain", json={"text": "the secret", "label": "the secret"})
        await client.post("/v1/predict", content=b"the secret", headers={"Content-Type": "application/json"})

    caplog.set_level(logging.DEBUG, logger="lmclassify")
    with_service(use, log_texts=log_texts)
    said = caplog.text + capfd.readouterr().err
    assert "POST /v1/predict 200" in said
    assert "ValueError while scoring" in said
    assert ("the secret" in said) == log_texts


def test_an_unexpected_error_is_a_problem_too(caplog, monkeypatch):
    async def use(service, client):
        answer = await client.post("/v1/predict", json={"text": "the secret"})
        assert "Internal error" in problem(answer, 500)

    monkeypatch.setattr("lmclassify.service.app.Service._check_texts", None)
    with_service(use)
    assert "unexpected TypeError" in caplog.text
    assert "the secret" not in caplog.text


def test_only_hosts_that_are_allowed_are_answered():
    async def use(service, client):
        for host in ("evil.example", "evil.example:80", "[::2]"):
            assert "--allowed-host" in problem(await client.get("/healthz", headers={"Host": host}), 421)
        for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "[::1]"):
            assert (await client.get("/healthz", headers={"Host": host})).status_code == 200

    with_service(use, allowed_hosts=("localhost", "127.0.0.1", "::1"))


def test_the_log_names_known_paths_only(caplog):
    async def use(service, client):
        await client.get("/the%20secret%0aFAKE")

    caplog.set_level(logging.DEBUG, logger="lmclassify")
    with_service(use)
    assert "GET other 404" in caplog.text
    assert "FAKE" not in caplog.text


def test_a_body_that_is_compressed_is_refused():
    async def use(service, client):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert "Content-Encoding" in problem(
            await client.post("/v1/predict", content=b"", headers=headers), 415
        )

    with_service(use)


def test_the_token_can_be_changed():
    async def use(service, client):
        client.headers["Authorization"] = "Bearer new"
        assert (await client.get("/v1/model")).status_code == 401
        service.set_token("new")
        assert (await client.get("/v1/model")).status_code == 200

    with_service(use, token="old")

"""Limits, each with its status; who may ask; and what the log says."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest

from tests.service.conftest import with_service


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


def test_only_so_many_requests_wait():
    async def use(service, client):
        asked = [client.post("/v1/predict", json={"text": "sleep 0.3"}) for _ in range(5)]
        answers = await asyncio.gather(*asked)
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) == 2
        for answer in refused:
            assert "try again" in problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        assert (await client.post("/v1/predict", json={"text": "a"})).status_code == 200

    with_service(use, max_waiting=3)


def test_an_answer_takes_only_so_long():
    async def use(service, client):
        answers = await asyncio.gather(
            client.post("/v1/predict", json={"text": "sleep 0.6"}),
            client.post("/v1/explain", json={"text": "waits behind it"}),
        )
        for answer in answers:
            assert "0.2 s" in problem(answer, 504)
        while (await client.post("/v1/explain", json={"text": "a"})).status_code != 200:
            await asyncio.sleep(0.05)

    with_service(use, timeout=0.2, batch_milliseconds=0.0)


def test_a_request_takes_only_so_long_to_arrive():
    async def slowly():
        yield b'{"text": '
        await asyncio.sleep(1)
        yield b'"a"}'

    async def use(service, client):
        json = {"Content-Type": "application/json"}
        assert "0.2 s" in problem(await client.post("/v1/predict", content=slowly(), headers=json), 408)

    with_service(use, timeout=0.2)


def test_a_token_is_asked_for():
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


def test_a_fault_of_the_service_is_a_problem_too(caplog, monkeypatch):
    async def use(service, client):
        answer = await client.post("/v1/predict", json={"text": "the secret"})
        assert "its log says where" in problem(answer, 500)

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

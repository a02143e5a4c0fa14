"""Lessons over HTTP: what is acknowledged, refused, logged and counted, and what happens when a worker ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import shutil
import threading

import httpx2
import pytest

from lmclassify.classify.online.folder import LearningFolder
from lmclassify.service import schemas
from lmclassify.service.problems import RequestError
from tests.service.conftest import NO_TIMEOUT, running, until, with_queue, with_service

TEXT = "Your prize is waiting"


def journal(tmp_path, *lessons):
    """Return the options of a fake scorer that has a journal with these lessons."""
    file = tmp_path / "journal"
    file.write_text("".join(json.dumps(lesson) + "\n" for lesson in lessons))
    return {"journal": str(file)}


def lines(tmp_path):
    """Return the lessons in the journal: text, label (None if undone)."""
    return [json.loads(line)[:2] for line in (tmp_path / "journal").read_text().splitlines()]


async def learn(client, text=TEXT, label="spam", headers=None, path="/v1/learn", **more):
    return await client.post(path, json={"text": text, "label": label, **more}, headers=headers)


def test_a_lesson_is_acknowledged_when_it_is_in_the_journal(tmp_path):
    async def use(service, client):
        answer = (await learn(client)).json()
        assert schemas.LearnResponse.model_validate(answer).model_dump() == answer
        assert (answer["label"], answer["changed"]) == ("spam", True)
        assert (answer["predicted_before"], answer["predicted_after"]) == ("ham", "spam")
        assert lines(tmp_path) == [[TEXT, "spam"]]
        again = (await learn(client)).json()
        assert (again["id"], again["changed"]) == (answer["id"], False)
        moved = (await learn(client, label="ham", **{"from": "spam"})).json()
        assert (moved["id"], moved["changed"]) == (answer["id"], True)
        assert (await learn(client, label="ham", undo=True)).json()["changed"]
        assert (await learn(client, label="ham", undo=True)).status_code == 422
        assert lines(tmp_path) == [[TEXT, "spam"], [TEXT, "ham"], [TEXT, None]]

    with_service(use, journal(tmp_path), learn=True)


WRONG: list[tuple[dict[str, object], str | None, str]] = [
    ({"text": TEXT}, "/label", "see errors"),
    ({"text": " \n", "label": "spam"}, "/text", "is empty"),
    ({"text": TEXT, "label": "spam", "undo": 1}, "/undo", "see errors"),
    ({"text": TEXT, "label": "spam", "from_label": "ham"}, "/from_label", "see errors"),
    ({"text": TEXT, "label": "spam", "from": "spam"}, "/from", "cannot move"),
    ({"text": "a" * 101, "label": "spam"}, "/text", "at most 100 characters"),
    ({"text": "\ud800", "label": "spam"}, "/text", "not valid Unicode"),
    ({"text": TEXT, "label": "eggs"}, None, "no label 'eggs' in this model; there are: 'ham' and 'spam'"),
]


def test_a_wrong_lesson_is_a_problem_and_teaches_nothing(tmp_path):
    async def use(service, client):
        headers = {"Content-Type": "application/json"}
        for body, pointer, detail in WRONG:
            content = json.dumps(body).encode()
            answer = await client.post("/v1/learn", content=content, headers=headers)
            problem = schemas.ProblemDetails.model_validate(answer.json())
            assert answer.status_code == 422
            assert detail in problem.detail
            assert [place.pointer for place in problem.errors] == ([pointer] if pointer else [])
        assert lines(tmp_path) == []
        metrics = (await client.get("/metrics")).text
        assert f'lmclassify_rejected_lessons_total{{status="422"}} {len(WRONG)}.0' in metrics

    with_service(use, journal(tmp_path), learn=True, max_characters=100)


def test_a_service_that_does_not_learn_says_so(tmp_path):
    async def use(service, client):
        answer = await learn(client)
        assert answer.status_code == 403
        assert "--learn" in answer.json()["detail"]
        assert not (await client.get("/v1/model")).json()["can_learn"]
        assert lines(tmp_path) == []

    with_service(use, journal(tmp_path))


SITES: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"Origin": "http://test"}, 200),
    ({"Origin": "http://test", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "http://test:8001"}, 403),
    ({"Origin": "http://elsewhere.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://test", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


def test_pages_of_other_sites_may_not_teach(tmp_path):
    async def use(service, client):
        for number, (headers, status) in enumerate(SITES):
            answer = await learn(client, f"text {number}", headers=headers)
            assert (answer.status_code, headers) == (status, headers)
        assert len(lines(tmp_path)) == [status for _, status in SITES].count(200)

    with_service(use, journal(tmp_path), learn=True)


def test_a_lesson_needs_the_token(tmp_path):
    async def use(service, client):
        assert (await learn(client)).status_code == 401
        assert lines(tmp_path) == []
        assert (await learn(client, headers={"Authorization": "Bearer secret"})).status_code == 200

    with_service(use, journal(tmp_path), learn=True, token="secret")


def test_lessons_are_logged_without_their_text(tmp_path, caplog):
    async def use(service, client):
        await learn(client)
        await learn(client)
        await learn(client, label="ham", **{"from": "spam"})
        await learn(client, "Lunch?", "ham")
        await learn(client, "Lunch?", "ham", undo=True)

    caplog.set_level(logging.INFO, "lmclassify.service")
    with_service(use, journal(tmp_path), learn=True)
    assert [record.getMessage() for record in caplog.records if "1 text" in record.getMessage()] == [
        "learned 1 text as spam (correction)",
        "already learned 1 text as spam",
        "learned 1 text as ham (correction)",
        "learned 1 text as ham",
        "forgot 1 text learned as ham",
    ]
    assert TEXT not in caplog.text


def test_metrics_and_the_description_of_the_model_show_the_lessons(tmp_path):
    async def use(service, client):
        counts = (await client.get("/v1/model")).json()["lessons"]
        assert counts["total"] == 1
        await learn(client)
        await learn(client)
        counts = (await client.get("/v1/model")).json()["lessons"]
        assert (counts["total"], counts["per_label"]) == (2, {"ham": 1, "spam": 1})
        metrics = (await client.get("/metrics")).text
        for line in (
            'lmclassify_lessons_total{label="spam",outcome="corrected"} 1.0',
            'lmclassify_lessons_total{label="spam",outcome="repeated"} 1.0',
            'lmclassify_model_lessons{label="ham"} 1.0',
            "lmclassify_model_corrections 1.0",
            "lmclassify_model_lessons_today 2.0",
            "lmclassify_model_corrections_today 1.0",
            "lmclassify_seconds_since_last_lesson ",
        ):
            assert line in metrics

    with_service(use, journal(tmp_path, ["old", "ham", "ham"]), learn=True)


def test_a_model_without_lessons_has_no_numbers_of_them():
    async def use(service, client):
        assert (await client.get("/v1/model")).json()["lessons"] is None
        assert "lmclassify_model_" not in (await client.get("/metrics")).text

    with_service(use)


def test_lessons_of_other_processes_show_with_the_next_request(tmp_path):
    async def use(service, client):
        with (tmp_path / "journal").open("a") as file:  # such as `lmclassify learn` on the command line
            file.write('["taught elsewhere", "spam", "ham"]\n')
        await client.post("/v1/predict", json={"text": "a"})
        assert (await client.get("/v1/model")).json()["lessons"]["total"] == 1

    with_service(use, journal(tmp_path), learn=True)


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path, caplog):
    async def use(service, client):
        assert (await learn(client, "full disk")).status_code == 500
        assert lines(tmp_path) == []
        assert (await learn(client)).status_code == 200

    with_service(use, journal(tmp_path), learn=True)


def test_a_lesson_is_not_sent_twice_when_its_worker_ends(tmp_path):
    async def use(service, client):
        answer = await learn(client, "then die")
        assert answer.status_code == 503
        assert "safe to send it again" in answer.json()["detail"]
        assert lines(tmp_path) == [["then die", "spam"]]
        again = await learn(client, "then die")  # another process has replayed the journal
        assert again.status_code == 503
        assert lines(tmp_path) == [["then die", "spam"]]
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.005)

    with_service(use, journal(tmp_path), learn=True)


def test_a_lesson_counts_although_its_client_has_disconnected(tmp_path, gate, caplog):
    async def use(service, client):
        lesson = asyncio.ensure_future(learn(client, gate.text))
        await until(lambda: gate.reached)
        lesson.cancel()
        gate.release()
        await until(lambda: "learned 1 text as spam" in caplog.text)
        assert lines(tmp_path) == [[gate.text, "spam"]]

    caplog.set_level(logging.INFO, "lmclassify.service")
    with_service(use, journal(tmp_path), learn=True)


def test_a_lesson_that_takes_too_long_says_that_it_may_count(tmp_path, gate):
    async def use(service, client):
        answer = await learn(client, gate.text)
        assert answer.status_code == 504
        assert "safe to send it again" in answer.json()["detail"]

    with_service(use, journal(tmp_path), learn=True, timeout=0.05, worker_timeout=NO_TIMEOUT)


def test_lessons_and_predictions_take_turns(tmp_path, gate):
    async def use(queue):
        done = []

        def submit(kind, piece, name):
            future = queue.submit(kind, [piece])
            future.add_done_callback(lambda _: done.append(name))
            return future

        futures = [submit("predict", [gate.text], "first")]
        futures += [submit("explain", ("a", None, None, False), f"explain {number}") for number in range(4)]
        futures += [
            submit("learn", (str(number), "spam", None, False), f"learn {number}") for number in (0, 1)
        ]
        gate.release()
        await asyncio.gather(*futures)
        assert done == ["first", "learn 0", "explain 0", "learn 1", "explain 1", "explain 2", "explain 3"]

    with_queue(use, journal(tmp_path))


def test_a_lesson_that_is_cancelled_before_it_is_sent_is_not_learned(tmp_path, gate):
    async def use(queue):
        held = queue.submit("predict", [[gate.text]])
        lesson = queue.submit("learn", [(TEXT, "spam", None, False)])
        lesson.cancel()
        gate.release()
        await held
        await queue.submit("predict", [["another"]])
        assert lines(tmp_path) == []
        with pytest.raises(RequestError, match="no label 'eggs'"):
            await queue.submit("learn", [(TEXT, "eggs", None, False)])

    with_queue(use, journal(tmp_path))


@pytest.mark.long
def test_a_killed_service_has_lost_no_lesson_that_it_answered(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "model")
    answered: set[str] = set()
    for round_ in range(3):
        with running("-m", "model", "--port", 0, cwd=tmp_path) as service, service.client() as client:
            stop = threading.Timer(0.2 + 0.3 * round_, service.process.kill)
            with contextlib.suppress(httpx2.HTTPError):
                for number in itertools.count():
                    text = f"lesson {number} of round {round_}"
                    answer = client.post("/v1/learn", json={"text": text, "label": "spam"}).json()
                    answered.add(answer["id"])
                    assert answer["changed"]
                    if number == 0:
                        stop.start()
            stop.join()
        lessons = LearningFolder(tmp_path / "model").model.lessons
        taught = {identity.hex() for identity in lessons.taught}
        assert answered <= taught
        assert len(taught) <= len(answered) + round_ + 1  # those that were not answered

"""The queue before the scoring process: what goes together, what fails alone, and what takes over."""

from __future__ import annotations

import asyncio
import time

from tests.service.conftest import with_service


async def ask(client, *texts):
    """Return the answers to requests of one text each, made at once."""
    return await asyncio.gather(*(client.post("/v1/predict", json={"text": text}) for text in texts))


def predictions(answers):
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return [answer.json()["predictions"][0] for answer in answers]


def predictions_of(answer):
    return answer.json().get("predictions")


def test_requests_that_wait_together_are_scored_together():
    async def use(service, client):
        texts = [f"text {number}" for number in range(20)]
        found = predictions(await ask(client, *texts))
        assert [item["text"] for item in found] == texts
        assert found[0]["batches"] == [20]

    with_service(use, batch_milliseconds=200.0)


def test_without_batching_each_goes_alone():
    async def use(service, client):
        found = predictions(await ask(client, *"abcdefgh"))
        assert [item["text"] for item in found] == list("abcdefgh")
        assert found[-1]["batches"] == [1] * 8

    with_service(use, batching=False)


def test_what_comes_while_the_process_works_goes_together_next():
    async def use(service, client):
        first = asyncio.create_task(ask(client, "sleep 0.3"))
        await asyncio.sleep(0.1)
        found = predictions(await ask(client, *"abcd"))
        assert found[0]["batches"] == [1, 4]
        await first

    with_service(use, batch_milliseconds=0.0)


def test_a_batch_has_an_end():
    async def use(service, client):
        answers = await asyncio.gather(
            *(client.post("/v1/predict", json={"texts": ["a"] * 200}) for _ in range(3)),
            client.post("/v1/predict", json={"texts": ["a"] * 900}),
        )
        assert [len(answer.json()["predictions"]) for answer in answers] == [200, 200, 200, 900]
        # the large one goes piece by piece, the others not with it
        assert answers[-1].json()["predictions"][-1]["batches"] == [200, 200, 200, 256, 256, 256, 132]

    with_service(use, batch_milliseconds=200.0)


def test_one_request_fails_alone():
    async def use(service, client):
        answers = await ask(client, "a", "fail now", "b")
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert answers[2].json()["predictions"][0]["text"] == "b"
        assert "now" not in answers[1].text

    with_service(use, batch_milliseconds=200.0)


def test_what_nobody_waits_for_is_not_scored():
    async def use(service, client):
        messages = [{"type": "http.request", "body": b'{"text": "dropped"}'}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            raise AssertionError("nobody is there to answer")

        headers = [(b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predict",
            "headers": headers,
            "query_string": b"",
        }
        long = asyncio.create_task(ask(client, "sleep 0.5"))
        await asyncio.sleep(0.1)
        await service.app({**scope, "raw_path": b"/v1/predict"}, receive, send)
        await long
        (found,) = predictions(await ask(client, "b"))
        assert found["batches"] == [1, 1]

    with_service(use, batch_milliseconds=0.0)


def test_what_the_model_prints_is_no_answer():
    async def use(service, client):
        (found,) = predictions(await ask(client, "print this"))
        assert found["text"] == "print this"

    with_service(use)


def test_a_process_that_dies_is_replaced():
    async def use(service, client):
        (answer,) = await ask(client, "die")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
        assert predictions(await ask(client, "a"))

    with_service(use)


def test_a_process_that_hangs_is_replaced():
    async def use(service, client):
        (answer,) = await ask(client, "sleep 600")
        assert answer.status_code == 504
        while not predictions_of(answer := (await ask(client, "a"))[0]):
            assert answer.status_code in (503, 504)
        assert (await client.get("/readyz")).status_code == 200

    with_service(use, timeout=0.3)


def test_what_shared_a_batch_with_a_deadly_text_is_answered():
    async def use(service, client):
        answers = await ask(client, "a", "die", "b")
        assert [answer.status_code for answer in answers] == [200, 503, 200]

    with_service(use, batch_milliseconds=200.0)


def test_without_a_model_it_says_so_at_once(tmp_path):
    name = tmp_path / "name"
    name.write_text("old")

    async def use(service, client):
        name.write_text("broken")
        assert (await ask(client, "die"))[0].status_code == 503
        while (await client.get("/v1/model")).status_code == 200 or not service._scoring._failing:
            await asyncio.sleep(0.05)
        started = time.monotonic()
        assert (await ask(client, "a"))[0].status_code == 503
        assert (await client.get("/readyz")).status_code == 503
        assert time.monotonic() - started < 0.5
        name.write_text("new")
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
        assert predictions(await ask(client, "a"))[0]["label"] == "new"

    with_service(use, {"name_file": str(name)})


def test_stopping_ends_a_process_that_hangs():
    async def use(service, client):
        asking = asyncio.create_task(ask(client, "sleep 600"))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await service.stop(0.2)
        assert time.monotonic() - started < 2
        await asking

    with_service(use)


def test_what_is_given_up_takes_no_memory():
    async def use(service, client):
        long = asyncio.create_task(ask(client, "sleep 0.5"))
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(client.post("/v1/explain", json={"text": "a"}) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {504}
        assert not service._scoring._queue
        await long

    with_service(use, timeout=0.2, batch_milliseconds=0.0)


def test_another_model_takes_over_and_no_request_is_lost(tmp_path):
    name = tmp_path / "name"
    name.write_text("old")

    async def use(service, client):
        answers = []

        async def keep_asking():
            while True:
                answers.extend(predictions(await ask(client, "a", "sleep 0.01")))

        asking = asyncio.create_task(keep_asking())
        for version in range(3):
            name.write_text(f"model {version}")
            await service.reload()
            await asyncio.sleep(0.05)
        name.write_text("broken")
        await service.reload()
        await asyncio.sleep(0.05)
        assert not asking.done()
        asking.cancel()
        labels = [item["label"] for item in answers]
        assert list(dict.fromkeys(labels)) == ["old", "model 0", "model 1", "model 2"]
        assert (await client.get("/v1/model")).json()["model"] == "model 2"
        metrics = (await client.get("/metrics")).text
        assert 'lmclassify_reloads_total{outcome="success"} 3.0' in metrics
        assert 'lmclassify_reloads_total{outcome="failure"} 1.0' in metrics

    with_service(use, {"name_file": str(name)})


def test_a_long_request_is_finished_by_the_old_model(tmp_path):
    name = tmp_path / "name"
    name.write_text("old")

    async def use(service, client):
        long = asyncio.create_task(ask(client, "sleep 1.5"))
        await asyncio.sleep(0.1)
        name.write_text("new")
        await service.reload()
        (quick,) = predictions(await ask(client, "a"))
        assert not long.done()
        assert quick["label"] == "new"
        (late,) = predictions(await long)
        assert late["label"] == "old"

    with_service(use, {"name_file": str(name)})


def post(client, *texts):
    """Ask for many texts, in three pieces, the first of which begins with `texts`."""
    body = {"texts": [*texts, *["a"] * (600 - len(texts))]}
    return asyncio.create_task(client.post("/v1/predict", json=body))


async def begun(service, client, go_on, name):
    """Ask for many texts, and let the model be another one while the first of the pieces is scored."""
    long = post(client, f"wait for {go_on}")
    while not service._scoring._worker.batch:
        await asyncio.sleep(0.01)
    name.write_text("new")
    return long


def labels_of(answer):
    return {item["label"] for item in answer.json()["predictions"]}


def test_one_model_answers_all_of_a_request(tmp_path):
    name, go_on = tmp_path / "name", tmp_path / "go on"
    name.write_text("old")

    async def use(service, client):
        long = await begun(service, client, go_on, name)
        await service.reload()  # while the first of its pieces is scored
        quick = (await ask(client, "a"))[0]
        assert quick.headers["LMClassify-Model"] == "checksum of new"
        go_on.touch()
        late = await long
        assert labels_of(late) == {"old"}
        assert late.headers["LMClassify-Model"] == "checksum of old"
        while len(service._scoring._listening) > 1:  # the old process ends
            await asyncio.sleep(0.02)

    with_service(use, {"name_file": str(name)}, timeout=30)


def test_a_request_begun_by_a_process_that_dies_is_begun_again(tmp_path):
    name, go_on = tmp_path / "name", tmp_path / "go on"
    name.write_text("old")

    async def use(service, client):
        long = await begun(service, client, go_on, name)
        dying = post(client, "die")  # after the first piece of the other
        while service._scoring.waiting < 2:
            await asyncio.sleep(0.01)
        go_on.touch()
        assert (await dying).status_code == 503
        assert labels_of(await long) == {"new"}
        assert service._scoring.waiting == 0

    with_service(use, {"name_file": str(name)}, timeout=30)


def test_a_request_begun_by_an_old_process_that_dies_goes_to_the_new_one(tmp_path):
    name, never = tmp_path / "name", tmp_path / "never"
    name.write_text("old")

    async def use(service, client):
        long, stuck = post(client), post(client, f"wait for {never}")
        while not [job for job in service._scoring._queue if job.bodies]:
            await asyncio.sleep(0.001)
        old = service._scoring._worker
        name.write_text("new")
        await service.reload()
        assert len(old.begun) == 1
        old.process.kill()
        assert labels_of(await long) == {"new"}
        assert (await stuck).status_code == 503  # the process was alone with it
        assert service._scoring.waiting == 0

    with_service(use, {"name_file": str(name)}, timeout=30)


def test_where_no_process_can_be_started_it_tries_again(monkeypatch):
    start = asyncio.create_subprocess_exec
    failures = []

    async def fail_twice(*arguments, **options):
        if len(failures) < 2:
            failures.append(OSError(24, "Too many open files"))
            raise failures[-1]
        return await start(*arguments, **options)

    async def use(service, client):
        monkeypatch.setattr("asyncio.create_subprocess_exec", fail_twice)
        monkeypatch.setattr("lmclassify.service.scoring._SECONDS_BETWEEN_STARTS", 0.05)
        assert not await service.reload()
        assert predictions(await ask(client, "a"))
        assert (await ask(client, "die"))[0].status_code == 503
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
        assert len(failures) == 2

    with_service(use)


def test_another_token_may_be_asked_for():
    async def use(service, client):
        client.headers["Authorization"] = "Bearer new"
        assert (await client.get("/v1/model")).status_code == 401
        service.change_token("new")
        assert (await client.get("/v1/model")).status_code == 200

    with_service(use, token="old")

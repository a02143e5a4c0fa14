"""The queue: what is scored together, what fails alone, what happens when workers end or are replaced."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from lmclassify.service.problems import RequestError
from lmclassify.service.queue import MAX_BATCH_TEXTS
from tests.service.conftest import Gate, until, wait_until, with_queue, with_service


def submit(queue, *texts):
    """Submit one job per text."""
    return [queue.submit("predict", [[text]]) for text in texts]


async def results(futures):
    """Return the first prediction of each job."""
    return [first_prediction(result) for result in await asyncio.gather(*futures)]


def first_prediction(result):
    return predictions(result)[0]


def predictions(result):
    return [item for body in result.bodies for item in json.loads(body)["predictions"]]


async def statuses(futures):
    """Return the status of each job."""
    found = await asyncio.gather(*futures, return_exceptions=True)
    return [result.status if isinstance(result, RequestError) else 200 for result in found]


@pytest.fixture
def name_file(tmp_path):
    """The file that holds the fake model's name."""
    file = tmp_path / "name"
    file.write_text("old")
    return file


def test_jobs_that_arrive_while_the_worker_is_busy_are_one_batch(gate):
    async def use(queue):
        first = submit(queue, gate.text)
        texts = [f"text {number}" for number in range(20)]
        others = submit(queue, *texts)
        gate.release()
        found = await results(others)
        assert [item["text"] for item in found] == texts
        assert found[0]["batches"] == [1, 20]
        assert (await results(first))[0]["text"] == gate.text

    with_queue(use)


@pytest.mark.parametrize(("milliseconds", "batches"), [(0.0, [1, 2]), (1.0, [3])])
def test_an_idle_worker_waits_for_further_jobs_as_set(milliseconds, batches):
    async def use(queue):  # the three are submitted before the event loop can do anything else
        found = await results(submit(queue, "a", "b", "c"))
        assert found[-1]["batches"] == batches

    with_queue(use, batch_milliseconds=milliseconds)


def test_without_batching_jobs_are_scored_one_by_one():
    async def use(queue):
        found = await results(submit(queue, *"abcdefgh"))
        assert [item["text"] for item in found] == list("abcdefgh")
        assert found[-1]["batches"] == [1] * 8

    with_queue(use, batching=False)


def test_a_batch_has_a_maximum_size(gate):
    async def use(queue):
        first = submit(queue, gate.text)
        jobs = [queue.submit("predict", [["a"] * 200]) for _ in range(3)]
        large = queue.submit("predict", [["a"] * 256, ["a"] * 256, ["a"] * 132])
        gate.release()
        found = [predictions(result) for result in await asyncio.gather(*jobs, large)]
        assert [len(items) for items in found] == [200, 200, 200, 644]
        assert found[-1][-1]["batches"] == [1, 200, 200, 200, 256, 256, 132]
        await results(first)

    with_queue(use)


def test_one_job_fails_alone(gate):
    async def use(queue):
        first = submit(queue, gate.text)
        jobs = submit(queue, "a", "fail now", "b")
        gate.release()
        assert await statuses(jobs) == [200, 500, 200]
        assert first_prediction(jobs[2].result())["text"] == "b"
        assert "now" not in jobs[1].exception().detail
        await results(first)

    with_queue(use)


def test_a_job_that_does_not_fit_the_model_gets_its_message():
    async def use(queue):
        (status,) = await statuses([job := queue.submit("explain", [("a", "eggs", None, False)])])
        assert (status, job.exception().detail) == (422, "no label 'eggs' in this model")

    with_queue(use)


def test_a_cancelled_job_is_not_scored(gate):
    async def use(queue):
        first = submit(queue, gate.text)
        dropped = [queue.submit("predict", [["dropped"]]) for _ in range(20)]
        for job in dropped:
            job.cancel()
        await until(lambda: queue.waiting == 1)
        gate.release()
        await results(first)
        (found,) = await results(submit(queue, "b"))
        assert found["batches"] == [1, 1]

    with_queue(use)


def test_output_of_the_model_is_not_taken_for_an_answer():
    async def use(queue):
        (found,) = await results(submit(queue, "print this"))
        assert found["text"] == "print this"

    with_queue(use)


def test_a_worker_that_dies_is_replaced():
    async def use(queue):
        assert await statuses(submit(queue, "die")) == [503]
        await until(lambda: queue.ready)
        assert await statuses(submit(queue, "a")) == [200]

    with_queue(use)


def test_a_worker_that_hangs_is_replaced(gate):
    async def use(queue):
        assert await statuses(submit(queue, gate.text)) == [503]
        gate.release()
        while await statuses(submit(queue, "a")) != [200]:  # a slow machine may reach the limit again
            pass

    with_queue(use, worker_timeout=0.3)


def test_jobs_in_a_batch_with_a_deadly_text_are_answered(gate):
    async def use(queue):
        first = submit(queue, gate.text)
        jobs = submit(queue, "a", "die", "b")
        gate.release()
        assert await statuses(jobs) == [200, 503, 200]
        await results(first)

    with_queue(use)


def test_jobs_are_refused_at_once_while_no_worker_can_be_started(name_file, caplog):
    async def use(service, client):
        async def ask(text):
            return await client.post("/v1/predict", json={"text": text})

        name_file.write_text("broken")
        assert (await ask("die")).status_code == 503
        await until(lambda: "no model is available" in caplog.text)
        for path in ("/v1/model", "/readyz"):
            assert (await client.get(path)).status_code == 503
        answer = await ask("a")  # its time limit is far beyond that of the test
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        name_file.write_text("new")
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)
        assert (await ask("a")).json()["predictions"][0]["label"] == "new"

    with_service(use, {"name_file": str(name_file)}, restart_delay=0.05)


def test_stopping_kills_a_worker_that_hangs(gate):
    async def use(queue):
        jobs = submit(queue, gate.text)
        await until(lambda: gate.reached)
        await queue.stop(0.05)
        assert await statuses(jobs) == [503]
        assert queue.num_workers == 0

    with_queue(use)


def test_another_model_takes_over_and_no_request_is_lost(name_file):
    async def use(service, client):
        labels = []

        async def keep_asking():
            while True:
                answers = await asyncio.gather(
                    *(client.post("/v1/predict", json={"text": text}) for text in "ab")
                )
                assert [answer.status_code for answer in answers] == [200, 200]
                labels.extend(answer.json()["predictions"][0]["label"] for answer in answers)

        asking = asyncio.create_task(keep_asking())
        for version in range(3):
            name_file.write_text(f"model {version}")
            assert await service.reload()
            await until(lambda name=f"model {version}": name in labels or asking.done())
        name_file.write_text("broken")
        assert not await service.reload()
        seen = len(labels)
        await until(lambda: len(labels) > seen or asking.done())
        assert not asking.done()
        asking.cancel()
        assert list(dict.fromkeys(labels)) == ["old", "model 0", "model 1", "model 2"]
        assert (await client.get("/v1/model")).json()["model"] == "model 2"
        metrics = (await client.get("/metrics")).text
        assert 'lmclassify_reloads_total{outcome="success"} 3.0' in metrics
        assert 'lmclassify_reloads_total{outcome="failure"} 1.0' in metrics

    with_service(use, {"name_file": str(name_file)})


def three_pieces(queue, *texts):
    """Submit a job of three pieces, the first of which begins with some texts."""
    return queue.submit(
        "predict", [[*texts, *["a"] * (MAX_BATCH_TEXTS - len(texts))], ["a"] * MAX_BATCH_TEXTS, ["a"]]
    )


def labels_of(result):
    return {item["label"] for item in predictions(result)}


def test_all_of_a_job_is_answered_by_one_model(name_file, gate):
    async def use(queue):
        long = three_pieces(queue, gate.text)
        await until(lambda: gate.reached)
        name_file.write_text("new")
        await queue.start()  # while the first of its pieces is scored
        (quick,) = await asyncio.gather(*submit(queue, "a"))
        assert not long.done()
        assert (labels_of(quick), quick.checksum) == ({"new"}, "checksum of new")
        gate.release()
        assert labels_of(await long) == {"old"}
        assert (await long).checksum == "checksum of old"
        await until(lambda: queue.num_workers == 1)  # the old one ends

    with_queue(use, {"name_file": str(name_file)})


def test_a_job_begun_by_a_worker_that_dies_starts_again(name_file, gate):
    async def use(queue):
        long = three_pieces(queue, gate.text)
        await until(lambda: gate.reached)
        name_file.write_text("new")
        dying = three_pieces(queue, "die")  # after the first piece of the other
        gate.release()
        assert await statuses([dying]) == [503]
        assert labels_of(await long) == {"new"}
        assert queue.waiting == 0

    with_queue(use, {"name_file": str(name_file)})


def test_a_job_begun_by_a_replaced_worker_that_dies_goes_to_the_new_one(name_file, gate, tmp_path):
    second = Gate(tmp_path / "second")

    async def use(queue):
        long = three_pieces(queue, gate.text)
        stuck = three_pieces(queue, second.text)  # after the first piece of the other
        gate.release()
        await until(lambda: second.reached)
        worker = queue._worker
        name_file.write_text("new")
        await queue.start()
        assert len(worker.unfinished) == 1
        worker.process.kill()
        assert labels_of(await long) == {"new"}
        assert await statuses([stuck]) == [503]  # the worker was alone with it
        assert queue.waiting == 0

    with_queue(use, {"name_file": str(name_file)})


def test_a_worker_that_cannot_be_started_is_tried_again(monkeypatch):
    start = asyncio.create_subprocess_exec
    failures = []

    async def fail_twice(*arguments, **options):
        if len(failures) < 2:
            failures.append(OSError(24, "Too many open files"))
            raise failures[-1]
        return await start(*arguments, **options)

    async def use(service, client):
        monkeypatch.setattr("asyncio.create_subprocess_exec", fail_twice)
        assert not await service.reload()
        assert (await client.post("/v1/predict", json={"text": "a"})).status_code == 200
        assert (await client.post("/v1/predict", json={"text": "die"})).status_code == 503
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.01)
        assert len(failures) == 2

    with_service(use, restart_delay=0.01)


def test_killing_ends_the_worker_process(gate):
    pids = []

    async def use(queue):
        (info,) = (await queue.submit("model_info", [()])).bodies
        pids.append(json.loads(info)["pid"])
        jobs = submit(queue, gate.text)
        await until(lambda: gate.reached)
        queue.kill()
        assert await statuses(jobs) == [503]

    with_queue(use)
    wait_until(lambda: not is_running(pids[0]))


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
